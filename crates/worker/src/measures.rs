//! What the worker says of its runs in figures, for whoever collects them in this process.

use std::time::Duration;

use job_core::ids::ApiName;
use metrics::Unit::{Count, Seconds};
use metrics::{counter, describe_counter, describe_histogram, histogram};

use crate::outcome::Outcome;

const CLAIMS: &str = "bcrl_claims_total";
const RUNS: &str = "bcrl_runs_total";
const RUN_TIME: &str = "bcrl_run_seconds";

/// Says what the figures mean, to a collector that is there already.
pub(crate) fn describe() {
    describe_counter!(
        CLAIMS,
        Count,
        "Jobs that the worker of this process claimed."
    );
    describe_counter!(
        RUNS,
        Count,
        "Runs of the worker of this process that are over, by what came of them."
    );
    describe_histogram!(
        RUN_TIME,
        Seconds,
        "Time that the scripts of those runs took."
    );
}

/// A job was claimed.
pub(crate) fn claimed(api: &ApiName) {
    counter!(CLAIMS, "api" => api.to_string()).increment(1);
}

/// A run is over; nothing is known of its time where no script was started.
pub(crate) fn over(api: &ApiName, outcome: &Outcome, run_ms: Option<u64>) {
    counter!(RUNS, "api" => api.to_string(), "outcome" => outcome.word()).increment(1);
    if let Some(run_ms) = run_ms {
        histogram!(RUN_TIME, "api" => api.to_string()).record(Duration::from_millis(run_ms));
    }
}
