//! What the API says of its work in figures, in the form that Prometheus collects.
//!
//! Labels are words of ours and the names of routes and APIs, never what a client sent, so that there are only so many
//! series. `ends` counts how jobs end. `shared-folder`, `access-log` and a worker in the same process add figures of
//! their own, and know nothing of who collects them.

mod ends;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::{Method, StatusCode};
use boot::Shutdown;
use chrono::TimeDelta;
use job_core::date::Date;
use job_core::entry::Entry;
use job_core::files::Receipt;
use job_core::status::Status;
use metrics::Unit::{Count, Seconds};
use metrics::{Gauge, counter, describe_counter, describe_gauge, describe_histogram};
use metrics::{gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use shared_folder::{FolderError, SharedFolder};

use ends::{End, Ends};

const REQUESTS: &str = "bcrl_http_requests_total";
const REQUEST_TIME: &str = "bcrl_http_request_seconds";
const PROBLEMS: &str = "bcrl_problems_total";
const WAITING: &str = "bcrl_waiting_clients";
const JOBS: &str = "bcrl_jobs";
const OLDEST_PENDING: &str = "bcrl_oldest_pending_seconds";
const JOBS_ENDED: &str = "bcrl_jobs_ended_total";
const JOB_WAIT: &str = "bcrl_job_wait_seconds";
const JOB_RUN: &str = "bcrl_job_run_seconds";
const BUILD: &str = "bcrl_build_info";

/// Upper ends of the classes that times are counted in, in seconds: from a file that is cached to a long wait.
const TIMES: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// The same for the times of scripts.
const RUN_TIMES: [f64; 13] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];
/// The same for numbers of jobs.
const NUMBERS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// So many receipts are read at one look, for the times of jobs that ended since the one before.
const MOST_RECEIPTS: usize = 1000;
/// Times that were noted take up memory until they are sorted into their classes.
const BETWEEN_SORTINGS: Duration = Duration::from_secs(5);

/// Something that is there while this lives, and counted as long.
#[derive(Debug)]
pub struct Present(Gauge);

impl Present {
    /// A client that is connected.
    pub(crate) fn connection() -> Self {
        Self::new("bcrl_connections")
    }

    /// A request that is being answered.
    pub(crate) fn request() -> Self {
        Self::new("bcrl_http_requests_in_flight")
    }

    /// A client that follows a job's events.
    pub(crate) fn event_stream() -> Self {
        Self::new("bcrl_event_streams")
    }

    fn new(name: &'static str) -> Self {
        let gauge = gauge!(name);
        gauge.increment(1.0);
        Present(gauge)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A request, from its coming to its answer.
#[derive(Debug)]
pub(crate) struct Asked {
    begun: Instant,
    method: &'static str,
    route: String,
}

/// What stands in a label where there is nothing to name.
const NONE: &str = "none";

impl Asked {
    /// A request that just came.
    pub(crate) fn new(method: &Method) -> Self {
        Asked {
            begun: Instant::now(),
            method: word_for(method),
            route: NONE.into(),
        }
    }

    /// Which route it takes, by its key.
    pub(crate) fn takes(&mut self, route: &str) {
        route.clone_into(&mut self.route);
    }

    /// It is answered; what is left is to send the body.
    pub(crate) fn answered(self, status: StatusCode) {
        let (route, method) = (self.route, self.method);
        count(route.clone(), method, status);
        histogram!(REQUEST_TIME, "route" => route, "method" => method).record(self.begun.elapsed());
    }
}

/// What came was no request, and was refused.
pub(crate) fn refused(status: StatusCode) {
    count(NONE.into(), NONE, status);
}

fn count(route: String, method: &'static str, status: StatusCode) {
    let status = status.as_str().to_owned();
    counter!(REQUESTS, "route" => route, "method" => method, "status" => status).increment(1);
}

/// A client was told of a problem of this kind.
pub(crate) fn problem(kind: &'static str) {
    counter!(PROBLEMS, "kind" => kind).increment(1);
}

/// A method's name; clients may make up others.
fn word_for(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let found = known.into_iter().find(|name| *name == method.as_str());
    found.unwrap_or("other")
}

/// All figures of this process.
#[derive(Debug)]
pub struct Measures {
    /// Nothing where somebody else collects the figures of this process.
    collector: Option<PrometheusHandle>,
    ends: Mutex<Ends>,
}

impl Measures {
    /// Collects what this process says from now on.
    pub fn start() -> Self {
        static COLLECTOR: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
        Measures {
            collector: COLLECTOR.get_or_init(collect).clone(),
            ends: Mutex::default(),
        }
    }

    /// Looks at the jobs: how many there are, and which have ended since the last look.
    ///
    /// # Errors
    /// Where the index cannot be read and never was.
    pub fn look(&self, folder: &SharedFolder, now: Date) -> Result<(), FolderError> {
        // Two who look at once see the jobs in the same order: what has ended is counted once.
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = folder.queue()?;
        let ended = ends.since_last_look(&queue);
        drop(ends);
        for status in Status::ALL {
            let jobs = queue.iter().filter(|entry| entry.status() == status);
            gauge!(JOBS, "status" => status.as_str()).set(jobs.count() as f64);
        }
        let mut pending = queue.iter().filter(|job| job.status() == Status::Pending);
        let oldest = pending
            .next()
            .map(|job| seconds(now.since(job.request_date)));
        gauge!(OLDEST_PENDING).set(oldest.unwrap_or(0.0));
        for entry in &ended {
            let End { status, reason } = End::of(entry);
            counter!(JOBS_ENDED, "status" => status, "reason" => reason).increment(1);
        }
        for entry in ended.iter().take(MOST_RECEIPTS) {
            // A job without one was ended by a third party, and is settled soon.
            if let Ok(Some(receipt)) = folder.receipt(entry.uuid) {
                tell_times(entry, &receipt);
            }
        }
        Ok(())
    }

    /// All figures as a text.
    pub fn text(&self, waiting_clients: usize) -> String {
        gauge!(WAITING).set(waiting_clients as f64);
        let collector = self.collector.as_ref();
        collector.map(PrometheusHandle::render).unwrap_or_default()
    }

    /// Keeps the memory for figures small, also where nobody asks for them, until the end.
    pub(crate) async fn sort_again_and_again(self: Arc<Self>, end: Shutdown) {
        while tokio::time::timeout(BETWEEN_SORTINGS, end.cancelled())
            .await
            .is_err()
        {
            if let Some(collector) = &self.collector {
                collector.run_upkeep();
            }
        }
    }
}

/// How long a job that ended had waited, and how long its last run took, where there was one.
fn tell_times(entry: &Entry, receipt: &Receipt) {
    let api = entry.api.to_string();
    if let Some(started) = receipt.started_date {
        let waited = seconds(started.since(entry.request_date));
        histogram!(JOB_WAIT, "api" => api.clone()).record(waited);
    }
    if let Some(run_ms) = receipt.run_ms {
        histogram!(JOB_RUN, "api" => api).record(Duration::from_millis(run_ms));
    }
}

/// A time in seconds; none where another host's clock was ahead.
fn seconds(time: TimeDelta) -> f64 {
    time.as_seconds_f64().max(0.0)
}

/// Makes the collector of this process; there can be only one.
fn collect() -> Option<PrometheusHandle> {
    let classes = |builder: PrometheusBuilder, name: Matcher, classes: &[f64]| {
        let builder = builder.set_buckets_for_metric(name, classes);
        builder.expect("there are classes")
    };
    let all = Matcher::Suffix("_seconds".into());
    let mut builder = classes(PrometheusBuilder::new(), all, &TIMES);
    for name in [JOB_WAIT, JOB_RUN, "bcrl_run_seconds"] {
        builder = classes(builder, Matcher::Full(name.into()), &RUN_TIMES);
    }
    let commits = Matcher::Full(shared_folder::measures::COMMIT_JOBS.into());
    let recorder = classes(builder, commits, &NUMBERS).build_recorder();
    let collector = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("somebody else collects the figures of this process: /metrics stays empty");
        return None;
    }
    describe();
    shared_folder::measures::describe();
    access_log::measures::describe();
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Some(collector)
}

fn describe() {
    for (name, meaning) in [
        (
            REQUESTS,
            "Requests that were answered, by route, method and status.",
        ),
        (PROBLEMS, "Problems that clients were told of, by kind."),
        (
            JOBS_ENDED,
            "Jobs that ended since this process started, by status and reason of failure.",
        ),
    ] {
        describe_counter!(name, Count, meaning);
    }
    for (name, meaning) in [
        (
            "bcrl_http_requests_in_flight",
            "Requests that are being answered.",
        ),
        ("bcrl_connections", "Clients that are connected."),
        ("bcrl_event_streams", "Clients that follow a job's events."),
        (
            WAITING,
            "Clients that wait for a job's change, those that follow its events included.",
        ),
        (JOBS, "Jobs in the queue, by status."),
        (BUILD, "Always 1; the label says which version this is."),
    ] {
        describe_gauge!(name, Count, meaning);
    }
    describe_gauge!(
        OLDEST_PENDING,
        Seconds,
        "Age of the job that has been pending for longest; 0 where none is."
    );
    describe_histogram!(
        JOB_WAIT,
        Seconds,
        "Time from the submission of a job that ended to the start of its last run."
    );
    describe_histogram!(
        JOB_RUN,
        Seconds,
        "Time that the last run of a job that ended took."
    );
    describe_histogram!(
        REQUEST_TIME,
        Seconds,
        "Time from a request's head to the answer's."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_a_client_made_up_has_no_name_here() {
        assert_eq!(word_for(&Method::DELETE), "DELETE");
        for made_up in ["BREW", "get", "PROPFIND"] {
            assert_eq!(word_for(&made_up.parse().unwrap()), "other");
        }
    }
}
