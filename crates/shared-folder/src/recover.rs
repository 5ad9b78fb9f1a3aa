//! What a crash left behind is settled, and a dead worker's job rescued.
//!
//! `job-core` decides by the recovery table; here its answer is applied, under the lock. Before anything is committed
//! or deleted because of a fact, that fact's folder is synced. Done twice, it changes nothing the second time.

use std::sync::Arc;

use job_core::date::Date;
use job_core::document;
use job_core::entry::Entry;
use job_core::ids::JobId;
use job_core::lease::RunEnd;
use job_core::recovery::{Facts, Owner, ResponseFact, Settlement, settle};
use job_core::status::{Failure, FailureReason, State};

use crate::dir::Published;
use crate::error::{Because, FolderError};
use crate::finish::{Measured, digest_of, receipt};
use crate::folder::SharedFolder;
use crate::guard::Guard;
use crate::observer::Observer;
use crate::retain;
use crate::sweep::Duty;

/// Settles these jobs now.
pub(crate) fn settle_now(
    folder: &SharedFolder,
    uuids: &[JobId],
    now: Date,
) -> Result<(), FolderError> {
    let mut guard = folder.lock(now)?;
    for uuid in uuids {
        settle_job(&mut guard, *uuid, &Observer::nobody())?;
    }
    guard.commit()
}

/// Settles everything that is not in order; running jobs are left to their workers.
pub(crate) fn settle_all(guard: &mut Guard<'_>) -> Result<usize, FolderError> {
    let observer = Observer::nobody();
    let suspects = observer.suspects(guard.folder, guard.queue(), Duty::Settle, guard.now)?;
    let mut settled = 0;
    for uuid in suspects {
        settled += usize::from(settle_or_say(guard, uuid, &observer));
    }
    Ok(settled)
}

/// The same as [`settle_job`] for one of many: trouble with its files holds up no other job.
pub(crate) fn settle_or_say(guard: &mut Guard<'_>, uuid: JobId, observer: &Observer<'_>) -> bool {
    settle_job(guard, uuid, observer).unwrap_or_else(|error| {
        tracing::error!(job.id = %uuid, error = error.with_reason(), "a job cannot be settled; it is tried again");
        false
    })
}

/// Brings one job's entry in line with its facts; whether anything had to be done.
pub(crate) fn settle_job(
    guard: &mut Guard<'_>,
    uuid: JobId,
    observer: &Observer<'_>,
) -> Result<bool, FolderError> {
    let folder = guard.folder;
    // Each step takes the job further down the table; eight are more than it has.
    for step in 0..8 {
        let entry = guard.queue().get(uuid).cloned();
        let settlement = match look(folder, uuid, entry.as_deref(), observer, guard.now)? {
            Look::BrokenReceipt => {
                let receipts = &folder.dirs.receipt;
                folder.put_aside(
                    receipts,
                    &format!("{uuid}.json"),
                    "it is no receipt",
                    guard.now,
                )?;
                receipts.sync()?;
                continue;
            }
            Look::Is(settlement) => settlement,
        };
        if settlement == Settlement::Settled {
            let Some(entry) = entry.filter(|entry| observer.api_is_gone(entry, guard.now)) else {
                return Ok(step > 0);
            };
            let message = format!("no worker has offered the API {} for seven days", entry.api);
            guard.write_receipt(uuid, failed(FailureReason::ApiGone, message))?;
            continue;
        }
        tracing::info!(job.id = %uuid, settlement = ?settlement, "a job is settled");
        match settlement {
            Settlement::Settled => {}
            Settlement::Enter(State::Pending) if folder.request(uuid)?.is_none() => {
                let message = "its request file cannot be read, and the index does not know it";
                guard.write_receipt(uuid, failed(FailureReason::InvalidRequest, message.into()))?;
            }
            Settlement::Enter(state) => guard.enter(uuid, state)?,
            Settlement::WriteReceipt(state) => guard.write_receipt(uuid, state)?,
            Settlement::QuarantineResponse => {
                folder.dirs.response.sync()?;
                folder.put_aside(
                    &folder.dirs.response,
                    &format!("{uuid}.json"),
                    "it is no JSON document",
                    guard.now,
                )?;
                folder.dirs.response.sync()?;
            }
            Settlement::Rescue => guard.rescue(uuid, observer)?,
            Settlement::FinishDeletion => retain::delete(guard, &[uuid])?,
            Settlement::Forget => {
                retain::remove_traces(folder, uuid)?;
                return Ok(true);
            }
        }
    }
    Ok(true)
}

/// What a look at one job's files finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// This is to be done.
    Is(Settlement),
    /// Its receipt cannot be read, or states no end; without it, look again.
    BrokenReceipt,
}

/// Looks at one job's files; nothing is changed.
pub(crate) fn look(
    folder: &SharedFolder,
    uuid: JobId,
    entry: Option<&Entry>,
    observer: &Observer<'_>,
    now: Date,
) -> Result<Look, FolderError> {
    let (dirs, file) = (&folder.dirs, format!("{uuid}.json"));
    let facts = folder.receipt(uuid).and_then(|receipt| {
        // Nobody looks into a response whose receipt is there: it may be large.
        let response = match &receipt {
            Some(_) => ResponseFact::Missing,
            None => judge_response(folder, &file)?,
        };
        Ok((receipt, response))
    });
    let (receipt, response) = match facts {
        Ok(facts) => facts,
        Err(error) => {
            // It may be as it should: these are this process's rights, or the volume's trouble.
            tracing::error!(job.id = %uuid, error = %error, "a fact cannot be read here; its job is left as it is");
            return Ok(Look::Is(Settlement::Settled));
        }
    };
    if receipt.is_none() && dirs.receipt.has(&file)? {
        return Ok(Look::BrokenReceipt);
    }
    let finished = receipt.as_ref().map(|receipt| receipt.finished_date);
    let finished = finished.or_else(|| entry.and_then(|entry| entry.state().finished()));
    let age = match (finished, entry) {
        (Some(finished), _) => Some(now.since(finished)),
        (None, Some(_)) => None,
        (None, None) => uuid
            .made_at_millis()
            .map(|made| chrono::TimeDelta::milliseconds(now.unix_millis() - made)),
    };
    let facts = Facts {
        request: dirs.request.has(&file)?,
        receipt: receipt.and_then(|receipt| receipt.state()),
        response,
        cancel: dirs.cancel.has(&uuid.to_string())?,
        expired: age.is_some_and(|age| age > folder.options.keep),
    };
    let owner = entry.map_or(Owner::Alive, |entry| observer.owner(folder, entry));
    Ok(Look::Is(settle(&facts, entry, owner)))
}

impl Guard<'_> {
    /// The index is to say what the facts say.
    fn enter(&mut self, uuid: JobId, state: State) -> Result<(), FolderError> {
        self.sync_facts = true;
        if state.status().is_final() {
            self.folder.tidy(uuid);
        }
        match self.queue().get(uuid) {
            Some(entry) => {
                let entry = Arc::new(entry.with_state(state));
                self.queue_mut().push(entry);
            }
            None => {
                let entry = self.entry_by_facts(uuid)?.with_state(state);
                self.queue_mut().insert_by_date(Arc::new(entry));
            }
        }
        Ok(())
    }

    fn write_receipt(&mut self, uuid: JobId, state: State) -> Result<(), FolderError> {
        let dirs = &self.folder.dirs;
        let mut measured = Measured::default();
        if let Some(response) = dirs.response.open_file(&format!("{uuid}.json"))? {
            let path = dirs.response.at(&format!("{uuid}.json"));
            rustix::fs::fsync(&response).because("sync", &path)?;
            if matches!(state, State::Done { .. }) {
                measured.sha256.response = Some(digest_of(&response).because("read", &path)?);
            }
        }
        dirs.response.sync()?;
        dirs.cancel.sync()?;
        let entry = match self.queue().get(uuid) {
            Some(entry) => entry.clone(),
            None => Arc::new(self.entry_by_facts(uuid)?),
        };
        let now = self.now;
        let state = match state {
            State::Done { finished: None } => State::Done {
                finished: Some(now),
            },
            State::Failed {
                finished: None,
                failure,
            } => State::Failed {
                finished: Some(now),
                failure,
            },
            State::Canceled { finished: None } => State::Canceled {
                finished: Some(now),
            },
            state => state,
        };
        let lease = self.lease(uuid)?;
        let receipt = receipt(&entry, lease.as_ref(), &state, &measured, now);
        let text = serde_json::to_vec(&receipt).expect("a receipt always serializes");
        let published = self
            .folder
            .dirs
            .receipt
            .publish(&format!("{uuid}.json"), &text)?;
        if published == Published::Before {
            // Asked again, the facts say what that receipt says.
            return Ok(());
        }
        self.enter(uuid, state)
    }

    /// A run was lost with its worker: the job waits again, or has failed.
    fn rescue(&mut self, uuid: JobId, observer: &Observer<'_>) -> Result<(), FolderError> {
        let Some(entry) = self.queue().get(uuid).cloned() else {
            return Ok(());
        };
        let lease = self
            .lease(uuid)?
            .map(|lease| lease.ended(entry.state().token(), RunEnd::Lost, self.now));
        if let Some(lease) = &lease {
            self.write_lease(uuid, lease)?;
            if let Some(failure) = lease.failure_by_loss(&observer.limits(&entry.api)) {
                return self.write_receipt(
                    uuid,
                    State::Failed {
                        finished: None,
                        failure: Some(failure),
                    },
                );
            }
        }
        let _ = self.folder.dirs.progress.remove(&format!("{uuid}.json"));
        tracing::warn!(job.id = %uuid, worker.id = lease.as_ref().map(|lease| lease.worker.as_str()), "a job was taken back from a worker that is gone");
        self.enter(uuid, State::Pending)
    }

    /// The entry of a job that the index lost.
    fn entry_by_facts(&self, uuid: JobId) -> Result<Entry, FolderError> {
        if let Some(request) = self.folder.request(uuid)? {
            return Ok(request.entry());
        }
        let receipt = self.folder.receipt(uuid)?;
        Ok(receipt
            .and_then(|receipt| receipt.entry())
            .unwrap_or_else(|| {
                // Only a response is left of it: nobody knows any more which API it was for.
                let api = "unknown".parse().expect("it is a name");
                Entry::pending(uuid, api, self.now)
            }))
    }
}

fn failed(reason: FailureReason, message: String) -> State {
    State::Failed {
        finished: None,
        failure: Some(Failure::new(reason, message)),
    }
}

fn judge_response(folder: &SharedFolder, file: &str) -> Result<ResponseFact, FolderError> {
    let limit = folder.options.result_limit;
    match folder.dirs.response.read(file, limit) {
        Ok(None) => Ok(ResponseFact::Missing),
        Ok(Some(bytes)) if document::check(&bytes).is_ok() => Ok(ResponseFact::Valid),
        Err(error) if !error.is_of_the_file() => Err(error),
        Ok(Some(_)) | Err(_) => Ok(ResponseFact::Broken),
    }
}

/// Whether a response is a JSON document. Links, folders and pipes are none, and are never followed or waited for.
pub(crate) fn is_json(folder: &SharedFolder, file: &str) -> bool {
    let bytes = folder.dirs.response.read(file, folder.options.result_limit);
    bytes.is_ok_and(|bytes| bytes.is_some_and(|bytes| document::check(&bytes).is_ok()))
}
