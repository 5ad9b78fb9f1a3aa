//! Whom jobs' ends are to be told, and what came of it.
//!
//! A webhook's record is made under the lock of the queue, before its request is published: no accepted job can lack
//! it. From then on one process alone changes it, the one that has the [`Deliveries`]: it holds `flock` on
//! `webhook/.lock` for as long as it lives, and the kernel frees that when it ends. So no try is sent twice by two
//! processes; one that died between a try and its note may have it repeated, under the same event id.
//!
//! Whoever wants an event sent anew leaves a mark beside the record; the process that delivers takes it.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use chrono::TimeDelta;
use job_core::date::Date;
use job_core::files::Request;
use job_core::ids::JobId;
use job_core::status::Status;
use job_core::webhook::{Standing, Webhook};

use crate::dir::{Dir, Kind, Temporary, job_of};
use crate::error::{Because, FolderError};
use crate::folder::SharedFolder;
use crate::guard::Guard;
use crate::lock::try_lock;
use crate::snapshot::Stamp;
use crate::view::JobView;

/// Held by the process that delivers.
const LOCK: &str = ".lock";
/// How the name of a mark ends that asks for an event to be sent anew.
const REPLAY: &str = ".replay";
/// Largest record in bytes.
const RECORD_LIMIT: u64 = 64 << 10;
/// A folder that was changed more recently may have been changed again within one tick of its clock.
const SETTLED: TimeDelta = TimeDelta::seconds(2);
/// Records that are removed in one go before others may have the lock.
const BATCH: usize = 200;

/// The duty to tell receivers of jobs' ends: one process of all that share the folder has it.
#[derive(Debug)]
pub struct Deliveries {
    folder: Arc<SharedFolder>,
    /// Locked for as long as this lives.
    _lock: File,
}

/// One state of the folder of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListingStamp(Stamp);

/// The records that there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The jobs that have one.
    pub records: HashSet<JobId>,
    /// Those whose event is to be sent anew.
    pub replays: Vec<JobId>,
    /// What tells this state from another; nothing where it is too young to.
    pub stamp: Option<ListingStamp>,
}

impl SharedFolder {
    /// Takes the duty to deliver; nothing while another process has it.
    ///
    /// # Errors
    /// Where the lock's file can be neither made nor locked.
    pub fn take_deliveries(self: &Arc<Self>) -> Result<Option<Deliveries>, FolderError> {
        let lock = self.dirs.webhook.touch(LOCK, Kind::Record)?;
        let is_mine = try_lock(&lock).because("lock", &self.dirs.webhook.at(LOCK))?;
        Ok(is_mine.then(|| Deliveries {
            folder: self.clone(),
            _lock: lock,
        }))
    }

    /// The jobs with a webhook, the oldest first.
    ///
    /// # Errors
    /// Where the folder of the records cannot be listed.
    pub fn webhooks(&self) -> Result<Vec<JobId>, FolderError> {
        let mut uuids: Vec<_> = self.webhook_listing()?.records.into_iter().collect();
        uuids.sort_unstable();
        Ok(uuids)
    }

    /// A job's webhook; nothing where it has none, or what stands there is no record.
    ///
    /// # Errors
    /// Where there is something that may be one, and cannot be read now.
    pub fn webhook(&self, uuid: JobId) -> Result<Option<Webhook>, FolderError> {
        match self.document(&self.dirs.webhook, &record_of(uuid), RECORD_LIMIT) {
            Err(error) if error.is_of_the_file() => Ok(None),
            read => read,
        }
    }

    /// Whether any event is not over.
    ///
    /// # Errors
    /// As for [`SharedFolder::webhooks`] and [`SharedFolder::webhook`].
    pub fn has_open_webhooks(&self) -> Result<bool, FolderError> {
        for uuid in self.webhooks()? {
            let webhook = self.webhook(uuid)?;
            if webhook.is_some_and(|webhook| matches!(webhook.standing(), Standing::Open(_))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Asks the process that delivers to send a job's event anew; whether the job has a webhook.
    ///
    /// # Errors
    /// Where the mark cannot be made.
    pub fn replay_webhook(&self, uuid: JobId) -> Result<bool, FolderError> {
        let dir = &self.dirs.webhook;
        let is_known = dir.has(&record_of(uuid))?;
        if is_known {
            dir.touch(&mark_of(uuid), Kind::Record)?;
            dir.sync()?;
        }
        Ok(is_known)
    }

    fn webhook_listing(&self) -> Result<Listing, FolderError> {
        let mut listing = Listing::default();
        for name in self.dirs.webhook.names()? {
            let Some(uuid) = job_of(&name) else { continue };
            if name == record_of(uuid) {
                listing.records.insert(uuid);
            } else if name == mark_of(uuid) {
                listing.replays.push(uuid);
            }
        }
        Ok(listing)
    }
}

impl Deliveries {
    /// What there is; nothing where it is as it was `before`.
    ///
    /// # Errors
    /// Where the folder of the records cannot be listed.
    pub fn list(
        &self,
        before: Option<&ListingStamp>,
        now: Date,
    ) -> Result<Option<Listing>, FolderError> {
        // The stamp first: what changes while it is listed shows at the next look.
        let stamp = self.folder.dirs.webhook.stamp()?;
        if before == Some(&ListingStamp(stamp)) {
            return Ok(None);
        }
        let listing = self.folder.webhook_listing()?;
        let is_settled = stamp.is_older_than(SETTLED, now);
        Ok(Some(Listing {
            stamp: is_settled.then_some(ListingStamp(stamp)),
            ..listing
        }))
    }

    /// A job's record. One that is none is put aside, and made again from the job's request.
    ///
    /// # Errors
    /// Where it cannot be read now, or not be made again.
    pub fn read(&self, uuid: JobId, now: Date) -> Result<Option<Webhook>, FolderError> {
        let (dir, name) = (&self.folder.dirs.webhook, record_of(uuid));
        let text = match dir.read(&name, RECORD_LIMIT) {
            Ok(None) => return Ok(None),
            Err(error) if !error.is_of_the_file() => return Err(error),
            read => read.ok().flatten(),
        };
        let known = text.as_deref().map(serde_json::from_slice);
        if let Some(Ok(webhook)) = known {
            return Ok(Some(webhook));
        }
        let reason = "no record of a webhook can be read from it";
        let request = self.folder.request(uuid)?;
        let url = request.and_then(|request| request.webhook);
        match (&url, &text) {
            // The new record takes its place in one step: a crash leaves one of the two.
            (Some(_), Some(text)) => self.folder.put_text_aside(&name, text, reason, now)?,
            _ => self.folder.put_aside(dir, &name, reason, now)?,
        }
        let Some(url) = url else {
            return Ok(None);
        };
        let webhook = Webhook::new(uuid, url, now);
        write(dir, uuid, &webhook)?;
        Ok(Some(webhook))
    }

    /// A job as it ended; nothing where it has not, or nobody knows it any more.
    ///
    /// # Errors
    /// Where it cannot be read now, or would have to be settled and cannot be.
    pub fn ended(&self, uuid: JobId, now: Date) -> Result<Option<JobView>, FolderError> {
        let view = self.folder.job(uuid, now)?;
        Ok(view.filter(|view| view.state.status().is_final()))
    }

    /// Those of these jobs that have ended by the index, which is read at most once, and only if it changed.
    ///
    /// # Errors
    /// Where the index cannot be read and never was.
    pub fn ended_among(
        &self,
        uuids: impl Iterator<Item = JobId>,
    ) -> Result<Vec<JobId>, FolderError> {
        let queue = self.folder.queue()?;
        let status = |uuid| queue.get(uuid).map(|entry| entry.status());
        Ok(uuids
            .filter(|uuid| status(*uuid).is_some_and(Status::is_final))
            .collect())
    }

    /// Notes what came of a try; what retention has removed in the meantime stays away.
    ///
    /// # Errors
    /// Where it cannot be written: then the try may be repeated, under the same event id.
    pub fn note(&self, uuid: JobId, webhook: &Webhook) -> Result<(), FolderError> {
        let dir = &self.folder.dirs.webhook;
        if dir.has(&record_of(uuid))? {
            write(dir, uuid, webhook)?;
        }
        Ok(())
    }

    /// Takes the mark that asks for an event to be sent anew, and returns the record as it is from then on.
    ///
    /// # Errors
    /// Where the record cannot be read or replaced; the mark stays for the next look.
    pub fn start_anew(&self, uuid: JobId, now: Date) -> Result<Option<Webhook>, FolderError> {
        let webhook = self.read(uuid, now)?.map(|webhook| webhook.anew(now));
        if let Some(webhook) = &webhook {
            self.note(uuid, webhook)?;
        }
        self.folder.dirs.webhook.remove(&mark_of(uuid))?;
        Ok(webhook)
    }

    /// A job's request, for what an event tells of it.
    ///
    /// # Errors
    /// Where there is something that may be one, and cannot be read now.
    pub fn request(&self, uuid: JobId) -> Result<Option<Request>, FolderError> {
        self.folder.request(uuid)
    }
}

/// Writes the record of a request that names a webhook under a temporary name, which is synced.
pub(crate) fn prepare<'a>(
    folder: &'a SharedFolder,
    request: &Request,
) -> Result<Option<Temporary<'a>>, FolderError> {
    let Some(url) = request.webhook.clone() else {
        return Ok(None);
    };
    let webhook = Webhook::new(request.uuid, url, request.request_date);
    let dir = &folder.dirs.webhook;
    let temporary = dir.write(Kind::Record, &text_of(&webhook))?;
    temporary.sync()?;
    Ok(Some(temporary))
}

/// Gives prepared records their names, and makes them durable. A submission that is completed after a crash finds the
/// name taken by its own.
pub(crate) fn publish(
    folder: &SharedFolder,
    prepared: &[(JobId, String)],
) -> Result<(), FolderError> {
    let dir = &folder.dirs.webhook;
    for (uuid, temporary) in prepared {
        Temporary::again(dir, temporary)?.replace(&record_of(*uuid))?;
    }
    match prepared {
        [] => Ok(()),
        _ => dir.sync(),
    }
}

/// Removes all that a job has here.
pub(crate) fn remove(folder: &SharedFolder, uuid: JobId) -> Result<(), FolderError> {
    folder.dirs.webhook.remove(&record_of(uuid))?;
    folder.dirs.webhook.remove(&mark_of(uuid))?;
    Ok(())
}

/// Removes the records of jobs that nobody knows: a crash cut their submission off, or somebody noted a try at the
/// moment in which retention removed them.
pub(crate) fn remove_old(folder: &SharedFolder, now: Date) -> Result<(), FolderError> {
    let listing = folder.webhook_listing()?;
    let queue = folder.queue()?;
    let unknown = listing.records.into_iter().chain(listing.replays);
    let unknown: Vec<_> = unknown.filter(|uuid| queue.get(*uuid).is_none()).collect();
    for batch in unknown.chunks(BATCH) {
        let guard = folder.lock(now)?;
        for uuid in batch {
            remove_unknown(&guard, *uuid)?;
        }
    }
    Ok(())
}

fn remove_unknown(guard: &Guard<'_>, uuid: JobId) -> Result<(), FolderError> {
    match guard.knows(uuid)? {
        true => Ok(()),
        false => remove(guard.folder, uuid),
    }
}

fn write(dir: &Dir, uuid: JobId, webhook: &Webhook) -> Result<(), FolderError> {
    let temporary = dir.write(Kind::Record, &text_of(webhook))?;
    temporary.sync()?;
    temporary.replace(&record_of(uuid))?;
    dir.sync()
}

fn text_of(webhook: &Webhook) -> Vec<u8> {
    serde_json::to_vec(webhook).expect("texts, numbers and dates always serialize")
}

fn record_of(uuid: JobId) -> String {
    format!("{uuid}.json")
}

fn mark_of(uuid: JobId) -> String {
    format!("{uuid}{REPLAY}")
}
