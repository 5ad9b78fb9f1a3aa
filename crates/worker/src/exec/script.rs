//! The start of the script: its files, its environment, its own process group.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, getpriority_process, setpriority_process};
use tokio::process::{ChildStderr, ChildStdout};

use super::tree::Tree;
use super::{ExecError, Order, Started};

/// How readily the kernel takes a job when the host's memory runs out: before any service.
const OOM_SCORE: &str = "500";
const OOM_SCORE_FILE: &str = "/proc/self/oom_score_adj";

/// How much nicer a job is than its supervisor, which must get its turn beside a fork bomb.
const NICER: i32 = 10;

/// The worker's files that a run reads and writes.
pub(super) struct Files {
    /// The script's stdin.
    pub(super) stdin: File,
    /// Takes its stdout; read again at the end.
    pub(super) stdout: File,
    /// Takes its stderr.
    pub(super) log: File,
}

impl Files {
    /// Opens them before anything is started.
    pub(super) fn open(order: &Order) -> Result<Self, ExecError> {
        let (mut stdin, mut stdout, mut log) = (File::options(), File::options(), File::options());
        stdin.read(true);
        stdout.read(true).write(true).create(true).truncate(true);
        log.append(true).create(true);
        let open = |options: &OpenOptions, path| {
            options
                .open(path)
                .map_err(|source| ExecError::file("open", path, source))
        };
        Ok(Self {
            stdin: open(&stdin, &order.stdin)?,
            stdout: open(&stdout, &order.stdout)?,
            log: open(&log, &order.log)?,
        })
    }
}

/// The script, started and not yet reaped.
pub(super) struct Script {
    child: Child,
    /// All processes that come of it.
    pub(super) tree: Tree,
}

impl Script {
    /// Starts it. Its program missing, no program, or its directory missing is
    /// [`ExecError::Spawn`].
    pub(super) fn start(order: &Order, stdin: &File) -> Result<Self, ExecError> {
        let stdin = stdin
            .try_clone()
            .map_err(ExecError::system("hand stdin on"))?;
        let refused = |what: &dyn std::fmt::Display, why: &dyn std::fmt::Display| {
            ExecError::Spawn(format!("cannot start {what}: {why}"))
        };
        // The system's answer to a missing directory would read like a missing program.
        if let Err(error) = fs::metadata(order.working_dir.join(".")) {
            let what = format_args!("in {}", order.working_dir.display());
            return Err(refused(&what, &error));
        }
        let calm = fs::read_to_string(OOM_SCORE_FILE);
        // Best effort: a kernel without it protects nobody.
        let _ = fs::write(OOM_SCORE_FILE, OOM_SCORE);
        let spawned = Command::new(&order.program)
            .args(&order.args)
            .current_dir(&order.working_dir)
            .env_clear()
            .envs(&order.environment)
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        // The tree has it now; the supervisor must be the last of it to fall.
        if let Ok(calm) = calm {
            let _ = fs::write(OOM_SCORE_FILE, calm.trim());
        }
        let child = spawned.map_err(|error| refused(&order.program.display(), &error))?;
        let script = Pid::from_child(&child);
        // Best effort, too, and in time: an interpreter takes longer to begin.
        let _ = getpriority_process(None)
            .and_then(|nice| setpriority_process(Some(script), nice + NICER));
        let tree = Tree::of(script);
        Ok(Self { child, tree })
    }

    /// What the worker is told of the start.
    pub(super) fn started(&self) -> Started {
        Started {
            started: self.tree.script.as_raw_nonzero().get(),
        }
    }

    /// The reading ends of its stdout and stderr; there is only one of each.
    pub(super) fn pipes(&mut self) -> Result<(ChildStdout, ChildStderr), ExecError> {
        let stdout = self
            .child
            .stdout
            .take()
            .expect("stdout was asked for and is taken once");
        let stderr = self
            .child
            .stderr
            .take()
            .expect("stderr was asked for and is taken once");
        ChildStdout::from_std(stdout)
            .and_then(|stdout| Ok((stdout, ChildStderr::from_std(stderr)?)))
            .map_err(ExecError::system("read the script's pipes"))
    }

    /// Reaps the script, when nothing asks for its process group any more.
    pub(super) fn bury(mut self) {
        // Still alive only if it cannot be killed: init inherits it then.
        let _ = self.child.try_wait();
    }
}
