//! The process of a simulated APP server: it waits to be woken, and claims while it has a free slot.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use boot::{Parts, Shutdown};
use claimant::{
    Claimant, Host, StopSignal, Sweep, beat_again_and_again, blocking, claim_and_run,
    sweep_again_and_again,
};
use job_core::claim::Offer;
use shared_folder::claim::ClaimedJob;
use shared_folder::heartbeat::Presence;
use shared_folder::{FolderError, SharedFolder};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::apis;
use super::config::Config;
use super::run::run_job;
use super::tally::Tally;

/// Least time between two lines for whoever watches.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// What all tasks of a simulated APP server share.
#[derive(Debug)]
pub(crate) struct AppServer {
    pub(crate) config: Config,
    /// What it has in common with everybody who claims jobs: to the others it is a worker.
    pub(crate) claimant: Claimant,
    /// What it claims.
    pub(crate) offer: Offer,
    tally: Mutex<Tally>,
}

/// Plays an APP server until it is shut down, or until what it was started for is done. Running jobs are given back to
/// the queue, and what was done is told on standard error.
///
/// # Errors
/// Where the folder cannot carry the protocol or be watched, the server cannot show that it lives or leave in order,
/// or what waits cannot be run although that is all that was wanted.
pub async fn run(config: Config, parts: Parts, shutdown: Shutdown) -> anyhow::Result<()> {
    let (server, presence) = blocking(move || start(config, parts)).await??;
    let watch = match claimant::hear(&server, server.config.watch) {
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
    tasks.spawn(tell_again_and_again(server.clone(), helpers.clone()));
    let beating = beat_again_and_again(server.clone(), presence, helpers.clone());
    let beating = tokio::spawn(beating);
    // What a dead server of this machine left waits again before it is looked for.
    let sweep = Sweep::new(&server.claimant).once(&server).await;
    tasks.spawn(sweep_again_and_again(
        server.clone(),
        sweep,
        helpers.clone(),
    ));

    let claimed = claim_and_run(&server, &shutdown, server.config.until.ends()).await;

    drop(watch);
    helpers.cancel();
    let presence = beating.await.context("the heartbeat ended early")?;
    while tasks.join_next().await.is_some() {}
    tell(&server.tally().summary(server.claimant.uptime()));
    let shared = server.clone();
    blocking(move || leave(&shared).and(presence.leave())).await??;
    tracing::info!(worker.id = %server.claimant.id, "the simulated APP server has left");
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
    let parts = claimant::Parts {
        clock,
        folder,
        name: config.name.clone(),
        beat: config.beat,
        slots: config.concurrency,
        grace: config.grace,
    };
    let claimant = Claimant::new(parts).context("--name")?;
    let catalog = claimant.catalog.as_str();
    claimant.folder.publish_catalog(catalog, &config.catalog)?;
    let server = Arc::new(AppServer {
        offer: apis::offer(&config.catalog),
        claimant,
        tally: Mutex::default(),
        config,
    });
    let presence = claimant::announce(&*server)?;
    Ok((server, presence))
}

fn greet(server: &AppServer) {
    let apis: Vec<_> = server.offer.keys().map(|api| api.as_str()).collect();
    let config = &server.config;
    tracing::info!(
        worker.id = %server.claimant.id, slots = config.concurrency, apis = apis.join(" "), seed = config.scenario.seed,
        folder = %server.claimant.folder.root().display(), "the simulated APP server is ready"
    );
}

fn leave(server: &AppServer) -> Result<(), FolderError> {
    let (folder, catalog) = (&server.claimant.folder, &server.claimant.catalog);
    if server.config.withdraw {
        folder.publish_catalog(catalog.as_str(), &apis::nothing())?;
    }
    folder.leave_catalog(catalog)
}

impl AppServer {
    /// What was done so far.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for AppServer {
    fn claimant(&self) -> &Claimant {
        &self.claimant
    }

    fn offer(&self) -> Offer {
        self.offer.clone()
    }

    fn problems(&self) -> Vec<String> {
        vec!["it is simulated: no script runs here".into()]
    }

    /// Jobs beyond those that were asked for are others'.
    fn wants_more(&self, running: usize) -> bool {
        let ended = self.tally().jobs_ended();
        let wanted = self.config.until.jobs;
        wanted.is_none_or(|jobs| ended + (running as u64) < jobs)
    }

    fn has_run_enough(&self) -> bool {
        let ended = self.tally().jobs_ended();
        self.config.until.jobs.is_some_and(|jobs| ended >= jobs)
    }

    async fn run(self: Arc<Self>, job: ClaimedJob, stop: StopSignal, shutdown: Shutdown) {
        self.tally().begin();
        run_job(self, job, stop, shutdown).await;
    }

    fn beside_a_sweep(&self) -> Result<(), FolderError> {
        // It has no other tick.
        self.claimant.wake();
        let (folder, name) = (&self.claimant.folder, self.claimant.catalog.as_str());
        let catalog = &self.config.catalog;
        if !folder.is_catalog_published(name, catalog)? {
            folder.publish_catalog(name, catalog)?;
        }
        Ok(())
    }
}

/// Tells a person what was done, whenever that changed, until the end.
async fn tell_again_and_again(server: Arc<AppServer>, end: Shutdown) {
    let mut told = *server.tally();
    while timeout(BETWEEN_LINES, end.cancelled()).await.is_err() {
        let now = *server.tally();
        if now != told {
            tell(&now.progress());
            told = now;
        }
    }
}

/// Tells whoever watches standard error.
fn tell(line: &str) {
    // Where stderr is gone, there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}
