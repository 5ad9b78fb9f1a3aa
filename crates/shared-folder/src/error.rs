//! What can go wrong with the folder, by what a caller can do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Trouble with the shared folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Somebody else held the lock for the whole time that a caller may wait. Try again.
    #[error("the lock of the queue was not free within {waited:?}{}", holder.as_ref().map(|holder| format!("; {holder}")).unwrap_or_default())]
    Busy {
        /// How long it was waited for.
        waited: Duration,
        /// Who holds it, where the kernel tells.
        holder: Option<Holder>,
    },
    /// The queue holds as many jobs as it may. Try again later.
    #[error("the queue is full: it holds {limit} jobs")]
    QueueFull {
        /// The most jobs that it holds.
        limit: usize,
    },
    /// The disk is nearly full. An operator must make room.
    #[error("{} has {free} bytes free, and {due} are kept for results and clean-up", path.display())]
    DiskFull {
        /// The folder.
        path: PathBuf,
        /// What is free, in bytes.
        free: u64,
        /// What is kept free, in bytes.
        due: u64,
    },
    /// The volume cannot carry the protocol. An operator must use another one.
    #[error("{}: {reason}", path.display())]
    Unsuitable {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it did not work.
        source: io::Error,
    },
    /// The index cannot be read at this moment, and was never read before.
    #[error("{} cannot be read now: {reason}", path.display())]
    Unreadable {
        /// The index.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl FolderError {
    /// Whether a file is not what it should be: a link, a folder, a pipe, or too large. Other trouble may be the rights
    /// of this process, or pass by itself.
    pub(crate) fn is_of_the_file(&self) -> bool {
        let FolderError::Io { source, .. } = self else {
            return false;
        };
        source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
            || matches!(
                source.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge
            )
    }

    /// The error with its reason, in one line.
    pub(crate) fn with_reason(&self) -> String {
        match std::error::Error::source(self) {
            Some(reason) => format!("{self}: {reason}"),
            None => self.to_string(),
        }
    }

    /// Whether this process may not do it.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, FolderError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Whether the disk has no room, as the guard or the kernel sees it.
    pub fn is_disk_full(&self) -> bool {
        match self {
            FolderError::DiskFull { .. } => true,
            FolderError::Io { source, .. } => {
                matches!(
                    source.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                )
            }
            _ => false,
        }
    }
}

/// Adds what was tried, and on which file, to an error of the operating system.
pub(crate) trait Because<T> {
    /// The same result with an error that says where.
    fn because(self, action: &'static str, path: &Path) -> Result<T, FolderError>;
}

impl<T, E: Into<io::Error>> Because<T> for Result<T, E> {
    fn because(self, action: &'static str, path: &Path) -> Result<T, FolderError> {
        self.map_err(|source| FolderError::Io {
            action,
            path: path.to_owned(),
            source: source.into(),
        })
    }
}

/// The process that holds the lock, as the kernel names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id on this host.
    pub pid: u32,
    /// Its command's name.
    pub command: String,
    /// Whether it is stopped (as by SIGSTOP) and will not go on by itself.
    pub stopped: bool,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.stopped {
            ", which is stopped"
        } else {
            ""
        };
        write!(
            f,
            "it is held by process {} ({}){state}",
            self.pid, self.command
        )
    }
}
