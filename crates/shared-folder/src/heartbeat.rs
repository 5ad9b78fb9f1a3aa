//! Signs of life: each worker replaces its own file, and holds a lock of its own while its process lives.
//!
//! The beat tells every host, by the observer's clock, that a worker lives. The lock tells at once that a process of
//! this machine has ended: the kernel frees it. On other machines the lock decides nothing.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use job_core::files::Heartbeat;
use job_core::ids::WorkerId;

use crate::dir::Kind;
use crate::error::{Because, FolderError};
use crate::folder::SharedFolder;
use crate::lock::try_lock;

/// A worker that shows that it lives.
#[derive(Debug)]
pub struct Presence {
    folder: Arc<SharedFolder>,
    worker: WorkerId,
    /// Locked for as long as the process lives.
    _lock: File,
}

impl Presence {
    /// Announces a worker; its first beat is to follow before it claims anything.
    ///
    /// # Errors
    /// Where its lock cannot be taken: another process uses its name.
    pub fn announce(folder: Arc<SharedFolder>, worker: WorkerId) -> Result<Self, FolderError> {
        let name = lock_name(&worker);
        let lock = folder.dirs.workers.touch(&name, Kind::Record)?;
        let path = folder.dirs.workers.at(&name);
        if !try_lock(&lock).because("lock", &path)? {
            return Err(FolderError::Unsuitable {
                path,
                reason: "another worker of this name is running".into(),
            });
        }
        Ok(Presence {
            folder,
            worker,
            _lock: lock,
        })
    }

    /// Shows that the worker lives.
    ///
    /// # Errors
    /// Where its file cannot be replaced. A worker that cannot beat for as long as its lease must end its runs.
    pub fn beat(&self, heartbeat: &Heartbeat) -> Result<(), FolderError> {
        let text = serde_json::to_vec(heartbeat).expect("a heartbeat always serializes");
        self.folder
            .dirs
            .workers
            .replace(&format!("{}.json", self.worker), &text)
    }

    /// The worker is shut down as planned and is no longer to be waited for.
    ///
    /// # Errors
    /// Where its files cannot be removed.
    pub fn leave(self) -> Result<(), FolderError> {
        forget(&self.folder, &self.worker)
    }
}

impl SharedFolder {
    /// The latest beat of each worker that has not left; in the order of their names.
    ///
    /// # Errors
    /// Where the folder of the beats cannot be listed.
    pub fn heartbeats(&self) -> Result<Vec<Heartbeat>, FolderError> {
        let mut names = self.dirs.workers.names()?;
        names.retain(|name| name.ends_with(".json") && !name.starts_with('.'));
        names.sort_unstable();
        Ok(names
            .iter()
            .filter_map(|name| {
                self.document(&self.dirs.workers, name, 8 << 20)
                    .ok()
                    .flatten()
            })
            .collect())
    }
}

/// The workers of this machine whose process has ended without leaving.
pub(crate) fn gone_from_this_machine(
    folder: &SharedFolder,
    heartbeats: &[Heartbeat],
) -> HashSet<WorkerId> {
    let Some(boot) = boot_id() else {
        return HashSet::new();
    };
    let here = heartbeats
        .iter()
        .filter(|beat| beat.boot.as_ref() == Some(&boot));
    here.filter(|beat| is_free(folder, &beat.worker))
        .map(|beat| beat.worker.clone())
        .collect()
}

/// The workers of other machines whose lock is free although they live: the volume does not carry locks between
/// hosts, and nothing that was promised holds on it.
pub fn unlocked_elsewhere<'a>(
    folder: &SharedFolder,
    alive: impl IntoIterator<Item = &'a Heartbeat>,
) -> Vec<WorkerId> {
    let boot = boot_id();
    let elsewhere = alive
        .into_iter()
        .filter(|beat| beat.boot.is_some() && beat.boot != boot);
    elsewhere
        .filter(|beat| is_free(folder, &beat.worker))
        .map(|beat| beat.worker.clone())
        .collect()
}

/// Removes a worker's files.
pub(crate) fn forget(folder: &SharedFolder, worker: &WorkerId) -> Result<(), FolderError> {
    folder.dirs.workers.remove(&format!("{worker}.json"))?;
    folder.dirs.workers.remove(&lock_name(worker))?;
    Ok(())
}

/// The kernel's boot id, which two processes share exactly where they run on one kernel.
pub fn boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()
        .map(|id| id.trim().to_owned())
}

fn is_free(folder: &SharedFolder, worker: &WorkerId) -> bool {
    let lock = folder
        .dirs
        .workers
        .open_file(&lock_name(worker))
        .ok()
        .flatten();
    lock.is_some_and(|lock| try_lock(&lock).unwrap_or(false))
}

fn lock_name(worker: &WorkerId) -> String {
    format!("{worker}.lock")
}
