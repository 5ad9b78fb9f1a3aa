//! What a worker does again and again beside running jobs: it shows that it lives, looks after its runs, settles what
//! others left, and removes what is old.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use boot::Shutdown;
use job_core::files::{Heartbeat, RunningJob};
use shared_folder::heartbeat::{LockWatch, Presence, boot_id};
use shared_folder::recover::{Duty, Sweeper};
use shared_folder::retain::retain;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use crate::attempt;
use crate::config::host_name;
use crate::run::Stop;
use crate::service::{Worker, blocking};

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
                tracing::error!(error = %error, "the worker cannot show that it lives")
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
    if runs.is_empty() {
        return;
    }
    let queue = worker.folder.queue();
    for (token, run) in runs {
        let lost = silent
            || queue.as_ref().is_ok_and(|queue| {
                queue
                    .get(run.uuid)
                    .is_none_or(|entry| entry.state().token() != Some(token))
            });
        let why = if lost {
            // A run that is just being published has no token any more either, and ends by itself.
            Some(Stop::Lost)
        } else if worker.folder.is_cancel_requested(run.uuid).unwrap_or(false) {
            Some(Stop::Cancel)
        } else {
            None
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
    let mut sweeper = Sweeper::new(Duty::Rescue, worker.config.beat);
    let mut locks = LockWatch::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = end.cancelled() => return,
        }
        let shared = worker.clone();
        let swept = blocking(move || {
            let catalog = shared
                .folder
                .catalog()
                .map(|(catalog, _)| catalog)
                .unwrap_or_default();
            let (now, clock) = (shared.clock.now(), shared.started.elapsed());
            let settled = sweeper.run_once(&shared.folder, &catalog, now, clock);
            for worker in locks.look(&shared.folder).unwrap_or_default() {
                tracing::error!(worker.id = %worker, "a lock of another host is not seen here: this volume does not carry locks between hosts");
            }
            attempt::clear_away(&shared.config.scratch_dir);
            (sweeper, locks, settled)
        });
        if worker.resting.swap(false, Ordering::Relaxed) {
            worker.wake.notify_one();
        }
        match swept.await {
            Ok((back, watch, settled)) => {
                (sweeper, locks) = (back, watch);
                match settled {
                    Ok(settled) if settled > 0 => worker.wake.notify_one(),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(error = %error, "the folder could not be swept; the next sweep tries again")
                    }
                }
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the sweep panicked");
                sweeper = Sweeper::new(Duty::Rescue, worker.config.beat);
                locks = LockWatch::default();
            }
        }
    }
}

/// Removes what ended long ago, at the start and whenever it is due.
pub(crate) async fn retain_when_due(worker: Arc<Worker>, due: Arc<Notify>, end: Shutdown) {
    loop {
        let shared = worker.clone();
        match blocking(move || retain(&shared.folder, shared.clock.now())).await {
            Ok(Ok(0)) => tracing::debug!("no job is older than the retention"),
            Ok(Ok(jobs)) => tracing::info!(jobs, "jobs older than the retention were removed"),
            Ok(Err(error)) => tracing::error!(error = %error, "retention did not run"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "retention panicked"),
        }
        tokio::select! {
            () = due.notified() => {}
            () = end.cancelled() => return,
        }
    }
}
