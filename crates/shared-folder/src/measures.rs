//! What the folder says of its own work in figures, for whoever collects them in this process.

use std::time::Duration;

use metrics::Unit::{Count, Seconds};
use metrics::{counter, describe_counter, describe_histogram, histogram};

const LOCK_WAIT: &str = "bcrl_lock_wait_seconds";
const LOCK_HOLD: &str = "bcrl_lock_hold_seconds";
const LOCK_BUSY: &str = "bcrl_lock_busy_total";
/// Jobs that were accepted in one commit of the index.
pub const COMMIT_JOBS: &str = "bcrl_commit_jobs";

/// Says what the figures mean, to a collector that is there already.
pub fn describe() {
    describe_histogram!(
        LOCK_WAIT,
        Seconds,
        "Time until this process had the lock of the queue."
    );
    describe_histogram!(
        LOCK_HOLD,
        Seconds,
        "Time for which this process had the lock of the queue."
    );
    describe_counter!(
        LOCK_BUSY,
        Count,
        "Times that this process did not get the lock of the queue in time."
    );
    // Known from the start on, so that the first time shows as a change.
    counter!(LOCK_BUSY).increment(0);
    describe_histogram!(
        COMMIT_JOBS,
        Count,
        "Jobs that were accepted in one commit of the index."
    );
}

/// The lock was had after this time.
pub(crate) fn lock_waited(time: Duration) {
    histogram!(LOCK_WAIT).record(time);
}

/// The lock was released after this time.
pub(crate) fn lock_held(time: Duration) {
    histogram!(LOCK_HOLD).record(time);
}

/// The lock was not had in time.
pub(crate) fn lock_was_busy() {
    counter!(LOCK_BUSY).increment(1);
}

/// So many jobs were accepted at once.
pub(crate) fn committed(jobs: usize) {
    histogram!(COMMIT_JOBS).record(jobs as f64);
}
