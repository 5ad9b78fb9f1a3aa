//! What was seen so far: what became of each job, and how long all took.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest time that is told from longer ones, in microseconds: a day.
const LONGEST: u64 = 86_400_000_000;

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server did not take it: HTTP status, and the server's reason.
    Refused(u16, Option<String>),
    /// It is done, and its result was fetched.
    Done,
    /// It failed for this reason.
    Failed(String),
    /// Somebody canceled it.
    Canceled,
    /// It is not known what became of it, or its result is none.
    Error(String),
    /// The same, because there was no connection.
    Broken(String),
}

/// What was seen so far. Each job that was submitted is either still under way or has one [`Outcome`].
#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// Jobs that were sent.
    pub(super) submitted: u64,
    /// Jobs that the server took.
    pub(super) accepted: u64,
    /// Jobs that it did not take, by HTTP status, with a reason that was given for it.
    pub(super) refused: BTreeMap<u16, (u64, Option<String>)>,
    /// Jobs that are done, with a result.
    pub(super) done: u64,
    /// Jobs that failed, by reason.
    pub(super) failed: BTreeMap<String, u64>,
    /// Jobs that were canceled.
    pub(super) canceled: u64,
    /// Jobs of which it is not known what became of them, by what was in the way.
    pub(super) errors: BTreeMap<String, u64>,
    /// Whether a connection did not come about, or broke.
    pub(super) broken: bool,
    /// From when a job was to be sent until it was accepted.
    pub(super) submit: Latencies,
    /// From when a job was to be sent until it was seen to be done.
    pub(super) seen_done: Latencies,
    /// Between a done job's own dates.
    pub(super) dated: Latencies,
}

impl Tally {
    /// Nothing was seen yet.
    pub(super) fn new() -> Self {
        Tally {
            submitted: 0,
            accepted: 0,
            refused: BTreeMap::new(),
            done: 0,
            failed: BTreeMap::new(),
            canceled: 0,
            errors: BTreeMap::new(),
            broken: false,
            submit: Latencies::new(),
            seen_done: Latencies::new(),
            dated: Latencies::new(),
        }
    }

    /// Something became of a job.
    pub(super) fn end(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Refused(status, reason) => {
                let (count, first) = self.refused.entry(status).or_default();
                *count += 1;
                *first = first.take().or(reason);
            }
            Outcome::Done => self.done += 1,
            Outcome::Failed(reason) => *self.failed.entry(reason).or_default() += 1,
            Outcome::Canceled => self.canceled += 1,
            Outcome::Error(what) => *self.errors.entry(what).or_default() += 1,
            Outcome::Broken(what) => {
                *self.errors.entry(what).or_default() += 1;
                self.broken = true;
            }
        }
    }

    /// How many jobs were refused.
    pub(super) fn refused_in_all(&self) -> u64 {
        self.refused.values().map(|(count, _)| count).sum()
    }

    /// How many jobs failed.
    pub(super) fn failed_in_all(&self) -> u64 {
        self.failed.values().sum()
    }

    /// How many errors there were.
    pub(super) fn errors_in_all(&self) -> u64 {
        self.errors.values().sum()
    }

    /// How many jobs something became of.
    pub(super) fn ended(&self) -> u64 {
        let ended = self.done + self.failed_in_all() + self.canceled;
        ended + self.refused_in_all() + self.errors_in_all()
    }

    /// How many jobs were sent and nothing became of them yet.
    pub(super) fn under_way(&self) -> u64 {
        self.submitted - self.ended()
    }
}

/// How long something took, each time; to three digits, and a day at most.
#[derive(Debug, Clone)]
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    fn new() -> Self {
        let histogram = Histogram::new_with_max(LONGEST, 3);
        Latencies(histogram.expect("a histogram of a day to three digits can be made"))
    }

    /// It took so long this time.
    pub(super) fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.min(LONGEST));
    }

    /// The times within which so many percent were over, beginning with p50; the last one is the longest. Nothing
    /// where nothing was measured.
    pub(super) fn percentiles(&self) -> Option<[(&'static str, Duration); 5]> {
        let at = |quantile| Duration::from_micros(self.0.value_at_quantile(quantile));
        (!self.0.is_empty()).then(|| {
            [
                ("p50", at(0.5)),
                ("p90", at(0.9)),
                ("p95", at(0.95)),
                ("p99", at(0.99)),
                ("max", at(1.0)),
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_counts_once() {
        let mut tally = Tally::new();
        tally.submitted = 10;
        for outcome in [
            Outcome::Refused(503, None),
            Outcome::Refused(503, Some("the queue is full".into())),
            Outcome::Refused(503, Some("something else".into())),
            Outcome::Done,
            Outcome::Failed("timeout".into()),
            Outcome::Failed("timeout".into()),
            Outcome::Canceled,
            Outcome::Error("404".into()),
        ] {
            tally.end(outcome);
        }
        let reason = Some("the queue is full".to_owned());
        assert_eq!(tally.refused[&503], (3, reason));
        assert_eq!(tally.failed["timeout"], 2);
        assert_eq!((tally.ended(), tally.under_way()), (8, 2));
        assert!(!tally.broken);
        tally.end(Outcome::Broken("connection refused".into()));
        assert!(tally.broken);
        assert_eq!((tally.errors_in_all(), tally.under_way()), (2, 1));
    }

    #[test]
    fn percentiles_are_true_to_three_digits() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.percentiles(), None);
        for millis in (1..=1000).rev() {
            latencies.record(Duration::from_millis(millis));
        }
        let percentiles = latencies.percentiles().unwrap();
        for ((name, time), due) in percentiles
            .into_iter()
            .zip([500.0, 900.0, 950.0, 990.0, 1000.0])
        {
            let millis = time.as_secs_f64() * 1000.0;
            assert!((millis / due - 1.0).abs() < 0.001, "{name}: {millis} ms");
        }
    }

    #[test]
    fn what_takes_longer_than_a_day_counts_as_a_day() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::MAX);
        let [.., (_, longest)] = latencies.percentiles().unwrap();
        assert!(longest.abs_diff(Duration::from_secs(86_400)) < Duration::from_secs(90));
    }
}
