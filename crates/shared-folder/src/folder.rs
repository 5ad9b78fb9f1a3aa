//! The folder itself: opening it, and looking at its jobs without a lock.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
use crate::guard::Guard;
use crate::index::{Document, INDEX, SIZE_LIMIT};
use crate::lock::QueueLock;
use crate::{recover, self_test};

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
    cache: Mutex<Option<Arc<Generation>>>,
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
    pub(crate) quarantine: Dir,
    pub(crate) late: Dir,
    /// The folder that holds them.
    pub(crate) root: Dir,
}

/// One state of the index, and the file that it was read from. The file stays open, so that its inode is not given to
/// another while this is remembered.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) stamp: Stamp,
    pub(crate) document: Document,
    pub(crate) _file: File,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
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
        recover::settle_at_start(&folder, now)?;
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

    /// The same entries, for showing them: where somebody ended jobs by hand and no receipt says so yet, these are
    /// settled first, so that no final status is shown that could still change.
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
            if !self.dirs.receipt.has(&format!("{}.json", entry.uuid))? {
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
        let lease: Option<Lease> = self.record(&self.dirs.lease, &file, 1 << 20);
        let progress = match state.status() {
            Status::Processing => self.record(&self.dirs.progress, &file, 64 << 10),
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

    /// The request of a job, as it was accepted.
    ///
    /// # Errors
    /// Where there is one and it cannot be read.
    pub fn request(&self, uuid: JobId) -> Result<Option<Request>, FolderError> {
        self.document(
            &self.dirs.request,
            &format!("{uuid}.json"),
            self.options.request_limit + (64 << 10),
        )
    }

    /// How a job ended, where it did.
    ///
    /// # Errors
    /// Where there is a receipt and it cannot be read.
    pub fn receipt(&self, uuid: JobId) -> Result<Option<Receipt>, FolderError> {
        self.document(&self.dirs.receipt, &format!("{uuid}.json"), 16 << 20)
    }

    /// The response of a job, to be streamed from.
    ///
    /// # Errors
    /// Where there is something that is no plain file.
    pub fn response(&self, uuid: JobId) -> Result<Option<File>, FolderError> {
        self.dirs.response.open_file(&format!("{uuid}.json"))
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

    /// Takes the lock of the queue.
    pub(crate) fn lock(&self, now: Date) -> Result<Guard<'_>, FolderError> {
        Guard::take(self, now, self.options.patience)
    }

    /// The index as it is now, without a lock; nothing where there is no file.
    pub(crate) fn snapshot(&self) -> Result<Option<Arc<Generation>>, FolderError> {
        // Whoever edits in place is seen half-way now and then.
        for pause in [0, 10, 50, 200] {
            std::thread::sleep(Duration::from_millis(pause));
            if let Ok(generation) = self.read_index() {
                return Ok(generation);
            }
        }
        let trouble = match self.read_index() {
            Ok(generation) => return Ok(generation),
            Err(trouble) => trouble,
        };
        match self.cached() {
            Some(last) => Ok(Some(last)),
            None => Err(trouble),
        }
    }

    fn read_index(&self) -> Result<Option<Arc<Generation>>, FolderError> {
        let path = self.dirs.request.at(INDEX);
        let unreadable = |reason: String| FolderError::Unreadable {
            path: path.clone(),
            reason,
        };
        let file = match self.dirs.request.open_file(INDEX)? {
            Some(file) => file,
            // Before the first job there is none; later it is missing, and whoever has the lock makes it again.
            None if self.cached().is_some() => return Err(unreadable("it is gone".into())),
            None => return Ok(None),
        };
        let stamp = Stamp::of(&file).because("look at", &path)?;
        let cached = self.cached();
        if let Some(generation) = cached
            .as_ref()
            .filter(|generation| generation.stamp == stamp)
        {
            return Ok(Some(generation.clone()));
        }
        let text = read_all(&file).because("read", &path)?;
        let parsed = Document::parse(
            &text,
            cached.as_deref().map(|generation| &generation.document),
        )
        .map_err(|damage| unreadable(damage.to_string()))?;
        if Stamp::of(&file).because("look at", &path)? != stamp {
            return Err(unreadable("it is being changed in place".into()));
        }
        let generation = Arc::new(Generation {
            stamp,
            document: parsed.document,
            _file: file,
        });
        // Where entries were left out, the one who holds the lock must see them too.
        if parsed.bad.is_empty() {
            self.remember(generation.clone());
        }
        Ok(Some(generation))
    }

    /// Whether the index stands on the disk as it should. A reader who finds it broken has the last good copy; only
    /// whoever holds the lock can mend it.
    pub(crate) fn index_is_sound(&self) -> bool {
        let sound = |generation: Option<Arc<Generation>>| {
            let remembered = self.cached();
            generation.is_some_and(|read| remembered.is_some_and(|last| last.stamp == read.stamp))
        };
        self.read_index().is_ok_and(sound)
    }

    pub(crate) fn cached(&self) -> Option<Arc<Generation>> {
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn remember(&self, generation: Arc<Generation>) {
        *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = Some(generation);
    }
}

/// Reads a file from its start, up to the size that an index may have.
pub(crate) fn read_all(file: &File) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::with_capacity(
        usize::try_from(file.metadata()?.len().min(SIZE_LIMIT)).unwrap_or(0) + 1,
    );
    file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            "an index has at most 64 MiB",
        ));
    }
    Ok(bytes)
}
