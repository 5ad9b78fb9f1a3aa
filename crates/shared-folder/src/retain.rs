//! What ended long ago goes, in an order that leaves no half job behind whenever it is cut off.

use std::collections::HashSet;

use job_core::date::Date;
use job_core::ids::JobId;
use job_core::retention::{ClockJump, check_clock, newest, plan_retention};
use serde::{Deserialize, Serialize};

use crate::error::{Because, FolderError};
use crate::folder::SharedFolder;
use crate::guard::Guard;
use crate::{idempotency, webhook};

/// Jobs that are removed in one go before others may have the lock.
const BATCH: usize = 200;
/// How long what was put aside is kept.
const KEEP_QUARANTINE: chrono::TimeDelta = chrono::TimeDelta::days(30);
/// What the clock said at the last look, in the folder's root.
const LAST: &str = ".retention.json";
/// Largest such note in bytes.
const LAST_LIMIT: u64 = 1 << 10;

/// Why retention did not run.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The clock cannot be believed; nothing was removed.
    #[error(transparent)]
    Clock(#[from] ClockJump),
    /// Trouble with the folder; what was removed is gone whole, the rest goes next time.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

#[derive(Serialize, Deserialize)]
struct Last {
    last_date: Date,
}

/// Removes the jobs that ended longer ago than they are kept; returns how many.
///
/// # Errors
/// Where the clock jumped, or the folder is in trouble.
pub fn retain(folder: &SharedFolder, now: Date) -> Result<usize, RetentionError> {
    let queue = folder.queue()?;
    let last: Option<Last> = folder.document(&folder.dirs.root, LAST, LAST_LIMIT)?;
    let checked = check_clock(now, last.map(|last| last.last_date), newest(&queue));
    if !matches!(checked, Err(ClockJump::Back { .. })) {
        let text = serde_json::to_vec(&Last { last_date: now }).expect("a date always serializes");
        folder.dirs.root.replace(LAST, &text)?;
    }
    checked?;
    let expired = plan_retention(&queue, now, folder.options.keep);
    let mut removed = 0;
    for batch in expired.chunks(BATCH) {
        let mut guard = folder.lock(now)?;
        // Only what is final under the lock as well.
        let still: Vec<_> = batch
            .iter()
            .copied()
            .filter(|uuid| guard.is_final(*uuid))
            .collect();
        delete(&mut guard, &still)?;
        guard.commit()?;
        removed += still.len();
    }
    idempotency::remove_old(folder, now)?;
    webhook::remove_old(folder, now)?;
    remove_old_quarantine(folder, now)?;
    Ok(removed)
}

impl Guard<'_> {
    fn is_final(&self, uuid: JobId) -> bool {
        self.queue()
            .get(uuid)
            .is_some_and(|entry| entry.status().is_final())
    }
}

/// Removes final jobs: what only belongs to them first, then their requests, and only once these are gone for good
/// their facts. Cut off at any point, the next sweep goes on where it stopped.
pub(crate) fn delete(guard: &mut Guard<'_>, uuids: &[JobId]) -> Result<(), FolderError> {
    if uuids.is_empty() {
        return Ok(());
    }
    let folder = guard.folder;
    let dirs = &folder.dirs;
    guard.save()?;
    // Final in the index for good, before a request goes: a lost index would make it pending again.
    if let Some(index) = dirs.request.open_file(crate::index::INDEX)? {
        rustix::fs::fsync(&index).because("sync", &dirs.request.at(crate::index::INDEX))?;
    }
    dirs.receipt.sync()?;
    for uuid in uuids {
        remove_traces(folder, *uuid)?;
        dirs.request.remove(&format!("{uuid}.json"))?;
    }
    dirs.request.sync()?;
    for uuid in uuids {
        dirs.response.remove(&format!("{uuid}.json"))?;
        dirs.receipt.remove(&format!("{uuid}.json"))?;
        webhook::remove(folder, *uuid)?;
    }
    let gone: HashSet<_> = uuids.iter().copied().collect();
    guard.queue_mut().remove(&gone);
    guard.save()
}

/// Removes what a job leaves beside its facts.
pub(crate) fn remove_traces(folder: &SharedFolder, uuid: JobId) -> Result<(), FolderError> {
    folder.dirs.log.remove(&format!("{uuid}.log"))?;
    folder.dirs.progress.remove(&format!("{uuid}.json"))?;
    folder.dirs.lease.remove(&format!("{uuid}.json"))?;
    folder.dirs.cancel.remove(&uuid.to_string())?;
    Ok(())
}

/// Removes what was put aside long ago, each with its reason. What has no reason beside it is kept for a person.
fn remove_old_quarantine(folder: &SharedFolder, now: Date) -> Result<(), FolderError> {
    let is_old = |date: Date| now.since(date) > KEEP_QUARANTINE;
    for thing in folder.quarantined()? {
        if thing.date.is_some_and(is_old) {
            folder.drop_quarantined(&thing.name)?;
        }
    }
    Ok(())
}
