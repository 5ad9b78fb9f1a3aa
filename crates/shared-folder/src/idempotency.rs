//! Which job an `Idempotency-Key` belongs to.
//!
//! A key's record is a fact: written and synced beside the request, published under the same lock and before it. So a
//! submission that is sent again finds its job, also through another API server, and after a crash it completes it.

use std::collections::HashMap;

use job_core::date::Date;
use job_core::idempotency::{KeyRecord, Meaning, meaning};
use job_core::ids::{ApiName, JobId};
use sha2::{Digest, Sha256};

use crate::error::FolderError;
use crate::finish::hex;
use crate::folder::SharedFolder;
use crate::guard::Guard;

/// Largest record in bytes.
const RECORD_LIMIT: u64 = 4 << 10;
/// Records that are removed in one go before others may have the lock.
const BATCH: usize = 200;

/// What a submission is known by when it is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The name of its record's file.
    pub(crate) file: String,
    /// What it was submitted with, as a SHA-256.
    pub(crate) body_sha256: String,
}

impl Key {
    /// The key that a client (`anonymous` where there are none) sent with this body, and this webhook where it named
    /// one, for this API.
    pub fn new(client: &str, api: &ApiName, key: &str, body: &[u8], webhook: Option<&str>) -> Self {
        // With lengths in front, so that no two of them are one text.
        let parts = [client, api.as_str(), key];
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let mut sent = Sha256::new_with_prefix(body);
        if let Some(webhook) = webhook {
            // No JSON has a NUL in it, so that no body ends like this.
            sent.update(b"\0");
            sent.update(webhook);
        }
        Key {
            file: format!("{}.json", hex(&digest.finalize())),
            body_sha256: hex(&sent.finalize()),
        }
    }

    /// What the file says once the key belongs to this job.
    pub(crate) fn record(&self, uuid: JobId) -> Vec<u8> {
        let body_sha256 = self.body_sha256.clone();
        let record = KeyRecord { uuid, body_sha256 };
        serde_json::to_vec(&record).expect("names always serialize")
    }
}

/// The keys of submissions that are committed together.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Those whose job comes with this commit.
    coming: HashMap<String, KeyRecord>,
}

impl Keys {
    /// What a submission under this key is; under the lock. A record that cannot be understood is put aside.
    pub(crate) fn meaning(&self, guard: &Guard<'_>, key: &Key) -> Result<Meaning, FolderError> {
        let folder = guard.folder;
        if let Some(record) = self.coming.get(&key.file) {
            let keep = folder.options.keep;
            return Ok(meaning(
                Some(record),
                &key.body_sha256,
                true,
                keep,
                guard.now,
            ));
        }
        let record = folder.key_record(key, guard.now)?;
        let is_known = match &record {
            Some(record) => guard.knows(record.uuid)?,
            None => false,
        };
        let told = meaning(
            record.as_ref(),
            &key.body_sha256,
            is_known,
            folder.options.keep,
            guard.now,
        );
        if told == Meaning::First && record.is_some() {
            folder.dirs.idempotency.remove(&key.file)?;
        }
        Ok(told)
    }

    /// The job of this key comes with this commit.
    pub(crate) fn comes(&mut self, key: &Key, uuid: JobId) {
        let body_sha256 = key.body_sha256.clone();
        let record = KeyRecord { uuid, body_sha256 };
        self.coming.insert(key.file.clone(), record);
    }
}

impl SharedFolder {
    fn key_record(&self, key: &Key, now: Date) -> Result<Option<KeyRecord>, FolderError> {
        let dir = &self.dirs.idempotency;
        let read = match dir.read(&key.file, RECORD_LIMIT) {
            Ok(None) => return Ok(None),
            Err(error) if !error.is_of_the_file() => return Err(error),
            read => read.ok().flatten(),
        };
        let record = read.and_then(|text| serde_json::from_slice(&text).ok());
        if record.is_none() {
            self.put_aside(dir, &key.file, "it is no record of an Idempotency-Key", now)?;
        }
        Ok(record)
    }
}

impl Guard<'_> {
    /// Whether anything is left of a job.
    pub(crate) fn knows(&self, uuid: JobId) -> Result<bool, FolderError> {
        let (dirs, file) = (&self.folder.dirs, format!("{uuid}.json"));
        Ok(self.queue().get(uuid).is_some()
            || dirs.request.has(&file)?
            || dirs.receipt.has(&file)?)
    }
}

/// Removes the records of jobs that retention has removed.
pub(crate) fn remove_old(folder: &SharedFolder, now: Date) -> Result<(), FolderError> {
    let dir = &folder.dirs.idempotency;
    let mut old = Vec::new();
    for name in dir.names()? {
        let written = dir.modified(&name)?;
        if written.is_some_and(|written| now.since(written) > folder.options.keep) {
            old.push(name);
        }
    }
    for batch in old.chunks(BATCH) {
        let guard = folder.lock(now)?;
        for name in batch {
            let record: Option<KeyRecord> = folder.record(dir, name, RECORD_LIMIT);
            let is_known = match &record {
                Some(record) => guard.knows(record.uuid)?,
                None => false,
            };
            if !is_known {
                dir.remove(name)?;
            }
        }
    }
    Ok(())
}
