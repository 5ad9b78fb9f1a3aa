//! The process of a simulated APP server: it waits to be woken, and claims while it has a free slot.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, ensure};
use boot::{Clock, Parts, Shutdown};
use job_core::claim::Offer;
use job_core::ids::{JobId, Token, WorkerId};
use shared_folder::catalog::CatalogName;
use shared_folder::claim::ClaimedJob;
use shared_folder::heartbeat::Presence;
use shared_folder::watch::{Change, Watch};
use shared_folder::{FolderError, SharedFolder};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::apis;
use super::beat;
use super::config::Config;
use super::run::{Stop, run_job};
use super::tally::Tally;

/// What all tasks of a simulated APP server share.
#[derive(Debug)]
pub(crate) struct AppServer {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) folder: Arc<SharedFolder>,
    /// The server as of this start: to the others it is a worker.
    pub(crate) id: WorkerId,
    /// The name of its catalog.
    pub(crate) catalog: CatalogName,
    /// What it claims.
    pub(crate) offer: Offer,
    /// Look for jobs.
    pub(crate) wake: Notify,
    /// Look after the running jobs, and show that the server lives.
    pub(crate) look: Notify,
    /// The server could not show that it lives for as long as its lease.
    pub(crate) silent: AtomicBool,
    /// When this process began, for time that only goes forward.
    pub(crate) started: Instant,
    running: Mutex<HashMap<Token, Running>>,
    tally: Mutex<Tally>,
}

/// A run that is under way here.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) uuid: JobId,
    /// Why it is to end before its time.
    pub(crate) stop: watch::Sender<Option<Stop>>,
}

/// Plays an APP server until it is shut down, or until what it was started for is done. Running jobs are given back to
/// the queue, and what was done is told on standard error.
///
/// # Errors
/// Where the folder cannot carry the protocol or be watched, the server cannot show that it lives or leave in order,
/// or what waits cannot be run although that is all that was wanted.
pub async fn run(config: Config, parts: Parts, shutdown: Shutdown) -> anyhow::Result<()> {
    let (server, presence) = blocking(move || start(config, parts)).await??;
    let watch = match hear(&server) {
        Ok(watch) => watch,
        Err(error) => {
            blocking(move || presence.leave()).await??;
            return Err(error.into());
        }
    };
    greet(&server);
    // The helpers outlive the claiming: jobs that end during a shutdown still beat.
    let helpers = Shutdown::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(beat::tell_again_and_again(server.clone(), helpers.clone()));
    let beating = beat::beat_again_and_again(server.clone(), presence, helpers.clone());
    let beating = tokio::spawn(beating);
    let sweeper = beat::first_sweep(&server).await;
    let sweeping = beat::sweep_again_and_again(server.clone(), sweeper, helpers.clone());
    tasks.spawn(sweeping);

    let claimed = claim_and_run(&server, &shutdown).await;

    drop(watch);
    helpers.cancel();
    let presence = beating.await.context("the heartbeat ended early")?;
    while tasks.join_next().await.is_some() {}
    tell(&server.tally().summary(server.started.elapsed()));
    let shared = server.clone();
    blocking(move || leave(&shared).and(presence.leave())).await??;
    tracing::info!(worker.id = %server.id, "the simulated APP server has left");
    claimed
}

fn start(config: Config, parts: Parts) -> anyhow::Result<(Arc<AppServer>, Presence)> {
    let clock = parts.clock;
    let folder = Arc::new(SharedFolder::start(
        &config.shared_dir,
        config.options.clone(),
        parts.lock_probe(),
        clock.now(),
    )?);
    let id = WorkerId::new(&config.name, Uuid::new_v4())
        .with_context(|| format!("--name {:?}", config.name))?;
    let catalog = folder.take_catalog_name(&config.name)?;
    folder.publish_catalog(catalog.as_str(), &config.catalog)?;
    let presence = Presence::announce(folder.clone(), id.clone())?;
    let server = Arc::new(AppServer {
        offer: apis::offer(&config.catalog),
        catalog,
        clock,
        folder,
        id,
        wake: Notify::new(),
        look: Notify::new(),
        silent: AtomicBool::new(false),
        started: Instant::now(),
        running: Mutex::default(),
        tally: Mutex::default(),
        config,
    });
    presence.beat(&beat::heartbeat(&server, 0))?;
    Ok((server, presence))
}

/// What wakes the server, besides its sweeps: changes of the folder.
fn hear(server: &Arc<AppServer>) -> Result<Watch, FolderError> {
    let hinted = server.clone();
    let mode = server.config.watch;
    server.folder.watch(mode, move |change| match change {
        Change::Queue => hinted.wake.notify_one(),
        Change::Cancel => hinted.look.notify_one(),
        Change::Catalog => {}
    })
}

fn greet(server: &AppServer) {
    let apis: Vec<_> = server.offer.keys().map(|api| api.as_str()).collect();
    let config = &server.config;
    tracing::info!(
        worker.id = %server.id, slots = config.concurrency, apis = apis.join(" "), seed = config.scenario.seed,
        folder = %server.folder.root().display(), "the simulated APP server is ready"
    );
}

fn leave(server: &AppServer) -> Result<(), FolderError> {
    let (folder, catalog) = (&server.folder, &server.catalog);
    if server.config.withdraw {
        folder.publish_catalog(catalog.as_str(), &apis::nothing())?;
    }
    folder.leave_catalog(catalog)
}

/// Claims jobs while there are free slots, and sleeps until somebody has news. An error only where it was to run what
/// waits, and could not.
async fn claim_and_run(server: &Arc<AppServer>, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mut runs = JoinSet::new();
    loop {
        let mut trouble = None;
        while !shutdown.is_cancelled() && server.may_claim() {
            match server.claim().await {
                Ok(Some(job)) => {
                    let stop = server.enter(&job);
                    runs.spawn(run_job(server.clone(), job, stop, shutdown.clone()));
                }
                Ok(None) => break,
                Err(error) => {
                    // The next sweep tries again.
                    tracing::warn!(error = %error, "no job could be claimed");
                    trouble = Some(error);
                    break;
                }
            }
        }
        if runs.is_empty() && server.has_run_enough() {
            return Ok(());
        }
        if runs.is_empty() && server.config.until.drained {
            if let Some(error) = trouble {
                return Err(error).context("no job could be claimed");
            }
            let silent = server.silent.load(Ordering::Relaxed);
            ensure!(!silent, "what waits cannot be run here now");
            return Ok(());
        }
        tokio::select! {
            () = server.wake.notified() => {}
            Some(_) = runs.join_next() => {}
            () = shutdown.cancelled() => break,
        }
    }
    for running in server.running().values() {
        running
            .stop
            .send_if_modified(|stop| stop.is_none() && stop.replace(Stop::Shutdown).is_none());
    }
    while runs.join_next().await.is_some() {}
    Ok(())
}

impl AppServer {
    /// The runs that are under way here now.
    pub(crate) fn running(&self) -> MutexGuard<'_, HashMap<Token, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done so far.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a silent server claims is taken from it at once, and jobs beyond those that were asked for are others'.
    fn may_claim(&self) -> bool {
        let running = self.running().len();
        let wanted = self.config.until.jobs.is_none_or(|jobs| {
            let ended = self.tally().jobs_ended();
            ended + (running as u64) < jobs
        });
        wanted && running < self.config.concurrency as usize && !self.silent.load(Ordering::Relaxed)
    }

    fn has_run_enough(&self) -> bool {
        let ended = self.tally().jobs_ended();
        self.config.until.jobs.is_some_and(|jobs| ended >= jobs)
    }

    async fn claim(self: &Arc<Self>) -> Result<Option<ClaimedJob>, FolderError> {
        let server = self.clone();
        let claimed = blocking(move || {
            let now = server.clock.now();
            let (folder, pid) = (&server.folder, std::process::id());
            folder.claim(&server.id, pid, &server.offer, now)
        });
        claimed.await.unwrap_or_else(|panic| {
            tracing::error!(error = %panic, "claiming panicked");
            Ok(None)
        })
    }

    fn enter(&self, job: &ClaimedJob) -> watch::Receiver<Option<Stop>> {
        let (stop, stopped) = watch::channel(None);
        let uuid = job.uuid;
        self.running().insert(job.token, Running { uuid, stop });
        self.tally().begin();
        stopped
    }
}

/// Tells whoever watches standard error.
pub(crate) fn tell(line: &str) {
    // Where stderr is gone, there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Does something that waits for files, off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("a task panicked")
}
