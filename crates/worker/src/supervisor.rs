//! The worker's end of the pipes to the supervisor.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::exec::{OWN_FAILURE, Report, adopt_orphans, end_orphans};

/// How long a supervisor may take to end everything once its pipe has closed.
const GONE: Duration = Duration::from_secs(2);

/// The supervisors of this process. Whatever one of them leaves that was killed falls to this process: from the first
/// start on, a child that is no supervisor is a job's.
#[derive(Debug, Clone)]
pub struct Supervisors {
    /// A program with the hidden command `exec`.
    executable: PathBuf,
    alive: Arc<Mutex<HashSet<Pid>>>,
}

impl Supervisors {
    /// None so far.
    ///
    /// # Errors
    /// Where this process cannot be the one that orphans fall to.
    pub fn new(executable: PathBuf) -> std::io::Result<Self> {
        adopt_orphans()?;
        let alive = Arc::default();
        Ok(Supervisors { executable, alive })
    }

    /// Starts one with the order in this file.
    ///
    /// # Errors
    /// Where the process cannot be started.
    pub fn start(&self, order: &Path) -> std::io::Result<Supervisor> {
        let mut command = Command::new(&self.executable);
        command
            .arg("exec")
            .arg(order)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        // Ctrl-C in a terminal goes to the foreground group; what it means for a job is the worker's to decide.
        command.process_group(0);
        // Held over the start, so that it never looks like somebody's orphan.
        let mut alive = self.alive();
        let mut child = command.spawn()?;
        let pid = child
            .id()
            .and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        alive.extend(pid);
        drop(alive);
        let words = child.stdin.take();
        let stdout = child.stdout.take();
        let stdout = stdout.expect("stdout was asked for and is taken once");
        Ok(Supervisor {
            child,
            pid,
            all: self.clone(),
            words,
            lines: BufReader::new(stdout).lines(),
        })
    }

    fn alive(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a supervisor went that gave no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It said that it could not do its work.
    ByItself,
    /// Somebody ended it.
    Ended,
}

/// A supervisor that runs a script. Dropped, its pipe closes, and it ends the whole tree.
#[derive(Debug)]
pub struct Supervisor {
    child: Child,
    pid: Option<Pid>,
    all: Supervisors,
    words: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Supervisor {
    /// Waits for the report. Nothing comes where the supervisor ended without one. May be dropped and called again.
    pub async fn report(&mut self) -> Option<Report> {
        loop {
            match self.lines.next_line().await {
                Ok(Some(line)) => {
                    // The line that says that the script was started is no report.
                    if let Ok(report) = serde_json::from_str(&line) {
                        return Some(report);
                    }
                }
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Asks the script to save and end; after the grace time it is killed.
    pub async fn terminate(&mut self) {
        if let Some(words) = &mut self.words {
            // A supervisor that cannot hear is dead, and that shows elsewhere.
            let _ = words.write_all(b"terminate\n").await;
            let _ = words.flush().await;
        }
    }

    /// Ends the whole tree at once.
    pub fn kill(&mut self) {
        self.words = None;
    }

    /// The supervisor gave no report: it is ended, and whatever it left of the job. Returns how it went itself.
    pub async fn end_what_is_left(mut self) -> Left {
        self.kill();
        let gone = tokio::time::timeout(GONE, self.child.wait()).await;
        if gone.is_err() {
            // It stands still.
            let _ = self.child.kill().await;
        }
        let all = self.all.clone();
        drop(self);
        let ended =
            tokio::task::spawn_blocking(move || end_orphans(|child| all.alive().contains(&child)));
        if let Ok(left @ 1..) = ended.await {
            tracing::error!(left, "processes of a job cannot be killed");
        }
        match gone {
            Ok(Ok(status)) if status.code() == Some(OWN_FAILURE.into()) => Left::ByItself,
            _ => Left::Ended,
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            self.all.alive().remove(&pid);
        }
    }
}
