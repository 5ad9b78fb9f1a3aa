//! All processes that come of the script: list, signal, measure, reap.
//!
//! The supervisor is their subreaper: whatever loses its parent becomes its child, whether or
//! not it left its group or session. The script itself stays unreaped until the end, so that
//! its number, which is its group's as well, can never mean a stranger.

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
use tokio::time::Instant;

use super::proc;

/// How long killed processes may take to be gone: one in a dead disk's hands never is.
const UNKILLABLE_AFTER: Duration = Duration::from_secs(5);
/// The pause before looking again whether killed processes are gone.
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
            let tree = Tree { me, script: orphan };
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The script and everything below the supervisor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree {
    /// The supervisor.
    me: Pid,
    /// Its direct child, leader of a process group of its own.
    pub(super) script: Pid,
}

impl Tree {
    /// The tree of a script that was just started.
    pub(super) fn of(script: Pid) -> Self {
        let me = getpid();
        Self { me, script }
    }

    /// How the script ended, if it has. It is left unreaped.
    pub(super) fn script_exit(self) -> Option<Exit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.script), options).ok().flatten()?;
        let by_itself = status.exit_status().map(Exit::Code);
        by_itself.or_else(|| status.terminating_signal().map(Exit::Signal))
    }

    /// Reaps what fell to the supervisor and has ended.
    pub(super) fn reap_orphans(self) {
        for child in proc::children(self.me) {
            if child != self.script {
                // Cannot fail: nobody else reaps our children.
                let _ = waitpid(Some(child), WaitOptions::NOHANG);
            }
        }
    }

    /// The resident memory of the tree in bytes, or a part of it that is above the limit: a
    /// fork bomb grows faster than it can be counted. Pages that processes share count for
    /// each of them: too much rather than too little.
    pub(super) fn resident(self, limit: u64) -> u64 {
        let mut resident = 0;
        let _ = proc::visit_descendants(self.me, |process, _| {
            resident += proc::status(process).map_or(0, |status| status.resident);
            if resident > limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        resident
    }

    /// Sends SIGTERM once to every process of the tree.
    pub(super) fn terminate(self) {
        let mut told = HashSet::new();
        for _ in 0..TERM_ROUNDS {
            let before = told.len();
            let _ = proc::visit_descendants(self.me, |process, parent| {
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

    /// Kills the tree and reaps it, until nothing but the unreaped script is left.
    /// Returns how many processes refuse to die.
    pub(super) async fn clear(self) -> usize {
        let deadline = Instant::now() + UNKILLABLE_AFTER;
        let mut killed = HashSet::new();
        loop {
            // The group first: the kernel does that in one step, which no fork can outrun.
            let _ = kill_process_group(self.script, Signal::KILL);
            let (mut left, mut new) = (0, 0);
            let script_is_dead = self.script_exit().is_some();
            let _ = proc::visit_descendants(self.me, |process, parent| {
                if process != self.script || !script_is_dead {
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
                tokio::time::sleep(PAUSE).await;
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
            Some(now) if now == parent || now == self.me => {
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
