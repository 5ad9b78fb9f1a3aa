//! From the script's start to its end: time, memory, processes, disk, output and the worker's wish.
//!
//! It decides when the run is over and why, and sends SIGTERM on the way there. It never
//! kills: once it has decided, the tree is cleared in any case.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::control::Worker;
use super::disk::Disk;
use super::exits::Exits;
use super::tree::{Exit, Load, Tree};
use super::{Ending, Order};

/// How often the memory and the processes of the tree are summed up.
const LOAD_EVERY: Duration = Duration::from_millis(50);
/// How long the pipes may stay open after the script's exit: a helper flushes its last lines,
/// a daemon would hold them for ever.
const PIPES_AFTER_EXIT: Duration = Duration::from_secs(2);

/// The run is over. What still lives of it is to be killed.
pub(super) enum Over {
    /// The script ended by itself.
    Exited(Exit),
    /// The supervisor ended it, for this reason.
    Cut(Ending),
}

/// Where a run stands. Each phase has a deadline; at the last two's the run is over.
enum Phase {
    /// The script runs, until its time is up.
    Running,
    /// It was asked to end, for this reason, until its grace is over.
    Leaving(Ending),
    /// It has exited, until its pipes close.
    Closing(Exit),
}

enum Event {
    SomebodyExited,
    EndWanted,
    OutputLost,
    PipesClosed,
    DeadlinePassed,
    LoadDue,
    HoldsTooMuch(Ending),
}

/// Looks after one run.
pub(super) struct Watch {
    tree: Tree,
    exits: Exits,
    load_ticks: Interval,
    limits: Load,
    grace: Duration,
    started: Instant,
    phase: Phase,
    deadline: Instant,
    /// The most resident bytes seen.
    pub(super) max_memory: u64,
    /// From the start to the script's own end.
    pub(super) ran: Duration,
}

impl Watch {
    /// Begins now.
    pub(super) fn new(order: &Order, tree: Tree, exits: Exits) -> Self {
        let mut load_ticks = interval(LOAD_EVERY);
        load_ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let started = Instant::now();
        Self {
            tree,
            exits,
            load_ticks,
            limits: Load {
                resident: order.memory,
                processes: order.processes,
            },
            grace: Duration::from_millis(order.grace_ms),
            started,
            phase: Phase::Running,
            deadline: after(started, Duration::from_millis(order.timeout_ms)),
            max_memory: 0,
            ran: Duration::ZERO,
        }
    }

    /// Waits for the end of the run.
    pub(super) async fn until_over(
        &mut self,
        worker: &Worker,
        output_lost: &Notify,
        disk: &Disk,
        pipes_closed: impl AsyncFn(),
    ) -> Over {
        loop {
            let closing = matches!(self.phase, Phase::Closing(_));
            let event = tokio::select! {
                () = self.exits.news() => Event::SomebodyExited,
                () = worker.wants_end.notified() => Event::EndWanted,
                () = output_lost.notified() => Event::OutputLost,
                () = pipes_closed(), if closing => Event::PipesClosed,
                () = sleep_until(self.deadline) => Event::DeadlinePassed,
                _ = self.load_ticks.tick() => Event::LoadDue,
                ending = disk.above() => Event::HoldsTooMuch(ending),
            };
            // An exit that has happened comes before whatever else has.
            let over = self.notice_exit().or_else(|| self.notice(event));
            if let Some(over) = over {
                if !matches!(self.phase, Phase::Closing(_)) {
                    self.ran = self.started.elapsed();
                }
                return over;
            }
        }
    }

    fn notice_exit(&mut self) -> Option<Over> {
        let exit = match self.phase {
            Phase::Closing(_) => None,
            Phase::Running | Phase::Leaving(_) => self.exits.exit(self.tree),
        }?;
        if let Phase::Leaving(reason) = &self.phase {
            return Some(Over::Cut(reason.clone()));
        }
        self.ran = self.started.elapsed();
        self.deadline = after(Instant::now(), PIPES_AFTER_EXIT);
        self.phase = Phase::Closing(exit);
        None
    }

    fn notice(&mut self, event: Event) -> Option<Over> {
        match event {
            Event::SomebodyExited => {
                self.tree.reap_orphans();
                None
            }
            Event::EndWanted => self.ask_to_leave(Ending::Terminated),
            Event::OutputLost => self.ask_to_leave(Ending::OutputTooLarge),
            Event::PipesClosed => self.end_of_phase(),
            // The exit may have moved the deadline just now.
            Event::DeadlinePassed if Instant::now() < self.deadline => None,
            Event::DeadlinePassed => self.end_of_phase(),
            Event::LoadDue => self.measure(),
            Event::HoldsTooMuch(ending) => Some(self.cut(ending)),
        }
    }

    /// SIGTERM and a grace period, unless the script is on its way out already.
    fn ask_to_leave(&mut self, reason: Ending) -> Option<Over> {
        if matches!(self.phase, Phase::Running) {
            self.tree.terminate();
            self.deadline = after(Instant::now(), self.grace);
            self.phase = Phase::Leaving(reason);
        }
        None
    }

    fn end_of_phase(&mut self) -> Option<Over> {
        match &self.phase {
            Phase::Running => self.ask_to_leave(Ending::TimedOut),
            Phase::Leaving(reason) => Some(Over::Cut(reason.clone())),
            Phase::Closing(exit) => Some(Over::Exited(*exit)),
        }
    }

    fn measure(&mut self) -> Option<Over> {
        let load = self.tree.load(self.limits);
        self.max_memory = self.max_memory.max(load.resident);
        if load.resident > self.limits.resident {
            Some(self.cut(Ending::Memory))
        } else if load.processes > self.limits.processes {
            let limit = self.limits.processes;
            Some(self.cut(Ending::Processes { limit }))
        } else {
            None
        }
    }

    /// What is short for the host cannot wait for a grace period.
    fn cut(&self, reason: Ending) -> Over {
        match &self.phase {
            Phase::Leaving(earlier) => Over::Cut(earlier.clone()),
            Phase::Running | Phase::Closing(_) => Over::Cut(reason),
        }
    }
}

/// A time-out of centuries is none: as far in the future as the clock goes.
fn after(start: Instant, wait: Duration) -> Instant {
    const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    start + wait.min(FOR_EVER)
}
