//! All processes that come of the script: list, signal, measure, reap.
//!
//! The supervisor is their subreaper: whatever loses its parent becomes its child, whether or
//! not it left its group or session. Its own child, the script or the init of its namespace, stays
//! unreaped until the end, so that its number, which is its group's as well, can never mean a
//! stranger. With an init all is simpler: the kernel ends and reaps whatever is below it.

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process,
    kill_process_group, pidfd_open, pidfd_send_signal, set_child_subreaper, waitid, waitpid,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::proc;

/// How long killed processes may take to be gone: one in a dead disk's hands never is.
const UNKILLABLE_AFTER: Duration = Duration::from_secs(5);
/// The first pause before looking again whether killed processes are gone.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
/// The longest one.
const PAUSE: Duration = Duration::from_millis(5);
/// How often SIGTERM goes after processes that were born while it was sent.
const TERM_ROUNDS: usize = 8;

/// Makes this process the one that orphans below it fall to.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Kills and reaps the children of this process that are not spared, with all below them: for
/// the worker, to which falls what a killed supervisor leaves. Blocks. Returns how many refuse
/// to die.
pub(crate) fn end_orphans(spared: impl Fn(Pid) -> bool) -> usize {
    let me = getpid();
    let deadline = std::time::Instant::now() + UNKILLABLE_AFTER;
    loop {
        let mut orphans = proc::children(me);
        orphans.retain(|child| !spared(*child));
        if orphans.is_empty() || std::time::Instant::now() >= deadline {
            return orphans.len();
        }
        for orphan in orphans {
            let tree = Tree {
                me,
                root: orphan,
                kind: Root::Script,
            };
            // Our own child: its number stays its own until it is reaped here.
            let _ = kill_process(orphan, Signal::KILL);
            let _ = proc::visit_descendants(orphan, |process, parent| {
                tree.send(Signal::KILL, process, parent);
                ControlFlow::Continue(())
            });
            let _ = waitpid(Some(orphan), WaitOptions::NOHANG);
        }
        std::thread::sleep(PAUSE);
    }
}

/// How the script ended by itself, or by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What the supervisor's own child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// The script itself.
    Script,
    /// The init of the script's PID namespace.
    Init,
}

/// What a tree holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Resident memory in bytes. Pages that processes share count for each of them: too much
    /// rather than too little.
    pub(super) resident: u64,
    /// Processes, ended ones that nobody waited for included.
    pub(super) processes: u32,
}

/// The script and everything below the supervisor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree {
    /// The supervisor.
    me: Pid,
    /// Its direct child, leader of a process group of its own.
    pub(super) root: Pid,
    kind: Root,
}

impl Tree {
    /// The tree below a child that was just started.
    pub(super) fn of(root: Pid, kind: Root) -> Self {
        let me = getpid();
        Self { me, root, kind }
    }

    /// Visits the script's processes: all below the supervisor but the init.
    pub(super) fn visit(self, visit: impl FnMut(Pid, Pid) -> ControlFlow<()>) {
        let above = match self.kind {
            Root::Script => self.me,
            Root::Init => self.root,
        };
        let _ = proc::visit_descendants(above, visit);
    }

    /// How the supervisor's own child ended, if it has. It is left unreaped.
    pub(super) fn root_exit(self) -> Option<Exit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.root), options).ok().flatten()?;
        let by_itself = status.exit_status().map(Exit::Code);
        by_itself.or_else(|| status.terminating_signal().map(Exit::Signal))
    }

    /// Reaps what fell to the supervisor and has ended.
    pub(super) fn reap_orphans(self) {
        for child in proc::children(self.me) {
            if child != self.root {
                // Cannot fail: nobody else reaps our children.
                let _ = waitpid(Some(child), WaitOptions::NOHANG);
            }
        }
    }

    /// What the tree holds, or a part of it that is above one of the limits: a fork bomb grows
    /// faster than it can be counted.
    pub(super) fn load(self, limits: Load) -> Load {
        let mut load = Load::default();
        self.visit(|process, _| {
            load.processes += 1;
            load.resident += proc::status(process).map_or(0, |status| status.resident);
            if load.resident > limits.resident || load.processes > limits.processes {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        load
    }

    /// Sends SIGTERM once to every process of the tree.
    pub(super) fn terminate(self) {
        let mut told = HashSet::new();
        for _ in 0..TERM_ROUNDS {
            let before = told.len();
            self.visit(|process, parent| {
                if !told.contains(&process) && self.send(Signal::TERM, process, parent) {
                    told.insert(process);
                }
                ControlFlow::Continue(())
            });
            if told.len() == before {
                return;
            }
        }
    }

    /// Kills the tree and reaps it, until nothing but the unreaped child is left.
    /// Returns how many processes refuse to die.
    pub(super) async fn clear(self) -> usize {
        let deadline = Instant::now() + UNKILLABLE_AFTER;
        let mut killed = HashSet::new();
        let mut pause = FIRST_PAUSE;
        loop {
            // The group first: the kernel does that in one step, which no fork can outrun. With
            // the init, it has killed all.
            let _ = kill_process_group(self.root, Signal::KILL);
            let (mut left, mut new) = (0, 0);
            let root_is_dead = self.root_exit().is_some();
            let _ = proc::visit_descendants(self.me, |process, parent| {
                if process != self.root || !root_is_dead {
                    self.send(Signal::KILL, process, parent);
                    left += 1;
                    new += usize::from(killed.insert(process));
                }
                ControlFlow::Continue(())
            });
            self.reap_orphans();
            if left == 0 || Instant::now() >= deadline {
                return left;
            }
            if new == 0 {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE);
            } else {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Signals a process that was listed as this parent's; false if it is not any more.
    fn send(self, signal: Signal, process: Pid, parent: Pid) -> bool {
        // Its number may have gone to a stranger since. A pidfd stays with one process, and
        // one that has a parent of ours is ours.
        let handle = pidfd_open(process, PidfdFlags::empty());
        match proc::status(process).and_then(|status| status.parent) {
            Some(now) if now == parent || now == self.me || now == self.root => {
                deliver(signal, handle, process).is_ok()
            }
            _ => false,
        }
    }
}

/// By pidfd where the kernel and the sandbox around us know it.
fn deliver(
    signal: Signal,
    handle: rustix::io::Result<OwnedFd>,
    process: Pid,
) -> rustix::io::Result<()> {
    match handle {
        Ok(handle) => pidfd_send_signal(handle, signal),
        Err(Errno::NOSYS | Errno::PERM) => kill_process(process, signal),
        Err(gone) => Err(gone),
    }
}
