//! Who is alive, judged by the observer's own monotonic clock.
//!
//! Clocks of two hosts are never compared: a worker lives while the counter of its heartbeat moves, and what is
//! measured is how long the observer has not seen it move.

use std::collections::HashMap;
use std::time::Duration;

use crate::files::Heartbeat;
use crate::ids::{JobId, Token, WorkerId};
use crate::queue::Queue;
use crate::status::State;

/// What one observer has seen so far. `now` is always the observer's monotonic time since some start of its own.
#[derive(Debug, Clone, Default)]
pub struct Liveness {
    workers: HashMap<WorkerId, Beats>,
    runs: HashMap<Run, Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Beats {
    counter: u64,
    moved: Duration,
}

/// A job that is being processed: under our token, or by a third party without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Run {
    /// One of ours.
    Ours(Token),
    /// Somebody's who claimed the job by hand.
    ThirdPartys(JobId),
}

impl Run {
    /// The run of a job in this state, where one is under way.
    pub fn of(uuid: JobId, state: &State) -> Option<Run> {
        match state {
            State::Processing { token: Some(token) } => Some(Run::Ours(*token)),
            State::Processing { token: None } => Some(Run::ThirdPartys(uuid)),
            _ => None,
        }
    }
}

impl Liveness {
    /// Takes in the heartbeats as they stand now, and the index. What is no longer there is forgotten.
    pub fn observe(&mut self, heartbeats: &[Heartbeat], queue: &Queue, now: Duration) {
        let mut alive = Vec::new();
        let mut workers = HashMap::with_capacity(heartbeats.len());
        for beat in heartbeats {
            let moved = match self.workers.get(&beat.worker) {
                Some(before) if before.counter == beat.counter => before.moved,
                _ => {
                    alive.extend(beat.jobs.iter().map(|job| Run::Ours(job.token)));
                    now
                }
            };
            workers.insert(
                beat.worker.clone(),
                Beats {
                    counter: beat.counter,
                    moved,
                },
            );
        }
        self.workers = workers;
        let under_way = queue
            .iter()
            .filter_map(|entry| Run::of(entry.uuid, entry.state()));
        // A run that is seen for the first time is given the benefit of the doubt: its worker may not have beaten yet.
        self.runs = under_way
            .map(|run| (run, *self.runs.get(&run).unwrap_or(&now)))
            .collect();
        for run in alive {
            self.runs.entry(run).and_modify(|seen| *seen = now);
        }
    }

    /// Whether nobody has vouched for this run for longer than `patience`.
    pub fn is_lost(&self, run: Run, patience: Duration, now: Duration) -> bool {
        self.runs
            .get(&run)
            .is_some_and(|seen| now.saturating_sub(*seen) > patience)
    }

    /// Whether this worker's counter moved within `patience`.
    pub fn is_alive(&self, worker: &WorkerId, patience: Duration, now: Duration) -> bool {
        self.workers
            .get(worker)
            .is_some_and(|beats| now.saturating_sub(beats.moved) <= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::Date;
    use crate::entry::Entry;
    use crate::files::RunningJob;
    use std::sync::Arc;

    const LEASE: Duration = Duration::from_secs(60);

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn job() -> JobId {
        "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap()
    }

    fn token() -> Token {
        Token::new([1; 16])
    }

    fn queue(token: Option<Token>) -> Queue {
        let now: Date = "2023-10-01T00:00:00Z".parse().unwrap();
        let entry = Entry::pending(job(), "soc".parse().unwrap(), now)
            .with_state(State::Processing { token });
        Queue::new([Arc::new(entry)]).0
    }

    fn beat(counter: u64, jobs: Vec<RunningJob>) -> Heartbeat {
        Heartbeat {
            worker: "w-1".parse().unwrap(),
            host: "app1".into(),
            boot: None,
            pid: 1,
            version: "0".into(),
            counter,
            slots: 2,
            jobs,
            apis: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn running() -> Vec<RunningJob> {
        vec![RunningJob {
            uuid: job(),
            token: token(),
        }]
    }

    #[test]
    fn a_worker_whose_counter_stands_still_loses_its_jobs_after_the_lease() {
        let mut seen = Liveness::default();
        seen.observe(&[beat(1, running())], &queue(Some(token())), at(0));
        seen.observe(&[beat(2, running())], &queue(Some(token())), at(50));
        seen.observe(&[beat(2, running())], &queue(Some(token())), at(110));
        assert!(!seen.is_lost(Run::Ours(token()), LEASE, at(110)));
        assert!(seen.is_lost(Run::Ours(token()), LEASE, at(111)));
        assert!(!seen.is_alive(&"w-1".parse().unwrap(), LEASE, at(111)));
    }

    #[test]
    fn a_living_worker_that_no_longer_knows_the_job_loses_it() {
        let mut seen = Liveness::default();
        for second in 0..=61 {
            seen.observe(
                &[beat(second, Vec::new())],
                &queue(Some(token())),
                at(second),
            );
        }
        assert!(seen.is_lost(Run::Ours(token()), LEASE, at(61)));
        assert!(seen.is_alive(&"w-1".parse().unwrap(), LEASE, at(61)));
    }

    #[test]
    fn a_third_partys_job_is_measured_from_when_it_was_first_seen() {
        let mut seen = Liveness::default();
        seen.observe(&[], &queue(None), at(5));
        seen.observe(&[], &queue(None), at(600));
        assert!(!seen.is_lost(Run::ThirdPartys(job()), Duration::from_secs(600), at(605)));
        assert!(seen.is_lost(Run::ThirdPartys(job()), Duration::from_secs(600), at(606)));
    }

    #[test]
    fn what_was_never_seen_is_not_lost() {
        assert!(!Liveness::default().is_lost(Run::Ours(token()), LEASE, at(1000)));
    }
}
