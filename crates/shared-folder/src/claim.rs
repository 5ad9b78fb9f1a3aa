//! A worker takes a job.

use job_core::claim::{Offer, claimable};
use job_core::date::Date;
use job_core::entry::Entry;
use job_core::files::Request;
use job_core::ids::{ApiName, JobId, Token, WorkerId};
use job_core::lease::Lease;
use job_core::status::{Failure, FailureReason, State};
use sha2::{Digest, Sha256};

use crate::error::FolderError;
use crate::finish::{Measured, hex};
use crate::folder::SharedFolder;
use crate::guard::Guard;
use crate::random;
use crate::view::REQUEST_FRAME;

/// A job that may be run and finished by whoever holds this, as long as its token stands in the index.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The job.
    pub uuid: JobId,
    /// Its API.
    pub api: ApiName,
    /// The token of this run.
    pub token: Token,
    /// What its client asked for.
    pub request: Request,
    /// SHA-256 of its request file, as hexadecimal digits.
    pub request_sha256: String,
    /// The lease of this run, with the history of the earlier ones.
    pub lease: Lease,
}

impl SharedFolder {
    /// Claims the first pending job that this worker can run now; nothing where there is none.
    ///
    /// # Errors
    /// [`FolderError::Busy`] where the lock was not free, or trouble with the volume: then nothing was claimed.
    pub fn claim(
        &self,
        worker: &WorkerId,
        pid: u32,
        offer: &Offer,
        now: Date,
    ) -> Result<Option<ClaimedJob>, FolderError> {
        // A look without the lock first: most wake-ups find nothing to do.
        if claimable(&self.queue()?, offer).next().is_none() {
            return Ok(None);
        }
        let mut guard = self.lock(now)?;
        let queue = guard.queue().clone();
        for entry in claimable(&queue, offer) {
            match guard.take_job(entry, worker, pid)? {
                Taken::Job(job) => {
                    guard.commit()?;
                    return Ok(Some(*job));
                }
                Taken::Unreadable(lease, failure) => {
                    let state = State::Failed {
                        finished: Some(now),
                        failure: Some(failure),
                    };
                    guard.end(entry, lease.as_ref(), state, &Measured::default())?;
                }
                Taken::NotNow => {}
            }
        }
        guard.commit()?;
        Ok(None)
    }

    /// Whether this run may still begin: its token stands in the index, and nothing has ended the job.
    ///
    /// # Errors
    /// Where index or facts cannot be read.
    pub fn is_still_mine(&self, job: &ClaimedJob) -> Result<bool, FolderError> {
        let queue = self.queue()?;
        let mine = queue
            .get(job.uuid)
            .is_some_and(|entry| entry.state().token() == Some(job.token));
        Ok(mine && !self.has_ended(job.uuid)? && !self.dirs.cancel.has(&job.uuid.to_string())?)
    }

    /// Whether a client asked for the end of this job.
    ///
    /// # Errors
    /// Where the folder of the marks cannot be read.
    pub fn is_cancel_requested(&self, uuid: JobId) -> Result<bool, FolderError> {
        self.dirs.cancel.has(&uuid.to_string())
    }

    /// What has become meanwhile of runs that were claimed here, in the same order. Where the index cannot be read,
    /// nothing is held against them.
    pub fn run_states(&self, runs: &[(JobId, Token)]) -> Vec<RunState> {
        // Nobody reads the index for nothing.
        let queue = (!runs.is_empty()).then(|| self.queue().ok()).flatten();
        let state = |&(uuid, token): &(JobId, Token)| {
            let entry = queue.as_ref().map(|queue| queue.get(uuid));
            let holder = entry.map(|entry| entry.and_then(|entry| entry.state().token()));
            if holder.is_some_and(|holder| holder != Some(token)) {
                RunState::Lost
            } else if self.is_cancel_requested(uuid).unwrap_or(false) {
                RunState::CancelRequested
            } else {
                RunState::Held
            }
        };
        runs.iter().map(state).collect()
    }

    fn has_ended(&self, uuid: JobId) -> Result<bool, FolderError> {
        let file = format!("{uuid}.json");
        Ok(self.dirs.receipt.has(&file)? || self.dirs.response.has(&file)?)
    }
}

/// What has become of a run while it went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It is still the job's run.
    Held,
    /// It is, and a client wants it to end.
    CancelRequested,
    /// The index names another run, or none: it was taken away, or it is just being published.
    Lost,
}

enum Taken {
    Job(Box<ClaimedJob>),
    /// Its request cannot be read: the job has failed.
    Unreadable(Option<Lease>, Failure),
    /// It has ended by its facts, is to end, waits to be tried again, or cannot be read by this worker.
    NotNow,
}

impl Guard<'_> {
    fn take_job(
        &mut self,
        entry: &Entry,
        worker: &WorkerId,
        pid: u32,
    ) -> Result<Taken, FolderError> {
        let folder = self.folder;
        let (uuid, file) = (entry.uuid, format!("{}.json", entry.uuid));
        if folder.has_ended(uuid)? || folder.dirs.cancel.has(&uuid.to_string())? {
            return Ok(Taken::NotNow);
        }
        let before = self.lease(uuid)?;
        if before
            .as_ref()
            .is_some_and(|lease| lease.waits_for_retry(self.now))
        {
            return Ok(Taken::NotNow);
        }
        let unreadable = |before, message: String| {
            Taken::Unreadable(before, Failure::new(FailureReason::InvalidRequest, message))
        };
        let bytes = match folder
            .dirs
            .request
            .read(&file, folder.options.request_limit + REQUEST_FRAME)
        {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let message = "its request file is no longer in the folder";
                let failure = Failure::new(FailureReason::RequestMissing, message);
                return Ok(Taken::Unreadable(before, failure));
            }
            // The file may be as it should: these are the worker's rights or the volume's trouble.
            Err(error) if !error.is_of_the_file() => {
                tracing::error!(job.id = %uuid, error = %error, reason = root_cause(&error), "a request cannot be read here");
                return Ok(Taken::NotNow);
            }
            Err(error) => {
                let message = format!("its request file cannot be read: {}", root_cause(&error));
                return Ok(unreadable(before, message));
            }
        };
        let request: Request = match serde_json::from_slice(&bytes) {
            Ok(request) => request,
            Err(error) => {
                let message =
                    format!("its request file was changed and is no request any more: {error}");
                return Ok(unreadable(before, message));
            }
        };
        if request.uuid != uuid || request.api != entry.api {
            let message = format!(
                "its request file is that of job {} for {}, and the index says {}",
                request.uuid, request.api, entry.api
            );
            return Ok(unreadable(before, message));
        }
        let token = random::token();
        let lease = Lease::next(before, worker.clone(), pid, token, self.now);
        let text = serde_json::to_vec(&lease).expect("a lease always serializes");
        folder.dirs.lease.replace(&file, &text)?;
        self.queue_mut()
            .set_state(uuid, State::Processing { token: Some(token) });
        let request_sha256 = hex(&Sha256::digest(&bytes));
        let api = entry.api.clone();
        Ok(Taken::Job(Box::new(ClaimedJob {
            uuid,
            api,
            token,
            request,
            request_sha256,
            lease,
        })))
    }
}

fn root_cause(error: &FolderError) -> String {
    match error {
        FolderError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}
