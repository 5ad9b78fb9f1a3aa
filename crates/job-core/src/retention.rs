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
    #[error(
        "the clock says {now}, but job {} was submitted at {}; set the clock, or correct the job's request_date in \
         status.json",
        newest.0, newest.1
    )]
    Back {
        /// What the clock says.
        now: Date,
        /// The newest job, and when it was submitted.
        newest: (JobId, Date),
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

/// The job that was submitted last, as far as its entry can be believed: its id bears the moment when it was made
/// (RFC 9562, version 7), and a date that was written by hand does not count beyond that. Ids of other versions, which
/// are no API server's, do not count at all.
pub fn newest(queue: &Queue) -> Option<(JobId, Date)> {
    let dates = queue.iter().filter_map(|entry| {
        let ahead = entry.request_date.unix_millis() - entry.uuid.made_at_millis()?;
        let believed = entry
            .request_date
            .plus(-TimeDelta::milliseconds(ahead.max(0)));
        Some((entry.uuid, believed))
    });
    dates.max_by_key(|(_, date)| *date)
}

/// Whether `now` may be believed, given what the clock said at the last look and when the newest job came.
///
/// # Errors
/// Where the clock jumped. After a jump ahead the caller notes `now` as the last look: a clock that stays there is
/// believed the next day.
pub fn check_clock(
    now: Date,
    last: Option<Date>,
    newest: Option<(JobId, Date)>,
) -> Result<(), ClockJump> {
    if let Some(newest) = newest.filter(|(_, date)| date.since(now) > SKEW) {
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

    fn job(hour: i64) -> JobId {
        JobId::new(date(hour), [0; 10])
    }

    #[test]
    fn a_date_that_was_written_by_hand_does_not_stop_retention() {
        let entry = |uuid: JobId, submitted: Date| {
            Arc::new(Entry::pending(uuid, "soc".parse().unwrap(), submitted))
        };
        let strange = "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap();
        let far = date(24 * 365 * 1000);
        let queue = Queue::new([
            entry(job(1), far),
            entry(strange, far),
            entry(job(2), date(0)),
        ])
        .0;
        assert_eq!(newest(&queue), Some((job(1), date(1))));
        assert_eq!(newest(&Queue::default()), None);
    }

    #[test]
    fn a_clock_that_went_back_stops_retention() {
        assert!(matches!(
            check_clock(date(0), None, Some((job(1), date(1)))),
            Err(ClockJump::Back { .. })
        ));
        assert_eq!(
            check_clock(
                date(0),
                None,
                Some((job(0), date(0).plus(TimeDelta::minutes(4))))
            ),
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
