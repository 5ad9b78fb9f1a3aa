//! The load itself: each job is sent when its turn comes, whatever became of those before it, and seen to its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use job_core::ids::{ApiName, JobId};
use job_core::status::Status;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::rate::Rate;
use super::server::{Answer, Broken, Job, Server};
use super::tally::{Outcome, Tally};

/// How long trouble with the server may last before a job is given up.
const TROUBLE: Duration = Duration::from_secs(30);

/// What is to be done, and what was seen of it.
#[derive(Debug)]
pub(super) struct Load {
    /// The server.
    pub(super) server: Server,
    /// The API that all jobs are for.
    pub(super) api: ApiName,
    /// The body of all of them.
    pub(super) body: String,
    /// When they are sent.
    pub(super) rate: Rate,
    /// How many are sent.
    pub(super) jobs: u32,
    /// Most jobs under way at once.
    pub(super) concurrency: Option<usize>,
    /// How often a job is looked at.
    pub(super) looks: Looks,
    /// Longest time to wait for a job's end.
    pub(super) timeout: Option<Duration>,
    /// What was seen so far.
    pub(super) tally: Mutex<Tally>,
}

/// How often a job is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looks {
    /// Least time between two looks.
    pub(super) every: Duration,
    /// Whether the server's wish to be left alone for longer is not heard.
    pub(super) ignore_retry_after: bool,
}

impl Looks {
    /// How long to wait before the next look at a job that has not ended.
    fn pause(self, retry_after: Option<Duration>) -> Duration {
        let wish = retry_after.filter(|_| !self.ignore_retry_after);
        self.every.max(wish.unwrap_or_default())
    }

    /// How long to wait after an answer that tells of trouble. It is worse for being asked more often.
    fn pause_in_trouble(self, retry_after: Option<Duration>) -> Duration {
        self.every
            .max(retry_after.unwrap_or(Duration::from_secs(1)))
    }
}

impl Load {
    /// What was seen so far.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends all jobs, each at its time, and returns once something became of every one. May be dropped at any time.
pub(super) async fn run(load: &Arc<Load>) {
    let begin = Instant::now();
    let slots = load.concurrency.map(Semaphore::new).map(Arc::new);
    let mut jobs = JoinSet::new();
    for number in 0..load.jobs {
        let due = begin + load.rate.at(number);
        sleep_until(due).await;
        let slot = match &slots {
            None => None,
            Some(slots) => {
                let slot = slots.clone().acquire_owned().await;
                Some(slot.expect("nobody closes this semaphore"))
            }
        };
        load.tally().submitted += 1;
        let load = load.clone();
        jobs.spawn(async move {
            let outcome = one_job(&load, due).await;
            load.tally().end(outcome);
            drop(slot);
        });
        while jobs.try_join_next().is_some() {}
    }
    while jobs.join_next().await.is_some() {}
}

/// Submits a job that was to be sent at `due`, and sees it to its end.
async fn one_job(load: &Load, due: Instant) -> Outcome {
    let answer = match load.server.submit(&load.api, &load.body).await {
        Ok(answer) if answer.is_success() => answer,
        Ok(answer) => return Outcome::Refused(answer.status, answer.detail()),
        Err(Broken(why)) => return Outcome::Broken(format!("submit: {why}")),
    };
    let Some(job) = answer.job() else {
        return Outcome::Error("submit: the answer is no job".into());
    };
    {
        let mut tally = load.tally();
        tally.accepted += 1;
        tally.submit.record(due.elapsed());
    }
    let seen = follow(load, job, answer.retry_after);
    let ended = match load.timeout {
        None => seen.await,
        Some(patience) => timeout(patience, seen).await.unwrap_or_else(|_| {
            let patience = humantime::format_duration(patience);
            Err(Outcome::Error(format!("not ended within {patience}")))
        }),
    };
    match ended {
        Err(outcome) => outcome,
        Ok(job) => outcome_of(load, job, due).await,
    }
}

/// Looks at a job until it is final.
async fn follow(
    load: &Load,
    mut job: Job,
    mut retry_after: Option<Duration>,
) -> Result<Job, Outcome> {
    let mut trouble_since = None;
    let mut pause = load.looks.pause(retry_after);
    while !job.status.is_final() {
        sleep(pause).await;
        let trouble = match load.server.job(job.uuid).await {
            Ok(answer) if answer.may_pass() => {
                retry_after = answer.retry_after;
                Outcome::Error(refused("status", &answer))
            }
            Ok(answer) if !answer.is_success() => {
                return Err(Outcome::Error(refused("status", &answer)));
            }
            Ok(answer) => {
                job = answer
                    .job()
                    .ok_or_else(|| Outcome::Error("status: the answer is no job".into()))?;
                trouble_since = None;
                pause = load.looks.pause(answer.retry_after);
                continue;
            }
            Err(Broken(why)) => {
                retry_after = None;
                Outcome::Broken(format!("status: {why}"))
            }
        };
        let since = *trouble_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= TROUBLE {
            return Err(trouble);
        }
        pause = load.looks.pause_in_trouble(retry_after);
    }
    Ok(job)
}

async fn outcome_of(load: &Load, job: Job, due: Instant) -> Outcome {
    match job.status {
        Status::Done => {}
        Status::Canceled => return Outcome::Canceled,
        _ => {
            let reason = job.failure.map(|failure| failure.reason);
            return Outcome::Failed(reason.unwrap_or_else(|| "unknown".into()));
        }
    }
    let seen = due.elapsed();
    if let Err(outcome) = fetch(load, job.uuid).await {
        return outcome;
    }
    let mut tally = load.tally();
    tally.seen_done.record(seen);
    if let (Some(request), Some(finished)) = (job.request_date, job.finished_date) {
        // Two hosts' clocks may not agree about which came first.
        let took = finished.since(request).to_std().unwrap_or_default();
        tally.dated.record(took);
    }
    Outcome::Done
}

/// Fetches a result, which has to be JSON.
async fn fetch(load: &Load, id: JobId) -> Result<(), Outcome> {
    let answer = match load.server.result(id).await {
        Ok(answer) => answer,
        Err(Broken(why)) => return Err(Outcome::Broken(format!("result: {why}"))),
    };
    if !answer.is_success() {
        return Err(Outcome::Error(refused("result", &answer)));
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body)
        .map(|_| ())
        .map_err(|_| Outcome::Error("result: it is no JSON".into()))
}

fn refused(what: &str, answer: &Answer) -> String {
    format!("{what}: {}", answer.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_says_when_it_is_asked_again_unless_it_is_not_heard() {
        let second = Duration::from_secs(1);
        let polite = Looks {
            every: second * 2,
            ignore_retry_after: false,
        };
        assert_eq!(polite.pause(None), second * 2);
        assert_eq!(polite.pause(Some(second)), second * 2);
        assert_eq!(polite.pause(Some(second * 30)), second * 30);
        let impatient = Looks {
            every: second / 5,
            ignore_retry_after: true,
        };
        assert_eq!(impatient.pause(Some(second * 30)), second / 5);
        // A server in trouble is never pressed.
        assert_eq!(impatient.pause_in_trouble(Some(second * 5)), second * 5);
        assert_eq!(impatient.pause_in_trouble(None), second);
    }
}
