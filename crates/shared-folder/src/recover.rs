//! What a crash left behind is settled, and a dead worker's job rescued.
//!
//! `job-core` decides by the recovery table; here its answer is applied, under the lock. Before anything is committed
//! or deleted because of a fact, that fact's folder is synced. Done twice, it changes nothing the second time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use job_core::catalog::Catalog;
use job_core::date::Date;
use job_core::entry::Entry;
use job_core::files::{Heartbeat, Receipt};
use job_core::ids::{ApiName, JobId, WorkerId};
use job_core::lease::{Beat, Lease, RunEnd};
use job_core::liveness::{Liveness, Run};
use job_core::queue::Queue;
use job_core::recovery::{Facts, Owner, ResponseFact, Settlement, settle};
use job_core::status::{Failure, FailureReason, State, Status};

use crate::dir::{Dir, Published, TEMPORARY, job_of};
use crate::error::{Because, FolderError};
use crate::finish::{Measured, receipt};
use crate::folder::SharedFolder;
use crate::guard::Guard;
use crate::heartbeat;
use crate::retain;

/// A pending job whose API nobody offers has failed after this time.
const API_GONE: chrono::TimeDelta = chrono::TimeDelta::days(7);
/// Jobs that are settled in one go before others may have the lock.
const BATCH: usize = 200;
/// A temporary file that is older belongs to nobody any more.
const TEMPORARY_AGE: chrono::TimeDelta = chrono::TimeDelta::minutes(10);
/// A worker that was silent for so long will not come back under this name.
const FORGET_WORKER: Duration = Duration::from_secs(3600);

/// One process's look at the folder, again and again.
#[derive(Debug)]
pub struct Sweeper {
    duty: Duty,
    beat: Beat,
    liveness: Liveness,
}

/// What a sweeper does about jobs whose worker is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// It takes them back.
    Rescue,
    /// It leaves them to the workers, and settles only what has ended.
    Settle,
}

impl Sweeper {
    /// A sweeper that has seen nothing yet.
    pub fn new(duty: Duty, beat: Beat) -> Self {
        Sweeper {
            duty,
            beat,
            liveness: Liveness::default(),
        }
    }

    /// Looks once: settles what is not in order, rescues what lost its worker where that is its duty, and clears away
    /// what nobody needs. `clock` is this process's monotonic time. Returns how many jobs were settled.
    ///
    /// # Errors
    /// [`FolderError::Busy`] or trouble with the volume; the next sweep does what this one did not.
    pub fn run_once(
        &mut self,
        folder: &SharedFolder,
        catalog: &Catalog,
        now: Date,
        clock: Duration,
    ) -> Result<usize, FolderError> {
        if !folder.index_is_sound() {
            // Taking the lock mends it: from its last good generation and the facts.
            drop(folder.lock(now)?);
        }
        let queue = folder.queue()?;
        let heartbeats = folder.heartbeats()?;
        self.liveness.observe(&heartbeats, &queue, clock);
        let observer = Observer {
            alive: Some((&self.liveness, self.beat.lease, clock)),
            gone: heartbeat::gone_from_this_machine(folder, &heartbeats),
            catalog: Some(catalog),
        };
        let suspects = observer.suspects(folder, &queue, self.duty, now)?;
        let mut settled = 0;
        for batch in suspects.chunks(BATCH) {
            let mut guard = folder.lock(now)?;
            for uuid in batch {
                settled += usize::from(settle_job(&mut guard, *uuid, &observer)?);
            }
            guard.commit()?;
        }
        for beat in &heartbeats {
            // A dead worker's files tell those who rescue that it is dead: they are the ones to remove them.
            let dead = observer.gone.contains(&beat.worker) && self.duty == Duty::Rescue;
            if dead || !self.liveness.is_alive(&beat.worker, FORGET_WORKER, clock) {
                heartbeat::forget(folder, &beat.worker)?;
            }
        }
        remove_old_temporaries(folder, now)?;
        folder.keep_reserve()?;
        Ok(settled)
    }

    /// The workers that live, as far as this process can tell.
    ///
    /// # Errors
    /// Where index or heartbeats cannot be read.
    pub fn living_workers(
        &mut self,
        folder: &SharedFolder,
        clock: Duration,
    ) -> Result<Vec<Heartbeat>, FolderError> {
        let mut heartbeats = folder.heartbeats()?;
        self.liveness.observe(&heartbeats, &folder.queue()?, clock);
        let gone = heartbeat::gone_from_this_machine(folder, &heartbeats);
        heartbeats.retain(|beat| {
            !gone.contains(&beat.worker)
                && self.liveness.is_alive(&beat.worker, self.beat.lease, clock)
        });
        Ok(heartbeats)
    }
}

/// Settles everything that is not in order, before a service answers or claims anything.
///
/// # Errors
/// [`FolderError::Busy`] or trouble with the volume.
pub fn settle_at_start(folder: &SharedFolder, now: Date) -> Result<usize, FolderError> {
    let mut guard = folder.lock(now)?;
    let settled = settle_all(&mut guard)?;
    guard.commit()?;
    if settled > 0 {
        tracing::info!(
            jobs = settled,
            "jobs were settled that an earlier process left half-way"
        );
    }
    Ok(settled)
}

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
        settled += usize::from(settle_job(guard, uuid, &observer)?);
    }
    Ok(settled)
}

/// What the one who settles knows of the others.
pub(crate) struct Observer<'a> {
    /// Who was seen alive, how long a silence may last, and what the observer's clock says.
    alive: Option<(&'a Liveness, Duration, Duration)>,
    /// Workers whose process has ended for certain.
    gone: HashSet<WorkerId>,
    /// Limits of the APIs.
    catalog: Option<&'a Catalog>,
}

impl Observer<'_> {
    /// Somebody who knows nothing of others, and so takes every worker for alive.
    pub(crate) fn nobody() -> Self {
        Observer {
            alive: None,
            gone: HashSet::new(),
            catalog: None,
        }
    }

    fn owner(&self, folder: &SharedFolder, entry: &Entry) -> Result<Owner, FolderError> {
        let (Some((liveness, lease, clock)), Some(run)) =
            (self.alive, Run::of(entry.uuid, entry.state()))
        else {
            return Ok(Owner::Alive);
        };
        let (patience, gone) = match run {
            Run::Ours(_) => (lease, !self.gone.is_empty() && self.is_gone(folder, entry)?),
            Run::ThirdPartys(_) => (self.limits(&entry.api).timeout(), false),
        };
        Ok(if gone || liveness.is_lost(run, patience, clock) {
            Owner::Dead
        } else {
            Owner::Alive
        })
    }

    fn is_gone(&self, folder: &SharedFolder, entry: &Entry) -> Result<bool, FolderError> {
        let lease = lease_of(folder, entry.uuid);
        Ok(lease.is_some_and(|lease| {
            lease.token == entry.state().token() && self.gone.contains(&lease.worker)
        }))
    }

    fn limits(&self, api: &ApiName) -> job_core::catalog::Limits {
        self.catalog
            .map(|catalog| catalog.limits(api))
            .unwrap_or_default()
    }

    /// Whether a job waits for an API that nobody has offered for long. Judged by how long the job waits: that nobody
    /// offers its API now is all that the catalogs tell.
    fn api_is_gone(&self, entry: &Entry, now: Date) -> bool {
        let waits = entry.status() == Status::Pending && now.since(entry.request_date) > API_GONE;
        waits
            && self
                .catalog
                .is_some_and(|catalog| !catalog.is_empty() && catalog.get(&entry.api).is_none())
    }

    /// The jobs whose facts and entry do not fit together at first sight. A look without the lock may find too many,
    /// never too few that stay so.
    fn suspects(
        &self,
        folder: &SharedFolder,
        queue: &Queue,
        duty: Duty,
        now: Date,
    ) -> Result<Vec<JobId>, FolderError> {
        let ids = |dir: &Dir| -> Result<HashSet<JobId>, FolderError> {
            Ok(dir
                .names()?
                .iter()
                .filter_map(|name| job_of(name))
                .collect())
        };
        let dirs = &folder.dirs;
        let (requests, receipts) = (ids(&dirs.request)?, ids(&dirs.receipt)?);
        let (responses, cancels) = (ids(&dirs.response)?, ids(&dirs.cancel)?);
        let mut suspects = Vec::new();
        for entry in queue.iter() {
            let uuid = &entry.uuid;
            let ended = receipts.contains(uuid) || responses.contains(uuid);
            let sound = match entry.status() {
                Status::Pending => {
                    requests.contains(uuid)
                        && !ended
                        && !cancels.contains(uuid)
                        && !self.api_is_gone(entry, now)
                }
                Status::Processing => {
                    requests.contains(uuid)
                        && !ended
                        && !(duty == Duty::Rescue && self.owner(folder, entry)? == Owner::Dead)
                }
                _ => receipts.contains(uuid),
            };
            if !sound {
                suspects.push(*uuid);
            }
        }
        let has_no_entry = |uuid: &&JobId| queue.get(**uuid).is_none();
        let unknown: HashSet<_> = [&requests, &receipts, &responses, &cancels]
            .into_iter()
            .flatten()
            .filter(has_no_entry)
            .collect();
        suspects.extend(unknown);
        suspects.sort_unstable();
        Ok(suspects)
    }
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
        let facts = guard.facts(uuid, entry.as_deref())?;
        let owner = entry
            .as_deref()
            .map_or(Ok(Owner::Alive), |entry| observer.owner(folder, entry))?;
        let settlement = settle(&facts, entry.as_deref(), owner);
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

impl Guard<'_> {
    fn facts(&self, uuid: JobId, entry: Option<&Entry>) -> Result<Facts, FolderError> {
        let (folder, file) = (self.folder, format!("{uuid}.json"));
        let request = folder.dirs.request.has(&file)?;
        let receipt = self.sound_receipt(uuid)?;
        let response = match &receipt {
            // Nobody looks into a response whose receipt is there: it may be large.
            Some(_) => ResponseFact::Missing,
            None => judge_response(folder, &file)?,
        };
        let cancel = folder.dirs.cancel.has(&uuid.to_string())?;
        let finished = receipt.as_ref().map(|receipt| receipt.finished_date);
        let finished = finished.or_else(|| entry.and_then(|entry| entry.state().finished()));
        let age = match (finished, entry) {
            (Some(finished), _) => Some(self.now.since(finished)),
            (None, Some(_)) => None,
            (None, None) => uuid
                .made_at_millis()
                .map(|made| chrono::TimeDelta::milliseconds(self.now.unix_millis() - made)),
        };
        let expired = age.is_some_and(|age| age > folder.options.keep);
        Ok(Facts {
            request,
            receipt: receipt.and_then(|receipt| receipt.state()),
            response,
            cancel,
            expired,
        })
    }

    /// The job's receipt; one that cannot be read, or states no end, is put aside.
    fn sound_receipt(&self, uuid: JobId) -> Result<Option<Receipt>, FolderError> {
        let (folder, file) = (self.folder, format!("{uuid}.json"));
        let dir = &folder.dirs.receipt;
        if !dir.has(&file)? {
            return Ok(None);
        }
        let receipt = dir.read(&file, 16 << 20).ok().flatten();
        let receipt = receipt.and_then(|bytes| serde_json::from_slice::<Receipt>(&bytes).ok());
        match receipt.filter(|receipt| receipt.uuid == uuid && receipt.state().is_some()) {
            Some(receipt) => Ok(Some(receipt)),
            None => {
                folder.put_aside(dir, &file, "it is no receipt", self.now)?;
                dir.sync()?;
                Ok(None)
            }
        }
    }

    /// The index is to say what the facts say.
    fn enter(&mut self, uuid: JobId, state: State) -> Result<(), FolderError> {
        let dirs = &self.folder.dirs;
        dirs.receipt.sync()?;
        dirs.response.sync()?;
        dirs.request.sync()?;
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
        if let Some(response) = dirs.response.open_file(&format!("{uuid}.json"))? {
            rustix::fs::fsync(&response)
                .because("sync", &dirs.response.at(&format!("{uuid}.json")))?;
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
        let receipt = receipt(&entry, lease.as_ref(), &state, &Measured::default(), now);
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
        self.enter(uuid, state)?;
        self.folder.tidy(uuid);
        Ok(())
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
        if let Some(entry) = self
            .folder
            .receipt(uuid)?
            .and_then(|receipt| receipt.entry())
        {
            return Ok(entry);
        }
        // Only a response is left of it: nobody knows any more which API it was for.
        let api = "unknown".parse().expect("it is a name");
        Ok(Entry::pending(uuid, api, self.now))
    }
}

fn failed(reason: FailureReason, message: String) -> State {
    State::Failed {
        finished: None,
        failure: Some(Failure::new(reason, message)),
    }
}

fn lease_of(folder: &SharedFolder, uuid: JobId) -> Option<Lease> {
    folder.record(&folder.dirs.lease, &format!("{uuid}.json"), 1 << 20)
}

/// Whether a response is a JSON document. Links, folders and pipes are none, and are never followed or waited for.
fn judge_response(folder: &SharedFolder, file: &str) -> Result<ResponseFact, FolderError> {
    if !folder.dirs.response.has(file)? {
        return Ok(ResponseFact::Missing);
    }
    let Ok(Some(bytes)) = folder.dirs.response.read(file, folder.options.result_limit) else {
        return Ok(ResponseFact::Broken);
    };
    let valid = std::str::from_utf8(&bytes)
        .is_ok_and(|text| serde_json::from_str::<serde_json::Value>(text).is_ok());
    Ok(if valid {
        ResponseFact::Valid
    } else {
        ResponseFact::Broken
    })
}

/// Removes temporary files that a killed process left.
fn remove_old_temporaries(folder: &SharedFolder, now: Date) -> Result<(), FolderError> {
    let dirs = &folder.dirs;
    let all = [
        &dirs.root,
        &dirs.request,
        &dirs.response,
        &dirs.receipt,
        &dirs.progress,
        &dirs.lease,
        &dirs.workers,
        &dirs.catalog,
        &dirs.quarantine,
        &dirs.late,
    ];
    for dir in all {
        for name in dir
            .names()?
            .iter()
            .filter(|name| name.starts_with(TEMPORARY))
        {
            let Some(file) = dir.open_file(name).ok().flatten() else {
                continue;
            };
            let modified = file
                .metadata()
                .and_then(|metadata| metadata.modified())
                .because("look at", &dir.at(name))?;
            let modified =
                Date::new(chrono::DateTime::<chrono::Utc>::from(modified).fixed_offset());
            if now.since(modified) > TEMPORARY_AGE {
                dir.remove(name)?;
            }
        }
    }
    Ok(())
}
