//! Signs of life: each worker replaces its own file, and holds a lock of its own while its process lives.
//!
//! The beat tells every host, by the observer's clock, that a worker lives. The lock tells at once that a process of
//! this machine has ended: the kernel frees it. On other machines the lock decides nothing.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;

use job_core::files::Heartbeat;
use job_core::ids::WorkerId;

use crate::dir::Kind;
use crate::error::{Because, FolderError};
use crate::folder::SharedFolder;
use crate::lock::try_lock;

/// Largest beat in bytes: one that tells of many jobs.
const BEAT_LIMIT: u64 = 8 << 20;

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
    /// Where its lock can be neither made nor taken: another process announced this very id, which is new at each
    /// start.
    pub fn announce(folder: Arc<SharedFolder>, worker: WorkerId) -> Result<Self, FolderError> {
        let name = lock_name(&worker);
        let lock = folder.with_reserve(|| folder.dirs.workers.touch(&name, Kind::Record))?;
        let path = folder.dirs.workers.at(&name);
        if !try_lock(&lock).because("lock", &path)? {
            return Err(FolderError::Unsuitable {
                path,
                reason: "another process runs as this worker".into(),
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
        let (folder, name) = (&self.folder, format!("{}.json", self.worker));
        // A worker that falls silent has to end its runs.
        folder.with_reserve(|| folder.dirs.workers.replace(&name, &text))
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
            .filter_map(|name| self.record(&self.dirs.workers, name, BEAT_LIMIT))
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

/// One process's look at the locks of other machines' workers, again and again.
#[derive(Debug, Default)]
pub struct LockWatch {
    /// The workers whose lock was free at the last look, each with its counter as it stood after that.
    free: HashMap<WorkerId, u64>,
}

impl LockWatch {
    /// The workers of other machines that beat on after their lock was seen to be free: the volume does not carry
    /// locks between hosts, and nothing that was promised holds on it. A free lock alone says nothing: its worker may
    /// have died.
    ///
    /// # Errors
    /// Where the folder of the beats cannot be listed.
    pub fn look(&mut self, folder: &SharedFolder) -> Result<Vec<WorkerId>, FolderError> {
        let boot = boot_id();
        let mut beats = folder.heartbeats()?;
        beats.retain(|beat| beat.boot.is_some() && beat.boot != boot);
        let beat_on = beats.iter().filter(|beat| {
            let before = self.free.get(&beat.worker);
            before.is_some_and(|before| beat.counter > *before)
        });
        let beat_on = beat_on.map(|beat| beat.worker.clone()).collect();
        beats.retain(|beat| is_free(folder, &beat.worker));
        let free: HashSet<_> = beats.into_iter().map(|beat| beat.worker).collect();
        self.free = HashMap::new();
        if !free.is_empty() {
            let later = folder.heartbeats()?.into_iter();
            let later = later.filter(|beat| free.contains(&beat.worker));
            self.free = later.map(|beat| (beat.worker, beat.counter)).collect();
        }
        Ok(beat_on)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Options;

    fn beat(worker: &WorkerId, counter: u64) -> Heartbeat {
        Heartbeat {
            worker: worker.clone(),
            host: "elsewhere".into(),
            boot: Some("another machine".into()),
            pid: 1,
            version: "0".into(),
            counter,
            slots: 1,
            jobs: Vec::new(),
            apis: Vec::new(),
            problems: Vec::new(),
        }
    }

    #[test]
    fn only_a_worker_that_beats_on_without_its_lock_tells_of_a_volume_without_locks() {
        let home = tempfile::tempdir().unwrap();
        let folder = Arc::new(SharedFolder::open(home.path(), Options::default()).unwrap());
        let worker: WorkerId = "w-1".parse().unwrap();
        let presence = Presence::announce(folder.clone(), worker.clone()).unwrap();
        let mut watch = LockWatch::default();
        let mut look = |counter| {
            presence.beat(&beat(&worker, counter)).unwrap();
            watch.look(&folder).unwrap()
        };
        let none: [WorkerId; 0] = [];
        // Its lock is held, and seen to be.
        assert_eq!((look(1), look(2)), (none.to_vec(), none.to_vec()));
        // Its lock is free, as on a volume that does not carry it here.
        presence._lock.unlock().unwrap();
        assert_eq!(look(3), none, "it may have died after this beat");
        assert_eq!(look(3), none, "it has died");
        assert_eq!(look(4), std::slice::from_ref(&worker), "it lives");
        // Locks come through again.
        assert!(try_lock(&presence._lock).unwrap());
        look(5);
        assert_eq!(look(6), none);
    }
}
