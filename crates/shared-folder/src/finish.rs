//! A run ends: the job is done, failed, canceled, given back, or to be tried again.
//!
//! Only the run whose token stands in the index may end the job; whatever comes later goes to `quarantine/late/`.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use job_core::catalog::Limits;
use job_core::date::Date;
use job_core::entry::Entry;
use job_core::files::{Containment, Digests, Progress, Receipt};
use job_core::ids::JobId;
use job_core::lease::{Lease, RunEnd};
use job_core::liveness::Run;
use job_core::status::{Failure, FailureReason, State, Status};
use sha2::{Digest, Sha256};

use crate::claim::ClaimedJob;
use crate::dir::{Dir, Kind, Published, Temporary};
use crate::error::{Because, FolderError};
use crate::folder::SharedFolder;
use crate::guard::Guard;
use crate::observer::Observer;
use crate::recover::settle_job;

/// What was measured of a run, for its receipt.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// How long it took, in milliseconds.
    pub run_ms: Option<u64>,
    /// The most memory that its processes held together, in bytes.
    pub max_memory: Option<u64>,
    /// The script's exit code, where it exited by itself.
    pub exit_code: Option<i32>,
    /// What held its script, where that was started.
    pub containment: Option<Containment>,
    /// SHA-256 digests of request, app and response.
    pub sha256: Digests,
}

/// What became of a run's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The job has ended as this run says.
    Published,
    /// Somebody else's word about the job was first; this run's was put aside.
    TooLate,
}

/// What became of a wish to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// The job is canceled, and will never run.
    Canceled,
    /// Its run was asked to end; if it finishes first, it stays finished.
    Requested,
    /// It had ended before.
    AlreadyFinal(Status),
    /// There is no such job.
    Unknown,
}

impl SharedFolder {
    /// Publishes what the run printed, the file at `printed`, as the job's response: the job is done.
    ///
    /// # Errors
    /// [`FolderError::Busy`], a full disk, or trouble with the volume: the job is as it was, and it may be tried again
    /// for as long as it takes.
    pub fn finish_done(
        &self,
        job: &ClaimedJob,
        printed: &Path,
        measured: &Measured,
        now: Date,
    ) -> Result<Ended, FolderError> {
        self.with_reserve(|| {
            let (response, digest) = copy_and_sync(printed, &self.dirs.response)?;
            let mut guard = self.lock(now)?;
            let Some(entry) = guard.entry_of(job)? else {
                let ended = guard.is_mine_by_receipt(job)?;
                if ended == Ended::TooLate {
                    self.put_late_aside(response, job, now)?;
                }
                guard.commit()?;
                return Ok(ended);
            };
            let file = format!("{}.json", job.uuid);
            let mut mine = response.publish(&file)?;
            while let Some(response) = mine {
                if self.has_response(&file, &digest) {
                    // This very run's: only what comes behind it failed the last time.
                    break;
                }
                // A response without a receipt, while the job is ours: a third party's, or half of something.
                settle_job(&mut guard, job.uuid, &Observer::nobody())?;
                if guard
                    .queue()
                    .get(job.uuid)
                    .is_none_or(|entry| entry.status().is_final())
                {
                    self.put_late_aside(response, job, now)?;
                    guard.commit()?;
                    return Ok(Ended::TooLate);
                }
                self.put_aside(&self.dirs.response, &file, "it is no JSON document", now)?;
                mine = response.publish(&file)?;
            }
            self.dirs.response.sync()?;
            let mut measured = measured.clone();
            measured.sha256.response = Some(digest);
            guard.end(
                &entry,
                Some(&job.lease),
                State::Done {
                    finished: Some(now),
                },
                &measured,
            )?;
            self.tidy(job.uuid);
            guard.commit()?;
            Ok(Ended::Published)
        })
    }

    /// Whether the response of this name has this digest.
    fn has_response(&self, file: &str, digest: &str) -> bool {
        let response = self.dirs.response.open_file(file).ok().flatten();
        response.is_some_and(|response| digest_of(&response).is_ok_and(|other| other == digest))
    }

    /// Ends the job without a result: it has failed for this reason.
    ///
    /// # Errors
    /// As for [`SharedFolder::finish_done`].
    pub fn finish_failed(
        &self,
        job: &ClaimedJob,
        failure: &Failure,
        measured: &Measured,
        now: Date,
    ) -> Result<Ended, FolderError> {
        self.finish_without_result(
            job,
            State::Failed {
                finished: Some(now),
                failure: Some(failure.clone()),
            },
            measured,
            now,
        )
    }

    /// Ends the job because a client asked for it.
    ///
    /// # Errors
    /// As for [`SharedFolder::finish_done`].
    pub fn finish_canceled(
        &self,
        job: &ClaimedJob,
        measured: &Measured,
        now: Date,
    ) -> Result<Ended, FolderError> {
        self.finish_without_result(
            job,
            State::Canceled {
                finished: Some(now),
            },
            measured,
            now,
        )
    }

    fn finish_without_result(
        &self,
        job: &ClaimedJob,
        state: State,
        measured: &Measured,
        now: Date,
    ) -> Result<Ended, FolderError> {
        self.with_reserve(|| {
            let mut guard = self.lock(now)?;
            let Some(entry) = guard.entry_of(job)? else {
                let ended = guard.is_mine_by_receipt(job)?;
                guard.commit()?;
                return Ok(ended);
            };
            guard.end(&entry, Some(&job.lease), state.clone(), measured)?;
            self.tidy(job.uuid);
            guard.commit()?;
            Ok(Ended::Published)
        })
    }

    /// Gives the job back to the queue, at its old place: its worker is shutting down. No loss is counted.
    ///
    /// # Errors
    /// As for [`SharedFolder::finish_done`]; a job that cannot be given back is rescued once its lease is over.
    pub fn give_back(&self, job: &ClaimedJob, now: Date) -> Result<Ended, FolderError> {
        self.make_pending(job, RunEnd::GivenBack, now)
    }

    /// Lets the job wait to be run again after the script's own failure.
    ///
    /// # Errors
    /// As for [`SharedFolder::finish_done`].
    pub fn try_again(
        &self,
        job: &ClaimedJob,
        reason: FailureReason,
        now: Date,
    ) -> Result<Ended, FolderError> {
        self.make_pending(job, RunEnd::Failed(reason), now)
    }

    /// The run was lost although its worker lives: its supervisor is gone. The job waits again, or has failed where
    /// its API allows no more losses.
    ///
    /// # Errors
    /// As for [`SharedFolder::finish_done`].
    pub fn lose(&self, job: &ClaimedJob, limits: &Limits, now: Date) -> Result<Ended, FolderError> {
        let lost = job.lease.clone().ended(Some(job.token), RunEnd::Lost, now);
        match lost.failure_by_loss(limits) {
            Some(failure) => self.finish_failed(job, &failure, &Measured::default(), now),
            None => self.make_pending(job, RunEnd::Lost, now),
        }
    }

    /// Shows how far a run is.
    ///
    /// # Errors
    /// Where the file cannot be replaced; nothing depends on it.
    pub fn show_progress(&self, uuid: JobId, progress: &Progress) -> Result<(), FolderError> {
        let text = serde_json::to_vec(progress).expect("progress always serializes");
        self.dirs.progress.replace(&format!("{uuid}.json"), &text)
    }

    /// Makes the file that takes what a job's script writes to stderr, where there is none yet, and tells where it is.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn log_file(&self, uuid: JobId) -> Result<PathBuf, FolderError> {
        let name = format!("{uuid}.log");
        self.dirs.log.touch(&name, Kind::Record)?;
        Ok(self.dirs.log.at(&name))
    }

    fn make_pending(&self, job: &ClaimedJob, end: RunEnd, now: Date) -> Result<Ended, FolderError> {
        let mut guard = self.lock(now)?;
        if guard.entry_of(job)?.is_none() {
            return Ok(Ended::TooLate);
        }
        guard.write_lease(
            job.uuid,
            &job.lease.clone().ended(Some(job.token), end, now),
        )?;
        guard.queue_mut().set_state(job.uuid, State::Pending);
        guard.commit()?;
        let _ = self.dirs.progress.remove(&format!("{}.json", job.uuid));
        Ok(Ended::Published)
    }

    /// Cancels a job at a client's wish.
    ///
    /// # Errors
    /// As for [`SharedFolder::finish_done`]: then nothing was promised.
    pub fn cancel(&self, uuid: JobId, now: Date) -> Result<Cancel, FolderError> {
        // Where the receipt was published and only the commit failed, the second try finds the job canceled by this wish.
        let mut canceled_here = false;
        self.with_reserve(|| {
            let mut guard = self.lock(now)?;
            settle_job(&mut guard, uuid, &Observer::nobody())?;
            guard.save()?;
            let Some(entry) = guard.queue().get(uuid).cloned() else {
                return Ok(Cancel::Unknown);
            };
            match entry.state() {
                State::Pending => {
                    let lease = guard.lease(uuid)?;
                    let state = State::Canceled {
                        finished: Some(now),
                    };
                    guard.end(&entry, lease.as_ref(), state, &Measured::default())?;
                    canceled_here = true;
                    self.tidy(uuid);
                    guard.commit()?;
                    Ok(Cancel::Canceled)
                }
                State::Processing { .. } => {
                    self.dirs.cancel.touch(&uuid.to_string(), Kind::Record)?;
                    self.dirs.cancel.sync()?;
                    Ok(Cancel::Requested)
                }
                State::Canceled { .. } if canceled_here => Ok(Cancel::Canceled),
                ended => Ok(Cancel::AlreadyFinal(ended.status())),
            }
        })
    }

    /// Removes what a job needs no longer once its receipt is durable; still under the lock, so that nobody who holds it
    /// finds leftovers. What cannot be removed now goes with retention.
    pub(crate) fn tidy(&self, uuid: JobId) {
        let file = format!("{uuid}.json");
        let _ = self.dirs.lease.remove(&file);
        let _ = self.dirs.progress.remove(&file);
        let _ = self.dirs.cancel.remove(&uuid.to_string());
    }

    fn put_late_aside(
        &self,
        response: Temporary<'_>,
        job: &ClaimedJob,
        now: Date,
    ) -> Result<(), FolderError> {
        let place = self.place_aside(&format!("{}.json", job.uuid), now);
        self.dirs
            .response
            .move_to(&response.keep(), &self.dirs.late, &place)?;
        let reason = format!(
            "run {} of {} ended after somebody else had ended the job",
            job.lease.attempt, job.lease.worker
        );
        self.note_reason(&self.dirs.late, &place, &reason)?;
        tracing::warn!(job.id = %job.uuid, worker.id = %job.lease.worker, "a result came too late and was put aside");
        Ok(())
    }
}

impl Guard<'_> {
    /// Ends a job: its receipt is published and durable, then the index says so (with the next commit).
    pub(crate) fn end(
        &mut self,
        entry: &Arc<Entry>,
        lease: Option<&Lease>,
        state: State,
        measured: &Measured,
    ) -> Result<(), FolderError> {
        let receipt = receipt(entry, lease, &state, measured, self.now);
        let text = serde_json::to_vec(&receipt).expect("a receipt always serializes");
        let published = self
            .folder
            .dirs
            .receipt
            .publish(&format!("{}.json", entry.uuid), &text)?;
        if published == Published::Before {
            // Somebody else's receipt is there: the job ended as that one says.
            settle_job(self, entry.uuid, &Observer::nobody())?;
            return Ok(());
        }
        let entry = entry.with_state(state);
        self.queue_mut().push(Arc::new(entry));
        Ok(())
    }

    /// Writes a job's lease.
    pub(crate) fn write_lease(&self, uuid: JobId, lease: &Lease) -> Result<(), FolderError> {
        let text = serde_json::to_vec(lease).expect("a lease always serializes");
        self.folder
            .dirs
            .lease
            .replace(&format!("{uuid}.json"), &text)
    }

    /// The entry of a job that this run may end.
    fn entry_of(&self, job: &ClaimedJob) -> Result<Option<Arc<Entry>>, FolderError> {
        let Some(entry) = self.queue().get(job.uuid) else {
            return Ok(None);
        };
        let mine = Run::of(entry.uuid, entry.state()) == Some(Run::Ours(job.token));
        let receipt = self
            .folder
            .dirs
            .receipt
            .has(&format!("{}.json", job.uuid))?;
        Ok((mine && !receipt).then(|| entry.clone()))
    }

    /// Whether a receipt that is there already is this very run's: its commit had failed half-way.
    fn is_mine_by_receipt(&mut self, job: &ClaimedJob) -> Result<Ended, FolderError> {
        let receipt = self.folder.receipt(job.uuid)?;
        let mine = receipt.is_some_and(|receipt| {
            receipt.worker.as_ref() == Some(&job.lease.worker)
                && receipt.attempt == Some(job.lease.attempt)
        });
        settle_job(self, job.uuid, &Observer::nobody())?;
        Ok(if mine {
            Ended::Published
        } else {
            Ended::TooLate
        })
    }
}

/// The receipt of a job that ends with `state`, with all that its lease and its run tell.
pub(crate) fn receipt(
    entry: &Entry,
    lease: Option<&Lease>,
    state: &State,
    measured: &Measured,
    now: Date,
) -> Receipt {
    let plain = Receipt {
        sha256: measured.sha256.clone(),
        ..Receipt::without_run(entry, state, now)
    };
    let Some(lease) = lease else { return plain };
    let outcome = plain
        .failure
        .as_ref()
        .map_or(state.status().as_str(), |failure| failure.reason.as_str());
    Receipt {
        started_date: Some(lease.claimed),
        attempt: Some(lease.attempt),
        attempts: lease.attempts_with(outcome, now),
        worker: Some(lease.worker.clone()),
        run_ms: measured.run_ms,
        max_memory: measured.max_memory,
        exit_code: measured.exit_code,
        containment: measured.containment.clone(),
        ..plain
    }
}

/// Copies a file beside the responses, durable; with its SHA-256.
fn copy_and_sync<'a>(from: &Path, to: &'a Dir) -> Result<(Temporary<'a>, String), FolderError> {
    let mut source = std::fs::File::open(from).because("open", from)?;
    let mut temporary = to.temporary(Kind::Fact)?;
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let read = source.read(&mut block).because("read", from)?;
        if read == 0 {
            break;
        }
        digest.update(&block[..read]);
        temporary
            .file()
            .write_all(&block[..read])
            .because("write", to.path())?;
    }
    temporary.sync()?;
    Ok((temporary, hex(&digest.finalize())))
}

/// The SHA-256 of a file's content, as hexadecimal digits.
pub(crate) fn digest_of(mut file: &std::fs::File) -> std::io::Result<String> {
    let (mut digest, mut block) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex(&digest.finalize())),
            read => digest.update(&block[..read]),
        }
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
