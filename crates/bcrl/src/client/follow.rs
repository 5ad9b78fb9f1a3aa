//! Waiting: asks the server about one job until it is final, as seldom as the server allows and as often as it needs.

use std::time::Duration;

use job_core::ids::JobId;
use job_core::status::Status;
use reqwest::header::HeaderValue;
use tokio::time::{Instant, sleep, timeout_at};

use super::Client;
use super::error::Error;
use super::http::Seen;
use super::job::Job;
use super::progress::JobLine;

/// How long the server is asked to hold its answer back while nothing changes.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same while a person looks at a queue position: moving up does not count as a change, so it is asked for.
const PATIENCE_IN_QUEUE: Duration = Duration::from_secs(5);
/// An answer that comes sooner than this was not held back.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long trouble may last where no time-out was given.
const TROUBLE: Duration = Duration::from_secs(120);

/// Waits until the job is final, or until `deadline`, and shows on `line` what happens meanwhile.
///
/// # Errors
/// [`Error::GaveUp`] at the deadline, or where trouble lasts two minutes and there is no deadline; what the server
/// refuses, at once.
pub(super) async fn follow(
    client: &Client,
    id: JobId,
    line: &JobLine<'_>,
    deadline: Option<Instant>,
) -> Result<Job, Error> {
    let mut follower = Follower {
        client,
        id,
        line,
        tag: None,
        last: None,
    };
    match deadline {
        None => follower.until_final(Some(TROUBLE)).await,
        Some(deadline) => {
            let in_time = timeout_at(deadline, follower.until_final(None)).await;
            in_time.unwrap_or(Err(Error::GaveUp { id, cause: None }))
        }
    }
}

struct Follower<'a> {
    client: &'a Client,
    id: JobId,
    line: &'a JobLine<'a>,
    /// What the server called the state that was last seen; absent to be told the present one in any case.
    tag: Option<HeaderValue>,
    /// The job as it was last seen.
    last: Option<Job>,
}

impl Follower<'_> {
    /// Asks until the job is final; `trouble_limit` is how long nothing but trouble is borne.
    async fn until_final(&mut self, trouble_limit: Option<Duration>) -> Result<Job, Error> {
        // Today's server answers at once, changed or not; then the pause grows while nothing happens.
        let mut idle = Pauses::new(Duration::from_millis(50), Duration::from_secs(1));
        let mut trouble = Trouble::default();
        loop {
            let asked = Instant::now();
            match self.ask().await {
                Ok(changed) => {
                    trouble.is_over();
                    if changed {
                        idle.start_again();
                    }
                    if let Some(job) = self.last.take_if(|job| job.status.is_final()) {
                        return Ok(job);
                    }
                    if asked.elapsed() < AT_ONCE {
                        idle.next().await;
                    }
                }
                Err(error) if error.may_pass() => {
                    self.ride_out(error, &mut trouble, trouble_limit).await?
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks once; whether the job changed since the time before.
    async fn ask(&mut self) -> Result<bool, Error> {
        let server = &self.client.server;
        let seen = match &self.tag {
            None => Some(server.job(self.id).await?),
            Some(tag) => server.changed_job(self.id, tag, self.patience()).await?,
        };
        let Some(Seen { job, tag }) = seen else {
            if self.is_queued() {
                self.tag = None;
            }
            return Ok(false);
        };
        self.tag = tag;
        // A server without tags answers in full each time, and its estimates may never be the same.
        let standing = job.standing();
        let changed = self
            .last
            .as_ref()
            .is_none_or(|last| last.standing() != standing);
        if changed {
            self.line.show(&job);
        }
        self.last = Some(job);
        Ok(changed)
    }

    fn patience(&self) -> Duration {
        if self.is_queued() && self.client.terminal.shows_bars() {
            PATIENCE_IN_QUEUE
        } else {
            PATIENCE
        }
    }

    fn is_queued(&self) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|job| job.status == Status::Pending)
    }

    /// Waits a little for trouble to pass, and tells of it once.
    async fn ride_out(
        &self,
        error: Error,
        trouble: &mut Trouble,
        limit: Option<Duration>,
    ) -> Result<(), Error> {
        let since = *trouble.since.get_or_insert_with(|| {
            self.client.terminal.warn(&format!("{error}; trying again"));
            Instant::now()
        });
        if limit.is_some_and(|limit| since.elapsed() >= limit) {
            return Err(Error::GaveUp {
                id: self.id,
                cause: Some(Box::new(error)),
            });
        }
        trouble.pauses.next().await;
        Ok(())
    }
}

/// Failures in a row.
struct Trouble {
    /// When the first of them was.
    since: Option<Instant>,
    pauses: Pauses,
}

impl Default for Trouble {
    fn default() -> Self {
        Trouble {
            since: None,
            pauses: Pauses::new(Duration::from_millis(200), Duration::from_secs(5)),
        }
    }
}

impl Trouble {
    fn is_over(&mut self) {
        *self = Trouble::default();
    }
}

/// Pauses, each twice as long as the one before, up to a longest.
pub(super) struct Pauses {
    shortest: Duration,
    longest: Duration,
    next: Duration,
}

impl Pauses {
    /// Pauses that begin with `shortest`.
    pub(super) fn new(shortest: Duration, longest: Duration) -> Pauses {
        Pauses {
            shortest,
            longest,
            next: shortest,
        }
    }

    /// Sleeps for the next pause.
    pub(super) async fn next(&mut self) {
        sleep(self.step()).await;
    }

    /// How long the next pause is; the one after it is longer.
    pub(super) fn step(&mut self) -> Duration {
        let pause = self.next;
        self.next = self.longest.min(pause * 2);
        pause
    }

    fn start_again(&mut self) {
        self.next = self.shortest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_start_again() {
        let mut pauses = Pauses::new(Duration::from_millis(50), Duration::from_millis(300));
        let millis: Vec<_> = (0..5).map(|_| pauses.step().as_millis()).collect();
        assert_eq!(millis, [50, 100, 200, 300, 300]);
        pauses.start_again();
        assert_eq!(pauses.step().as_millis(), 50);
    }
}
