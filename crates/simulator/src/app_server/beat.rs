//! What a simulated APP server does again and again beside its runs: it shows that it lives, looks after its runs,
//! rescues the jobs of others that died, and tells a person what it does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use boot::Shutdown;
use job_core::files::{Heartbeat, RunningJob};
use shared_folder::FolderError;
use shared_folder::claim::RunState;
use shared_folder::heartbeat::{Presence, boot_id};
use shared_folder::sweep::{Duty, Sweeper};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::run::Stop;
use super::service::{AppServer, blocking, tell};

/// Least time between two lines for whoever watches.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// The server's sign of life, as of now.
pub(crate) fn heartbeat(server: &AppServer, counter: u64) -> Heartbeat {
    let running = server.running();
    let jobs = running.iter().map(|(token, run)| RunningJob {
        uuid: run.uuid,
        token: *token,
    });
    Heartbeat {
        worker: server.id.clone(),
        host: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        boot: boot_id(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
        counter,
        slots: server.config.concurrency,
        jobs: jobs.collect(),
        apis: server.offer.keys().cloned().collect(),
        problems: vec!["it is simulated: no script runs here".into()],
    }
}

/// Beats until the end, and ends the runs that are no longer the server's, or not wanted any more. A server that could
/// not beat for as long as its lease has lost them all.
pub(crate) async fn beat_again_and_again(
    server: Arc<AppServer>,
    presence: Presence,
    end: Shutdown,
) -> Presence {
    let presence = Arc::new(presence);
    let mut ticks = interval(server.config.beat.heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    for counter in 1.. {
        tokio::select! {
            _ = ticks.tick() => {}
            () = server.look.notified() => {}
            () = end.cancelled() => break,
        }
        let (shared, beating) = (server.clone(), presence.clone());
        match blocking(move || beating.beat(&heartbeat(&shared, counter))).await {
            Ok(Ok(())) => last = Instant::now(),
            Ok(Err(error)) => {
                tracing::error!(error = %error, "the simulated APP server cannot show that it lives")
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "the heartbeat panicked"),
        }
        let silent = last.elapsed() > server.config.beat.lease;
        if server.silent.swap(silent, Ordering::Relaxed) && !silent {
            server.wake.notify_one();
        }
        let shared = server.clone();
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

fn look_after_runs(server: &AppServer, silent: bool) {
    let runs: Vec<_> = server
        .running()
        .iter()
        .map(|(token, run)| (*token, run.clone()))
        .collect();
    let claimed: Vec<_> = runs.iter().map(|(token, run)| (run.uuid, *token)).collect();
    let states = server.folder.run_states(&claimed);
    for ((_, run), state) in runs.into_iter().zip(states) {
        let why = match state {
            _ if silent => Stop::Lost,
            RunState::Lost => Stop::Lost,
            RunState::CancelRequested => Stop::Cancel,
            RunState::Held => continue,
        };
        // The first reason is the one that the run ends by.
        run.stop
            .send_if_modified(|stop| stop.is_none() && stop.replace(why).is_none());
    }
}

/// A sweeper that has seen the folder once: what a dead server of this machine left waits again.
pub(crate) async fn first_sweep(server: &Arc<AppServer>) -> Sweeper {
    sweep_once(server, new_sweeper(server)).await
}

/// Settles what is not in order, rescues the jobs of dead servers and workers, and looks for jobs, until the end.
pub(crate) async fn sweep_again_and_again(
    server: Arc<AppServer>,
    mut sweeper: Sweeper,
    end: Shutdown,
) {
    let pause = server.config.beat.sweep;
    while timeout(pause, end.cancelled()).await.is_err() {
        sweeper = sweep_once(&server, sweeper).await;
        server.wake.notify_one();
    }
}

fn new_sweeper(server: &AppServer) -> Sweeper {
    Sweeper::new(Duty::Rescue, server.config.beat)
}

async fn sweep_once(server: &Arc<AppServer>, mut sweeper: Sweeper) -> Sweeper {
    let shared = server.clone();
    let swept = blocking(move || {
        let swept = sweep(&shared, &mut sweeper);
        (sweeper, swept)
    });
    match swept.await {
        Ok((sweeper, swept)) => {
            if let Err(error) = swept {
                tracing::warn!(error = %error, "the folder could not be swept; the next sweep tries again");
            }
            sweeper
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the sweep panicked");
            new_sweeper(server)
        }
    }
}

fn sweep(server: &AppServer, sweeper: &mut Sweeper) -> Result<(), FolderError> {
    let (folder, name) = (&server.folder, server.catalog.as_str());
    let catalog = &server.config.catalog;
    if !folder.is_catalog_published(name, catalog)? {
        folder.publish_catalog(name, catalog)?;
    }
    let (catalog, _) = folder.catalog()?;
    let (now, clock) = (server.clock.now(), server.started.elapsed());
    sweeper.run_once(folder, &catalog, now, clock).map(|_| ())
}

/// Tells a person what was done, whenever that changed, until the end.
pub(crate) async fn tell_again_and_again(server: Arc<AppServer>, end: Shutdown) {
    let mut told = *server.tally();
    while timeout(BETWEEN_LINES, end.cancelled()).await.is_err() {
        let now = *server.tally();
        if now != told {
            tell(&now.progress());
            told = now;
        }
    }
}
