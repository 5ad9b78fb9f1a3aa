//! The folder itself: what it is made of, and how it is opened.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use job_core::date::Date;

use crate::dir::Dir;
use crate::error::{Because, FolderError};
use crate::guard::Guard;
use crate::lock::QueueLock;
use crate::self_test;
use crate::snapshot::{Generation, IndexFile, Stamp};
use crate::sweep::settle_at_start;

/// A shared folder that is open.
///
/// Threads may share it. Several of them in one process, or in many, work on one folder side by side.
#[derive(Debug)]
pub struct SharedFolder {
    pub(crate) root: PathBuf,
    pub(crate) dirs: Dirs,
    pub(crate) options: Options,
    pub(crate) lock: QueueLock,
    /// Whether the index is synced before it takes effect, because the volume reports failed writes no sooner.
    pub(crate) sync_index: bool,
    /// The last generation of the index that was read or written here.
    pub(crate) cache: Mutex<Option<Arc<Generation>>>,
    /// The state of the index that no reader of this process could make anything of.
    pub(crate) broken: Mutex<Option<IndexFile>>,
    /// Responses that were read through and found as they were published.
    pub(crate) verified: Mutex<HashSet<Stamp>>,
}

/// How a folder is used; the same for all services of a site.
#[derive(Debug, Clone)]
pub struct Options {
    /// Group id for folders (2770) and files (0660); absent: each process's own group.
    pub group: Option<u32>,
    /// Most jobs in the index.
    pub queue_limit: usize,
    /// How long finished jobs are kept.
    pub keep: chrono::TimeDelta,
    /// How long a client waits for the lock.
    pub patience: Duration,
    /// Largest response in bytes.
    pub result_limit: u64,
    /// Largest request body in bytes.
    pub request_limit: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            group: None,
            queue_limit: 50_000,
            keep: chrono::TimeDelta::days(7),
            patience: Duration::from_secs(5),
            result_limit: 64 << 20,
            request_limit: 8 << 20,
        }
    }
}

/// The folders of the folder.
#[derive(Debug)]
pub(crate) struct Dirs {
    pub(crate) request: Dir,
    pub(crate) response: Dir,
    pub(crate) receipt: Dir,
    pub(crate) log: Dir,
    pub(crate) progress: Dir,
    pub(crate) lease: Dir,
    pub(crate) cancel: Dir,
    pub(crate) workers: Dir,
    pub(crate) catalog: Dir,
    pub(crate) idempotency: Dir,
    pub(crate) webhook: Dir,
    pub(crate) quarantine: Dir,
    pub(crate) late: Dir,
    /// The folder that holds them.
    pub(crate) root: Dir,
}

/// The names of the folders in the shared folder.
pub(crate) const NAMES: [&str; 12] = [
    "request",
    "response",
    "receipt",
    "log",
    "progress",
    "lease",
    "cancel",
    "workers",
    "catalog",
    "idempotency",
    "webhook",
    "quarantine",
];

impl Dirs {
    /// All folders, each with its path beneath the shared folder.
    pub(crate) fn all(&self) -> [(&'static str, &Dir); 14] {
        [
            ("", &self.root),
            ("request", &self.request),
            ("response", &self.response),
            ("receipt", &self.receipt),
            ("log", &self.log),
            ("progress", &self.progress),
            ("lease", &self.lease),
            ("cancel", &self.cancel),
            ("workers", &self.workers),
            ("catalog", &self.catalog),
            ("idempotency", &self.idempotency),
            ("webhook", &self.webhook),
            ("quarantine", &self.quarantine),
            ("quarantine/late", &self.late),
        ]
    }
}

impl SharedFolder {
    /// Opens a folder, which is made where it is missing.
    ///
    /// # Errors
    /// Where a folder or the lock's file can be neither opened nor made.
    pub fn open(root: &Path, options: Options) -> Result<Self, FolderError> {
        // Absolute, so that messages and the kernel's events name the same path wherever a process was started.
        let root = &std::path::absolute(root).because("find", root)?;
        if let Some(parent) = root.parent() {
            std::fs::create_dir_all(parent).because("make folder", parent)?;
        }
        let root_dir = Dir::open(root.to_owned(), options.group)?;
        let open = |name: &str| Dir::open(root.join(name), options.group);
        let dirs = Dirs {
            request: open("request")?,
            response: open("response")?,
            receipt: open("receipt")?,
            log: open("log")?,
            progress: open("progress")?,
            lease: open("lease")?,
            cancel: open("cancel")?,
            workers: open("workers")?,
            catalog: open("catalog")?,
            idempotency: open("idempotency")?,
            webhook: open("webhook")?,
            quarantine: open("quarantine")?,
            late: open("quarantine/late")?,
            root: root_dir,
        };
        let lock = QueueLock::open(&dirs.request)?;
        let sync_index = self_test::is_remote(root);
        Ok(SharedFolder {
            root: root.to_owned(),
            dirs,
            options,
            lock,
            sync_index,
            cache: Mutex::default(),
            broken: Mutex::default(),
            verified: Mutex::default(),
        })
    }

    /// Opens a folder for a service: checks that its volume carries the protocol, and settles what an earlier process
    /// left half-way, before anything is answered or claimed. `lock_probe` is a command of this program that calls
    /// [`self_test::probe`] with the path that is appended to its arguments.
    ///
    /// # Errors
    /// As for [`SharedFolder::open`]; [`FolderError::Unsuitable`] where locks do not hold on the volume.
    pub fn start(
        root: &Path,
        options: Options,
        lock_probe: Command,
        now: Date,
    ) -> Result<Self, FolderError> {
        let folder = SharedFolder::open(root, options)?;
        if let Some(advice) = self_test::self_test(&folder, lock_probe)? {
            tracing::warn!("{advice}");
        }
        folder.with_reserve(|| settle_at_start(&folder, now))?;
        folder.keep_reserve()?;
        Ok(folder)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How it is used.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Takes the lock of the queue.
    pub(crate) fn lock(&self, now: Date) -> Result<Guard<'_>, FolderError> {
        Guard::take(self, now, self.options.patience)
    }
}
