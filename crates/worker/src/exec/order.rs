//! What the worker orders and what the supervisor answers: the only words between the two.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ExecError;
use super::containment::{Containment, InForce};

/// One run of one script, as the worker writes it into the order file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The program to start, an absolute path: the interpreter, not the script.
    pub program: PathBuf,
    /// Its arguments, without the program's own name.
    pub args: Vec<String>,
    /// Files that the script's user must be able to read: the script.
    pub needs: Vec<PathBuf>,
    /// The directory that the program starts in.
    pub working_dir: PathBuf,
    /// The whole environment: nothing of the worker's own is passed on.
    pub environment: BTreeMap<String, String>,
    /// The file that the script reads as its stdin.
    pub stdin: PathBuf,
    /// The file that takes what the script prints. It is emptied first, and loses its name before the script starts.
    pub stdout: PathBuf,
    /// How many bytes the script may print; one more and it is ended.
    pub stdout_limit: u64,
    /// The file that takes the script's stderr; appended to, made if missing.
    pub log: PathBuf,
    /// How many bytes of stderr this run may keep: the first half and the last half.
    /// The last half is held in memory until the end.
    pub log_limit: u64,
    /// How long the script may run, in milliseconds, before it gets SIGTERM.
    pub timeout_ms: u64,
    /// How long it then has until SIGKILL, in milliseconds.
    pub grace_ms: u64,
    /// Resident bytes that the script and all its descendants may have together, and bytes of memory that they may hold
    /// as files without a name.
    pub memory: u64,
    /// How many processes the script and its descendants may be at once, ended ones that nobody waited for included.
    pub processes: u32,
    /// The run's own folder: given to the script's user with all that is in it, and open to its writes.
    pub scratch: PathBuf,
    /// How many bytes the script may hold in that folder, deleted files that it still has open included, and 4 KiB for
    /// each file at the least; no file that it writes anywhere grows larger than this.
    pub scratch_limit: u64,
    /// Where else it may write, as far as its user may: files, and folders with all that is in them.
    pub writable: Vec<PathBuf>,
    /// Folders that it is not to see, where it has a PID namespace of its own and nothing of the above stands in there;
    /// absolute paths.
    pub hidden: Vec<PathBuf>,
    /// What is to hold it apart from its host.
    pub containment: Containment,
}

impl Order {
    /// Reads an order file.
    ///
    /// # Errors
    /// [`ExecError::File`] if it cannot be read, [`ExecError::Order`] if it is no order.
    pub fn read(path: &Path) -> Result<Self, ExecError> {
        let text = std::fs::read(path).map_err(|source| ExecError::file("read", path, source))?;
        serde_json::from_slice(&text).map_err(|source| ExecError::Order {
            path: path.to_owned(),
            source,
        })
    }
}

/// The supervisor's first line: the script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The process id of the script; with a PID namespace of its own, of the namespace's init.
    pub started: i32,
}

/// The supervisor's last line, written when nothing of the job runs any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How the run ended.
    pub ending: Ending,
    /// From the start to the script's own end, in milliseconds.
    pub run_ms: u64,
    /// The most resident bytes that the tree was seen with; looked at every 50 ms.
    pub max_memory: u64,
    /// Bytes that the script printed, also those past the limit.
    pub stdout_bytes: u64,
    /// The end of its stderr, at most 4 KiB, what is no UTF-8 replaced.
    pub stderr_tail: String,
    /// What held the script, or would have.
    pub containment: InForce,
}

/// How a run ended. Where several things happen, the first that the supervisor acted on counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ending {
    /// It exited with 0 and printed exactly one JSON document.
    Printed,
    /// It exited with 0 and printed nothing, or only white space.
    NoResult,
    /// It exited with 0 and printed something that is not one JSON document.
    InvalidOutput {
        /// What is wrong, with line and column; at most 200 characters.
        message: String,
    },
    /// It printed more than the order allows.
    OutputTooLarge,
    /// It exited with another code than 0.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// A signal that the supervisor did not send killed it.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// It ran longer than the order allows.
    TimedOut,
    /// It and its descendants took more memory than the order allows, or held more in files without a name.
    Memory,
    /// It and its descendants were more processes than the order allows.
    Processes {
        /// How many it allows.
        limit: u32,
    },
    /// It held more in its folder than the order allows, or what cannot be counted.
    Scratch {
        /// How many bytes it allows.
        limit: u64,
    },
    /// The worker asked for its end.
    Terminated,
    /// It was not started: a part of its containment cannot be had without which the order allows no run.
    NotContained {
        /// The part and the reason.
        message: String,
    },
    /// It could not be started.
    SpawnError {
        /// The program and the reason.
        message: String,
    },
}
