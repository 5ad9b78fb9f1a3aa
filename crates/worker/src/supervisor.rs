//! The worker's end of the pipes to the supervisor.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use job_core::ids::JobId;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::exec::Report;

/// A supervisor that runs a script. Dropped, its pipe closes, and it ends the whole tree.
#[derive(Debug)]
pub struct Supervisor {
    child: Child,
    words: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Supervisor {
    /// Starts a supervisor with the order in this file.
    ///
    /// # Errors
    /// Where the process cannot be started.
    pub fn start(executable: &Path, order: &Path) -> std::io::Result<Self> {
        let mut command = Command::new(executable);
        command
            .arg("exec")
            .arg(order)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        // Ctrl-C in a terminal goes to the foreground group; what it means for a job is the worker's to decide.
        let mut child = command.process_group(0).spawn()?;
        let words = child.stdin.take();
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| std::io::Error::other("the supervisor has no stdout"))?;
        Ok(Supervisor {
            child,
            words,
            lines: BufReader::new(stdout).lines(),
        })
    }

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

    /// The supervisor ended without a report: whatever it left of the job is ended.
    pub async fn end_what_is_left(&mut self, uuid: JobId) {
        self.kill();
        if tokio::time::timeout(Duration::from_secs(2), self.child.wait())
            .await
            .is_err()
        {
            let _ = self.child.kill().await;
        }
        let marked = tokio::task::spawn_blocking(move || {
            for _ in 0..100 {
                let left = processes_of(uuid);
                if left.is_empty() {
                    return;
                }
                for pid in left {
                    let _ = kill_process(pid, Signal::KILL);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            tracing::error!(job.id = %uuid, "processes of a job cannot be killed");
        });
        let _ = marked.await;
    }
}

/// The processes that carry the job's mark in their environment.
fn processes_of(uuid: JobId) -> Vec<Pid> {
    let mark = format!("BCRL_JOB={uuid}");
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let marked = pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
    });
    marked.filter_map(Pid::from_raw).collect()
}
