//! Who runs a job: the lease, and what becomes of it when a run ends without a result.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::catalog::Limits;
use crate::date::Date;
use crate::files::Attempt;
use crate::ids::{Token, WorkerId};
use crate::status::{Failure, FailureReason};

/// `lease/{uuid}.json`: who runs the job, and how its earlier runs ended. It stays while the job waits to be run
/// again, so that runs and losses are counted over its whole life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The worker of the latest run.
    pub worker: WorkerId,
    /// The number of the latest run; 1 is the first.
    pub attempt: u32,
    /// How many runs were lost with their worker.
    #[serde(default)]
    pub lost: u32,
    /// How many runs the script itself failed and was to be run again.
    #[serde(default)]
    pub failed: u32,
    /// The token of the run; absent once the run is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// When the job was claimed for this run.
    pub claimed: Date,
    /// The worker's process id on its host.
    pub pid: u32,
    /// The job is not claimed before this date, by the clock of the host that wrote it: where clocks differ, the retry
    /// comes earlier or later by that much, and nothing else depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_date: Option<Date>,
    /// The runs that are over, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

/// A retry's date is believed so far ahead: the longest pause, and clocks that differ.
const BELIEVED: TimeDelta = TimeDelta::hours(1);
/// So many runs are remembered one by one: the first one and the latest. The numbers count all of them.
const MOST_ATTEMPTS: usize = 100;

/// How a run ended whose job waits to be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// Its worker died.
    Lost,
    /// Its worker was shut down as planned, and gave the job back: nothing is counted.
    GivenBack,
    /// The script failed for this reason, and its API allows another run.
    Failed(FailureReason),
}

impl Lease {
    /// The lease of the next run; `before` is the one of the run before, where there was one.
    pub fn next(
        before: Option<Lease>,
        worker: WorkerId,
        pid: u32,
        token: Token,
        now: Date,
    ) -> Self {
        let (attempt, lost, failed, attempts) = before.map_or((0, 0, 0, Vec::new()), |lease| {
            (lease.attempt, lease.lost, lease.failed, lease.attempts)
        });
        let token = Some(token);
        Lease {
            worker,
            attempt: attempt + 1,
            lost,
            failed,
            token,
            claimed: now,
            pid,
            retry_date: None,
            attempts,
        }
    }

    /// The lease once its run is over. Asked twice for the same run, it counts once: the token tells.
    pub fn ended(mut self, token: Option<Token>, end: RunEnd, now: Date) -> Self {
        if self.token.is_none() || self.token != token {
            return self;
        }
        let outcome = match end {
            RunEnd::Lost => {
                self.lost += 1;
                FailureReason::WorkerLost.as_str()
            }
            RunEnd::GivenBack => "given_back",
            RunEnd::Failed(reason) => {
                self.retry_date = Some(now.plus(self.retry_pause()));
                self.failed += 1;
                reason.as_str()
            }
        };
        self.attempts.push(self.attempt_ended(outcome, now));
        if self.attempts.len() > MOST_ATTEMPTS {
            self.attempts.remove(1);
        }
        self.token = None;
        self
    }

    /// All runs, the latest one included, for a receipt that says how it ended.
    pub fn attempts_with(&self, outcome: &str, now: Date) -> Vec<Attempt> {
        let latest = self
            .token
            .is_some()
            .then(|| self.attempt_ended(outcome, now));
        self.attempts.iter().cloned().chain(latest).collect()
    }

    /// The pause before the script is run again, should this run fail: 30 s, 2 min, then 10 min each.
    pub fn retry_pause(&self) -> TimeDelta {
        match self.failed {
            0 => TimeDelta::seconds(30),
            1 => TimeDelta::minutes(2),
            _ => TimeDelta::minutes(10),
        }
    }

    /// Whether the job waits for a retry that is not due yet. A date far beyond any pause comes from a clock that
    /// was wrong, and holds up nothing.
    pub fn waits_for_retry(&self, now: Date) -> bool {
        let ahead = self.retry_date.map(|date| date.since(now));
        ahead.is_some_and(|ahead| TimeDelta::zero() < ahead && ahead <= BELIEVED)
    }

    /// Why the job has failed now that a run was lost; nothing while it may be run again.
    pub fn failure_by_loss(&self, limits: &Limits) -> Option<Failure> {
        (self.lost >= limits.attempts).then(|| {
            let runs = if self.lost == 1 {
                "its run was"
            } else {
                "all its runs were"
            };
            Failure::new(
                FailureReason::WorkerLost,
                format!(
                    "{runs} lost with the worker ({} of {} allowed)",
                    self.lost, limits.attempts
                ),
            )
        })
    }

    /// Whether the script may be run again after a failure of its own.
    pub fn may_retry(&self, limits: &Limits) -> bool {
        self.failed < limits.retries
    }

    fn attempt_ended(&self, outcome: &str, now: Date) -> Attempt {
        Attempt {
            attempt: self.attempt,
            worker: self.worker.clone(),
            started_date: self.claimed,
            ended_date: now,
            outcome: outcome.into(),
        }
    }
}

/// How long a worker may be silent before its jobs are taken over, and how often it beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// A worker that did not beat for this long is presumed dead.
    pub lease: Duration,
    /// Time between two beats.
    pub heartbeat: Duration,
    /// Time between two looks for dead workers' jobs.
    pub sweep: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Date {
        "2023-10-01T00:00:00Z".parse().unwrap()
    }

    fn token(n: u8) -> Token {
        Token::new([n; 16])
    }

    fn lease() -> Lease {
        Lease::next(None, "w-1".parse().unwrap(), 1, token(1), now())
    }

    #[test]
    fn a_run_that_is_lost_twice_counts_once() {
        let once = lease().ended(Some(token(1)), RunEnd::Lost, now());
        assert_eq!((once.lost, once.token, once.attempts.len()), (1, None, 1));
        assert_eq!(
            once.clone().ended(Some(token(1)), RunEnd::Lost, now()),
            once
        );
        assert_eq!(lease().ended(Some(token(2)), RunEnd::Lost, now()), lease());
    }

    #[test]
    fn of_very_many_runs_the_first_and_the_latest_are_remembered() {
        let mut lease = lease();
        for n in 1..=300 {
            let back = lease.ended(Some(token(1)), RunEnd::GivenBack, now());
            assert_eq!(back.attempts.len(), n.min(MOST_ATTEMPTS));
            lease = Lease::next(Some(back), "w-1".parse().unwrap(), 1, token(1), now());
        }
        let remembered: Vec<_> = lease.attempts.iter().map(|run| run.attempt).collect();
        assert_eq!(
            (remembered[0], remembered[1], remembered[99]),
            (1, 202, 300)
        );
        assert_eq!(lease.attempt, 301);
    }

    #[test]
    fn a_planned_shutdown_counts_a_run_but_no_loss() {
        let back = lease().ended(Some(token(1)), RunEnd::GivenBack, now());
        let next = Lease::next(Some(back), "w-2".parse().unwrap(), 2, token(2), now());
        assert_eq!((next.attempt, next.lost, next.failed), (2, 0, 0));
        assert!(
            next.failure_by_loss(&Limits {
                attempts: 1,
                ..Limits::default()
            })
            .is_none()
        );
    }

    #[test]
    fn retries_wait_longer_each_time() {
        let mut lease = lease();
        for (n, pause) in [(1u8, 30), (2, 120), (3, 600), (4, 600)] {
            let ended = lease.ended(
                Some(token(n)),
                RunEnd::Failed(FailureReason::ExitCode),
                now(),
            );
            assert_eq!(
                ended.retry_date,
                Some(now().plus(TimeDelta::seconds(pause)))
            );
            assert!(
                ended.waits_for_retry(now())
                    && !ended.waits_for_retry(now().plus(TimeDelta::seconds(pause)))
            );
            lease = Lease::next(Some(ended), "w-1".parse().unwrap(), 1, token(n + 1), now());
            assert!(!lease.waits_for_retry(now()));
        }
        let years_ahead = Lease {
            retry_date: Some(now().plus(TimeDelta::days(1000))),
            ..lease.clone()
        };
        assert!(!years_ahead.waits_for_retry(now()));
        assert!(lease.may_retry(&Limits {
            retries: 5,
            ..Limits::default()
        }));
        assert!(!lease.may_retry(&Limits {
            retries: 4,
            ..Limits::default()
        }));
    }

    proptest! {
        #[test]
        fn losses_never_decrease_and_every_run_is_remembered(ends in proptest::collection::vec(0u8..3, 0..20)) {
            let mut lease = lease();
            let mut lost = 0;
            for (n, end) in ends.iter().enumerate() {
                let end = [RunEnd::Lost, RunEnd::GivenBack, RunEnd::Failed(FailureReason::ExitCode)][usize::from(*end)];
                let current = lease.token;
                let ended = lease.ended(current, end, now());
                prop_assert!(ended.lost >= lost);
                lost = ended.lost;
                prop_assert_eq!(ended.attempts.len(), n + 1);
                lease = Lease::next(Some(ended), "w-1".parse().unwrap(), 1, token(u8::try_from(n).unwrap() + 2), now());
            }
            prop_assert_eq!(lost as usize, ends.iter().filter(|end| **end == 0).count());
            prop_assert_eq!(lease.attempt as usize, ends.len() + 1);
        }
    }
}
