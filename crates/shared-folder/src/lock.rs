//! The lock of the queue: `flock` on `request/status.json.lock`, an empty file that is never renamed or removed.
//!
//! For scripts that lock `status.json` itself, that file is locked too, always second. Nothing is ever broken by age:
//! the kernel frees a dead holder's lock. This is the only module that calls fs2.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use fs2::FileExt;
use rustix::io::Errno;

use crate::dir::{Dir, Kind};
use crate::error::{Because, FolderError, Holder};
use crate::index::INDEX;
use crate::measures;
use crate::random;

/// The lock's file.
pub(crate) const LOCK: &str = "status.json.lock";

/// The lock of one folder, as one process sees it.
#[derive(Debug)]
pub(crate) struct QueueLock {
    path: PathBuf,
    file: File,
    /// `flock` belongs to the open file, so threads of one process exclude each other by this.
    threads: Mutex<()>,
}

/// The lock is held while this lives.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    lock: &'a QueueLock,
    /// `status.json`, locked for those who lock that; absent while there is none.
    index: Option<File>,
    since: Instant,
    _thread: MutexGuard<'a, ()>,
}

impl QueueLock {
    /// Opens the lock's file, which is made where it is missing.
    pub(crate) fn open(request: &Dir) -> Result<Self, FolderError> {
        let file = request.touch(LOCK, Kind::Record)?;
        Ok(QueueLock {
            path: request.at(LOCK),
            file,
            threads: Mutex::new(()),
        })
    }

    /// Takes the lock within `patience`.
    pub(crate) fn take(&self, request: &Dir, patience: Duration) -> Result<Held<'_>, FolderError> {
        let begun = Instant::now();
        let mut wait = Wait::new(patience);
        let thread = loop {
            match self.threads.try_lock() {
                Ok(thread) => break thread,
                // Whoever panicked while holding it left the index as it was: a commit is one rename.
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => wait.pause(|| self.busy(patience, &self.path))?,
            }
        };
        while !try_lock(&self.file).because("lock", &self.path)? {
            wait.pause(|| self.busy(patience, &self.path))?;
        }
        let mut held = Held {
            lock: self,
            index: None,
            since: Instant::now(),
            _thread: thread,
        };
        held.index = self.lock_index(request, &mut wait, patience)?;
        measures::lock_waited(begun.elapsed());
        Ok(held)
    }

    /// Keeps writers out, for a reader that must not see anything half-way; until what is returned is dropped.
    pub(crate) fn share(&self, request: &Dir, patience: Duration) -> Result<File, FolderError> {
        // A descriptor of its own: the lock of this process's other one must stay as it is.
        let file = request.touch(LOCK, Kind::Record)?;
        let mut wait = Wait::new(patience);
        loop {
            match FileExt::try_lock_shared(&file) {
                Ok(()) => return Ok(file),
                Err(error)
                    if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() =>
                {
                    wait.pause(|| self.busy(patience, &self.path))?;
                }
                Err(error) => return Err(error).because("lock", &self.path),
            }
        }
    }

    fn lock_index(
        &self,
        request: &Dir,
        wait: &mut Wait,
        patience: Duration,
    ) -> Result<Option<File>, FolderError> {
        let path = request.at(INDEX);
        loop {
            // A folder or a link of that name is the loader's to put aside.
            let Ok(Some(file)) = request.open_file(INDEX) else {
                return Ok(None);
            };
            loop {
                match try_lock(&file) {
                    Ok(true) => break,
                    Ok(false) => wait.pause(|| self.busy(patience, &path))?,
                    // NFS locks only what is open for writing; the lock's own file is.
                    Err(error) if error.raw_os_error() == Some(Errno::BADF.raw_os_error()) => {
                        return Ok(None);
                    }
                    Err(error) => return Err(error).because("lock", &path),
                }
            }
            // Somebody may have renamed another file over it in the meantime.
            let same = |other: &File| -> io::Result<bool> {
                let (mine, theirs) = (file.metadata()?, other.metadata()?);
                Ok((mine.dev(), mine.ino()) == (theirs.dev(), theirs.ino()))
            };
            match request.open_file(INDEX) {
                Ok(Some(other)) if same(&other).because("look at", &path)? => {
                    return Ok(Some(file));
                }
                Ok(_) => {}
                Err(_) => return Ok(None),
            }
        }
    }

    fn busy(&self, waited: Duration, path: &Path) -> FolderError {
        measures::lock_was_busy();
        let holder = std::fs::metadata(path)
            .ok()
            .and_then(|metadata| holder(metadata.ino()));
        FolderError::Busy { waited, holder }
    }
}

impl Held<'_> {
    /// Since when the lock is held.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.index = None;
        // An unlock can only fail for a descriptor that is none.
        let _ = FileExt::unlock(&self.lock.file);
        measures::lock_held(self.since.elapsed());
    }
}

/// Locks a file if nobody else has it locked; whether it worked.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    match FileExt::try_lock_exclusive(file) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Free and total bytes of the volume that holds `path`.
pub(crate) fn space(path: &Path) -> io::Result<(u64, u64)> {
    Ok((fs2::available_space(path)?, fs2::total_space(path)?))
}

/// Pauses that grow, until patience is over.
struct Wait {
    end: Instant,
    pause: Duration,
}

impl Wait {
    const LONGEST: Duration = Duration::from_millis(8);

    fn new(patience: Duration) -> Self {
        Wait {
            end: Instant::now() + patience,
            pause: Duration::from_micros(100),
        }
    }

    fn pause(&mut self, busy: impl FnOnce() -> FolderError) -> Result<(), FolderError> {
        if Instant::now() >= self.end {
            return Err(busy());
        }
        // Jitter between half and the whole pause keeps waiting processes from marching in step.
        let [byte] = random::bytes::<1>();
        std::thread::sleep(self.pause.mul_f64(0.5 + f64::from(byte) / 512.0));
        self.pause = (self.pause * 2).min(Self::LONGEST);
        Ok(())
    }
}

/// Who holds an exclusive `flock` on this inode, as far as `/proc` tells.
fn holder(inode: u64) -> Option<Holder> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // 1: FLOCK ADVISORY WRITE 4711 fd:01:1234567 0 EOF
        let place = fields.iter().position(|field| *field == "FLOCK")?;
        let (mode, pid, file) = (
            fields.get(place + 2)?,
            fields.get(place + 3)?,
            fields.get(place + 4)?,
        );
        (*mode == "WRITE" && file.rsplit(':').next()? == inode.to_string())
            .then(|| pid.parse::<u32>().ok())?
    })?;
    let command = std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .unwrap_or_default()
        .trim()
        .to_owned();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let stopped = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next())
        .is_some_and(|s| s == "T" || s == "t");
    Some(Holder {
        pid,
        command,
        stopped,
    })
}
