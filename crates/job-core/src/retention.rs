//! What may go, and whether the clock may be believed.

use chrono::TimeDelta;

use crate::date::Date;
use crate::ids::JobId;
use crate::queue::Queue;

/// The jobs that ended longer than `keep` before `now`, oldest first. What waits or runs is never among them.
///
/// A final job whose end nobody noted counts from its submission.
pub fn plan_retention(queue: &Queue, now: Date, keep: TimeDelta) -> Vec<JobId> {
    let ended =
        |entry: &crate::entry::Entry| entry.state().finished().unwrap_or(entry.request_date);
    let expired = queue
        .iter()
        .filter(|entry| entry.status().is_final() && now.since(ended(entry)) > keep);
    expired.map(|entry| entry.uuid).collect()
}

/// Why retention does not run: the clock says something that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClockJump {
    /// It stands before a job that was already submitted.
    #[error("the clock says {now}, but the newest job was submitted at {newest}")]
    Back {
        /// What the clock says.
        now: Date,
        /// When the newest job was submitted.
        newest: Date,
    },
    /// It ran ahead since the last look.
    #[error(
        "the clock says {now}, more than a day after the last look at {last}; if it is right, the next daily run goes on"
    )]
    Ahead {
        /// What the clock says.
        now: Date,
        /// What it said at the last look.
        last: Date,
    },
}

/// Clocks of two hosts may differ by this much before it means anything.
const SKEW: TimeDelta = TimeDelta::minutes(5);
/// A daily run may come late by this much before it means anything.
const LATENESS: TimeDelta = TimeDelta::hours(1);

/// Whether `now` may be believed, given what the clock said at the last look and when the newest job came.
///
/// # Errors
/// Where the clock jumped. After a jump ahead the caller notes `now` as the last look: a clock that stays there is
/// believed the next day.
pub fn check_clock(now: Date, last: Option<Date>, newest: Option<Date>) -> Result<(), ClockJump> {
    if let Some(newest) = newest.filter(|newest| newest.since(now) > SKEW) {
        return Err(ClockJump::Back { now, newest });
    }
    match last.filter(|last| now.since(*last) > TimeDelta::days(1) + LATENESS) {
        Some(last) => Err(ClockJump::Ahead { now, last }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;
    use crate::status::State;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn date(hour: i64) -> Date {
        "2023-10-01T00:00:00+09:00"
            .parse::<Date>()
            .unwrap()
            .plus(TimeDelta::hours(hour))
    }

    proptest! {
        #[test]
        fn only_what_ended_long_ago_goes(jobs in proptest::collection::vec((0u8..5, 0i64..400), 0..30), now in 0i64..400) {
            let keep = TimeDelta::days(7);
            let entries = jobs.iter().enumerate().map(|(n, (kind, hour))| {
                let finished = Some(date(*hour));
                let state = match kind {
                    0 => State::Pending,
                    1 => State::Processing { token: None },
                    2 => State::Done { finished },
                    3 => State::Failed { finished, failure: None },
                    _ => State::Canceled { finished: None },
                };
                let uuid = JobId::new(date(0), [u8::try_from(n).unwrap(); 10]);
                Arc::new(Entry::pending(uuid, "soc".parse().unwrap(), date(0)).with_state(state))
            });
            let queue = Queue::new(entries).0;
            let gone = plan_retention(&queue, date(now), keep);
            for entry in queue.iter() {
                let ended = entry.state().finished().unwrap_or(entry.request_date);
                let old = entry.status().is_final() && date(now).since(ended) > keep;
                prop_assert_eq!(gone.contains(&entry.uuid), old);
            }
        }
    }

    #[test]
    fn a_clock_that_went_back_stops_retention() {
        assert!(matches!(
            check_clock(date(0), None, Some(date(1))),
            Err(ClockJump::Back { .. })
        ));
        assert_eq!(
            check_clock(date(0), None, Some(date(0).plus(TimeDelta::minutes(4)))),
            Ok(())
        );
    }

    #[test]
    fn a_clock_that_ran_ahead_stops_retention_for_a_day() {
        assert_eq!(check_clock(date(24), Some(date(0)), None), Ok(()));
        assert!(matches!(
            check_clock(date(49), Some(date(0)), None),
            Err(ClockJump::Ahead { .. })
        ));
        assert_eq!(check_clock(date(73), Some(date(49)), None), Ok(()));
    }
}
