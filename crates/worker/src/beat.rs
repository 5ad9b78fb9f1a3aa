//! What a worker does again and again beside running jobs: it shows that it lives, looks after its runs, settles what
//! others left, and removes what is old.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use boot::Shutdown;
use job_core::files::{Heartbeat, RunningJob};
use shared_folder::FolderError;
use shared_folder::claim::RunState;
use shared_folder::heartbeat::{LockWatch, Presence, boot_id};
use shared_folder::retain::retain;
use shared_folder::sweep::{Duty, Sweeper};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::host_name;
use crate::run::Stop;
use crate::scratch::Leftovers;
use crate::service::{Worker, blocking};
use crate::trouble::with_reasons;

/// The worker's sign of life, as of now.
pub(crate) fn heartbeat(worker: &Worker, counter: u64) -> Heartbeat {
    let offered = worker.offered.borrow().clone();
    let jobs = worker
        .running()
        .iter()
        .map(|(token, run)| RunningJob {
            uuid: run.uuid,
            token: *token,
        })
        .collect();
    let mut problems = offered.problems();
    problems.extend(worker.python.problem.clone());
    let rests = worker.rest.why();
    problems.extend(rests.map(|why| format!("no run can begin here: {why}")));
    Heartbeat {
        worker: worker.id.clone(),
        host: host_name(),
        boot: boot_id(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
        counter,
        slots: worker.config.concurrency,
        jobs,
        apis: offered.offer().into_keys().collect(),
        problems,
    }
}

/// Beats until the end, and ends the runs that are no longer the worker's, or not wanted any more. A worker that could
/// not beat for as long as its lease has lost them all.
pub(crate) async fn beat_again_and_again(
    worker: Arc<Worker>,
    presence: Presence,
    end: Shutdown,
) -> Presence {
    let presence = Arc::new(presence);
    let mut ticks = interval(worker.config.beat.heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    for counter in 1.. {
        tokio::select! {
            _ = ticks.tick() => {}
            () = worker.look.notified() => {}
            () = end.cancelled() => break,
        }
        let (shared, beating) = (worker.clone(), presence.clone());
        match blocking(move || beating.beat(&heartbeat(&shared, counter))).await {
            Ok(Ok(())) => last = Instant::now(),
            Ok(Err(error)) => {
                tracing::error!(
                    error = with_reasons(&error),
                    "the worker cannot show that it lives"
                )
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "the heartbeat panicked"),
        }
        let silent = last.elapsed() > worker.config.beat.lease;
        if worker.silent.swap(silent, Ordering::Relaxed) && !silent {
            worker.wake.notify_one();
        }
        let shared = worker.clone();
        if let Err(error) = blocking(move || look_after_runs(&shared, silent)).await {
            tracing::error!(
                error = format!("{error:#}"),
                "looking after the runs panicked"
            );
        }
    }
    // The beating is over and nobody else holds it.
    Arc::into_inner(presence).expect("every beat was awaited")
}

fn look_after_runs(worker: &Worker, silent: bool) {
    let runs: Vec<_> = worker
        .running()
        .iter()
        .map(|(token, run)| (*token, run.clone()))
        .collect();
    let claimed: Vec<_> = runs.iter().map(|(token, run)| (run.uuid, *token)).collect();
    let states = worker.folder.run_states(&claimed);
    for ((_, run), state) in runs.into_iter().zip(states) {
        let why = match state {
            // A run that is just being published has no token any more either, and ends by itself.
            _ if silent => Some(Stop::Lost),
            RunState::Lost => Some(Stop::Lost),
            RunState::CancelRequested => Some(Stop::Cancel),
            RunState::Held => None,
        };
        run.stop.send_if_modified(|stop| {
            let news =
                why.is_some() && (stop.is_none() || (why == Some(Stop::Lost) && *stop != why));
            if news {
                *stop = why;
            }
            news
        });
    }
}

/// Settles what is not in order and rescues dead workers' jobs, until the end.
pub(crate) async fn sweep_again_and_again(worker: Arc<Worker>, end: Shutdown) {
    let mut ticks = interval(worker.config.beat.sweep);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sweep = Sweep::new(&worker);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = end.cancelled() => return,
        }
        let shared = worker.clone();
        let swept = blocking(move || {
            let settled = sweep.run_once(&shared);
            (sweep, settled)
        });
        let settled = match swept.await {
            Ok((back, settled)) => {
                sweep = back;
                settled
            }
            Err(panic) => {
                tracing::error!(error = format!("{panic:#}"), "the sweep panicked");
                sweep = Sweep::new(&worker);
                continue;
            }
        };
        match settled {
            Ok(0) => {}
            Ok(_) => worker.wake.notify_one(),
            Err(error) => {
                tracing::warn!(
                    error = with_reasons(&error),
                    "the folder could not be swept; the next sweep tries again"
                )
            }
        }
    }
}

/// What a sweep remembers of the one before.
struct Sweep {
    sweeper: Sweeper,
    locks: LockWatch,
    leftovers: Leftovers,
}

impl Sweep {
    fn new(worker: &Worker) -> Self {
        Sweep {
            sweeper: Sweeper::new(Duty::Rescue, worker.config.beat),
            locks: LockWatch::default(),
            leftovers: Leftovers::default(),
        }
    }

    /// Looks once; returns how many jobs were settled. Blocks.
    fn run_once(&mut self, worker: &Worker) -> Result<usize, FolderError> {
        let folder = &worker.folder;
        let catalog = folder.catalog().map(|(catalog, _)| catalog);
        let catalog = catalog.unwrap_or_default();
        let (now, clock) = (worker.clock.now(), worker.started.elapsed());
        let settled = self.sweeper.run_once(folder, &catalog, now, clock);
        for beating in self.locks.look(folder).unwrap_or_default() {
            tracing::error!(worker.id = %beating, "a lock of another host is not seen here: this volume does not carry locks between hosts");
        }
        self.leftovers.clear_away(&worker.config.scratch_dir);
        settled
    }
}

/// Removes what ended long ago, at the start and whenever it is due.
pub(crate) async fn retain_when_due(worker: Arc<Worker>, due: Arc<Notify>, end: Shutdown) {
    loop {
        let shared = worker.clone();
        match blocking(move || retain(&shared.folder, shared.clock.now())).await {
            Ok(Ok(0)) => tracing::debug!("no job is older than the retention"),
            Ok(Ok(jobs)) => tracing::info!(jobs, "jobs older than the retention were removed"),
            Ok(Err(error)) => {
                tracing::error!(error = with_reasons(&error), "retention did not run")
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "retention panicked"),
        }
        tokio::select! {
            () = due.notified() => {}
            () = end.cancelled() => return,
        }
    }
}
