//! What the folder knows of its jobs, looked at without a lock.

use std::collections::HashSet;
use std::fs::File;
use std::io::Seek;
use std::sync::{Arc, MutexGuard, PoisonError};

use chrono::TimeDelta;
use job_core::date::Date;
use job_core::entry::Entry;
use job_core::files::{Progress, Receipt, Request};
use job_core::ids::JobId;
use job_core::lease::Lease;
use job_core::queue::Queue;
use job_core::status::{State, Status};
use serde::de::DeserializeOwned;

use crate::dir::Dir;
use crate::error::{Because, FolderError};
use crate::finish::digest_of;
use crate::folder::SharedFolder;
use crate::recover;
use crate::snapshot::Stamp;

/// What a request holds besides its body, at most, in bytes.
pub(crate) const REQUEST_FRAME: u64 = 64 << 10;
/// Largest receipt in bytes: one that tells of many files.
pub(crate) const RECEIPT_LIMIT: u64 = 16 << 20;
/// Largest lease in bytes: one that tells of many runs.
pub(crate) const LEASE_LIMIT: u64 = 1 << 20;
/// Largest word of progress in bytes.
const PROGRESS_LIMIT: u64 = 64 << 10;

/// So many responses are remembered to be as they were published.
const MOST_VERIFIED: usize = 4096;

/// A file's times tell two states apart once they are this old.
const SETTLED: TimeDelta = TimeDelta::seconds(2);

/// What became of the response that a receipt tells of.
#[derive(Debug)]
pub enum PublishedResponse {
    /// It is as it was published; the file stands at its beginning.
    Sound(File),
    /// There is no such file any more.
    Gone,
    /// It is not what was published.
    Changed,
}

/// All that the folder knows of one job.
#[derive(Debug, Clone)]
pub struct JobView {
    /// Its entry in the index, or what stands for it where the index has none yet.
    pub entry: Arc<Entry>,
    /// Its state by the facts, which win over the entry.
    pub state: State,
    /// How it ended, where it did.
    pub receipt: Option<Receipt>,
    /// Who runs it or ran it last, while it is not final.
    pub lease: Option<Lease>,
    /// The latest word of its script, while it is being processed.
    pub progress: Option<Progress>,
    /// Whether a client asked for its end.
    pub cancel_requested: bool,
    /// How many pending jobs stand before it, while it is pending.
    pub jobs_before: Option<usize>,
}

impl JobView {
    /// A job that was just accepted.
    pub fn pending(entry: Entry) -> Self {
        JobView {
            entry: Arc::new(entry),
            state: State::Pending,
            receipt: None,
            lease: None,
            progress: None,
            cancel_requested: false,
            jobs_before: None,
        }
    }
}

impl SharedFolder {
    /// The jobs as the index has them now. Needs no lock.
    ///
    /// # Errors
    /// Where the index cannot be read and never was; a damaged one is answered from the last good copy.
    pub fn queue(&self) -> Result<Queue, FolderError> {
        Ok(self
            .snapshot()?
            .map(|generation| generation.document.queue.clone())
            .unwrap_or_default())
    }

    /// The same entries, for showing them: where somebody ended jobs by hand and no receipt says so yet, or says
    /// something else, these are settled first, so that no final status is shown that could still change.
    ///
    /// # Errors
    /// Where receipts or the index cannot be read, or jobs had to be settled and could not be.
    pub fn settled(
        &self,
        entries: Vec<Arc<Entry>>,
        now: Date,
    ) -> Result<Vec<Arc<Entry>>, FolderError> {
        let mut unsettled = Vec::new();
        for entry in entries.iter().filter(|entry| entry.status().is_final()) {
            let receipt = self.receipt(entry.uuid)?;
            let told = receipt.and_then(|receipt| Some(receipt.state()?.status()));
            if told != Some(entry.status()) {
                unsettled.push(entry.uuid);
            }
        }
        if unsettled.is_empty() {
            return Ok(entries);
        }
        recover::settle_now(self, &unsettled, now)?;
        let queue = self.queue()?;
        let settled = entries
            .iter()
            .filter_map(|entry| queue.get(entry.uuid).cloned());
        Ok(settled.collect())
    }

    /// All about one job; nothing where neither index nor facts know it.
    ///
    /// A final status is durable before it is shown: where a fact is ahead of the index, the job is settled first, and
    /// until that worked it shows as it did before.
    ///
    /// # Errors
    /// Where the index cannot be read and never was, or a fact cannot be read.
    pub fn job(&self, uuid: JobId, now: Date) -> Result<Option<JobView>, FolderError> {
        let snapshot = self.snapshot()?;
        let queue = snapshot
            .as_deref()
            .map(|generation| &generation.document.queue);
        let entry = queue.and_then(|queue| queue.get(uuid)).cloned();
        if let Some(receipt) = self.receipt(uuid)? {
            return self.view_of_ended(entry, receipt);
        }
        let file = format!("{uuid}.json");
        let ahead = entry
            .as_ref()
            .is_some_and(|entry| entry.status().is_final())
            || self.dirs.response.has(&file)?;
        if ahead {
            // A third party's end of the job, or ours between two steps: whoever comes first writes the receipt.
            if let Err(error) = recover::settle_now(self, &[uuid], now) {
                tracing::debug!(job.id = %uuid, error = %error, "job could not be settled while it was looked at");
            }
            if let Some(receipt) = self.receipt(uuid)? {
                return self.view_of_ended(entry, receipt);
            }
        }
        let Some(entry) = (match entry {
            Some(entry) => Some(entry),
            None => self.request(uuid)?.map(|request| Arc::new(request.entry())),
        }) else {
            return Ok(None);
        };
        let state = match entry.state() {
            ended if ended.status().is_final() => State::Processing { token: None },
            state => state.clone(),
        };
        let lease = self.lease(uuid);
        let progress = match state.status() {
            Status::Processing => self.record(&self.dirs.progress, &file, PROGRESS_LIMIT),
            _ => None,
        };
        Ok(Some(JobView {
            state,
            receipt: None,
            lease,
            progress,
            cancel_requested: self.dirs.cancel.has(&uuid.to_string())?,
            jobs_before: queue.and_then(|queue| queue.jobs_before(uuid)),
            entry,
        }))
    }

    fn view_of_ended(
        &self,
        entry: Option<Arc<Entry>>,
        receipt: Receipt,
    ) -> Result<Option<JobView>, FolderError> {
        let Some(state) = receipt.state() else {
            return Ok(None);
        };
        if entry
            .as_ref()
            .is_none_or(|entry| entry.status() != state.status())
        {
            self.dirs.receipt.sync()?;
            self.dirs.response.sync()?;
        }
        let Some(entry) = entry.or_else(|| receipt.entry().map(Arc::new)) else {
            return Ok(None);
        };
        let cancel_requested = false;
        let receipt = Some(receipt);
        Ok(Some(JobView {
            entry,
            state,
            receipt,
            lease: None,
            progress: None,
            cancel_requested,
            jobs_before: None,
        }))
    }

    /// The request of a job, as it was accepted; nothing where there is none, or what stands there is no request of
    /// this job.
    ///
    /// # Errors
    /// Where there is something that may be one, and cannot be read now.
    pub fn request(&self, uuid: JobId) -> Result<Option<Request>, FolderError> {
        let limit = self.options.request_limit + REQUEST_FRAME;
        let request: Option<Request> = self.fact(&self.dirs.request, uuid, limit)?;
        Ok(request.filter(|request| request.uuid == uuid))
    }

    /// How a job ended, where it did; nothing where there is no receipt, or what stands there is none of this job's
    /// end: whoever settles the job puts that aside.
    ///
    /// # Errors
    /// Where there is something that may be one, and cannot be read now.
    pub fn receipt(&self, uuid: JobId) -> Result<Option<Receipt>, FolderError> {
        let receipt: Option<Receipt> = self.fact(&self.dirs.receipt, uuid, RECEIPT_LIMIT)?;
        Ok(receipt.filter(|receipt| receipt.uuid == uuid && receipt.state().is_some()))
    }

    /// A link or a folder is no fact, and counts as missing. What cannot be read for other reasons may be as it should.
    fn fact<T: DeserializeOwned>(
        &self,
        dir: &Dir,
        uuid: JobId,
        limit: u64,
    ) -> Result<Option<T>, FolderError> {
        match self.document(dir, &format!("{uuid}.json"), limit) {
            Err(error) if error.is_of_the_file() => Ok(None),
            read => read,
        }
    }

    /// Who runs a job, or ran it last; nothing where nobody did, or the lease cannot be read.
    pub fn lease(&self, uuid: JobId) -> Option<Lease> {
        self.record(&self.dirs.lease, &format!("{uuid}.json"), LEASE_LIMIT)
    }

    /// The response of a job, to be streamed from.
    ///
    /// # Errors
    /// Where there is something that is no plain file.
    pub fn response(&self, uuid: JobId) -> Result<Option<File>, FolderError> {
        self.dirs.response.open_file(&format!("{uuid}.json"))
    }

    /// The response that this receipt tells of, to be streamed from. It is read through once before it is handed out,
    /// and again only when somebody touched it.
    ///
    /// # Errors
    /// Where it is no plain file or cannot be read.
    pub fn published_response(
        &self,
        receipt: &Receipt,
        now: Date,
    ) -> Result<PublishedResponse, FolderError> {
        let path = self.dirs.response.at(&format!("{}.json", receipt.uuid));
        let Some(mut file) = self.response(receipt.uuid)? else {
            return Ok(PublishedResponse::Gone);
        };
        let Some(published) = &receipt.sha256.response else {
            return Ok(PublishedResponse::Sound(file));
        };
        let stamp = Stamp::of(&file).because("look at", &path)?;
        if !self.verified().contains(&stamp) {
            if digest_of(&file).because("read", &path)? != *published {
                return Ok(PublishedResponse::Changed);
            }
            file.rewind().because("read", &path)?;
            let mut verified = self.verified();
            if verified.len() == MOST_VERIFIED {
                verified.clear();
            }
            // A file that was made just now could be replaced by another one of the same stamp.
            if stamp.is_older_than(SETTLED, now) {
                verified.insert(stamp);
            }
        }
        Ok(PublishedResponse::Sound(file))
    }

    fn verified(&self) -> MutexGuard<'_, HashSet<Stamp>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the job's script wrote to stderr so far, to be streamed from.
    ///
    /// # Errors
    /// Where there is something that is no plain file.
    pub fn log(&self, uuid: JobId) -> Result<Option<File>, FolderError> {
        self.dirs.log.open_file(&format!("{uuid}.log"))
    }

    /// Reads a small JSON document; one that cannot be parsed counts as missing, with a word in the log: whoever needs
    /// it to be sound settles the job under the lock.
    pub(crate) fn document<T: DeserializeOwned>(
        &self,
        dir: &Dir,
        name: &str,
        limit: u64,
    ) -> Result<Option<T>, FolderError> {
        let Some(bytes) = dir.read(name, limit)? else {
            return Ok(None);
        };
        match serde_json::from_slice(&bytes) {
            Ok(document) => Ok(Some(document)),
            Err(error) => {
                tracing::warn!(file = %dir.at(name).display(), error = %error, "a file of the shared folder cannot be parsed");
                Ok(None)
            }
        }
    }

    /// Reads a small record that may be missing: one that cannot be read counts as missing, with a word in the log.
    pub(crate) fn record<T: DeserializeOwned>(
        &self,
        dir: &Dir,
        name: &str,
        limit: u64,
    ) -> Option<T> {
        self.document(dir, name, limit).unwrap_or_else(|error| {
            tracing::warn!(file = %dir.at(name).display(), error = %error, "a file of the shared folder cannot be read");
            None
        })
    }
}
