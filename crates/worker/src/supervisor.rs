//! The worker's end of the pipes to the supervisor.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::exec::{OWN_FAILURE, Report, Started, adopt_orphans, end_orphans};

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
            started: false,
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
    /// It could not do its work, and the script was never started.
    BeforeTheStart,
    /// It could not do its work to the end.
    ByItself,
    /// Somebody ended it.
    Ended,
}

impl Left {
    fn with(exit_code: Option<i32>, started: bool) -> Self {
        match (exit_code == Some(OWN_FAILURE.into()), started) {
            (true, false) => Left::BeforeTheStart,
            (true, true) => Left::ByItself,
            (false, _) => Left::Ended,
        }
    }
}

/// A supervisor that runs a script. Dropped, its pipe closes, and it ends the whole tree.
#[derive(Debug)]
pub struct Supervisor {
    child: Child,
    pid: Option<Pid>,
    all: Supervisors,
    words: Option<ChildStdin>,
    /// It has said that the script runs.
    started: bool,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Supervisor {
    /// Waits for the report. Nothing comes where the supervisor ended without one. May be dropped and called again.
    pub async fn report(&mut self) -> Option<Report> {
        loop {
            match self.lines.next_line().await {
                Ok(Some(line)) => {
                    if let Ok(report) = serde_json::from_str(&line) {
                        return Some(report);
                    }
                    self.started |= serde_json::from_str::<Started>(&line).is_ok();
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
        let (all, started) = (self.all.clone(), self.started);
        drop(self);
        let ended =
            tokio::task::spawn_blocking(move || end_orphans(|child| all.alive().contains(&child)));
        if let Ok(left @ 1..) = ended.await {
            tracing::error!(left, "processes of a job cannot be killed");
        }
        let exit_code = gone.ok().and_then(|status| status.ok()?.code());
        Left::with(exit_code, started)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            self.all.alive().remove(&pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_went_tells_whether_the_script_may_have_run() {
        let own = Some(i32::from(OWN_FAILURE));
        for (exit_code, started, left) in [
            (own, false, Left::BeforeTheStart),
            (own, true, Left::ByItself),
            // Killed, or ended by a signal's default: who knows what it had started.
            (None, false, Left::Ended),
            (None, true, Left::Ended),
            (Some(0), true, Left::Ended),
        ] {
            assert_eq!(Left::with(exit_code, started), left);
        }
    }
}
