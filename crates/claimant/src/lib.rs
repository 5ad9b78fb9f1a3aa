//! The life of whoever claims jobs, whatever it does with them: the worker runs scripts, the simulator plays.
//!
//! - [`Claimant`]: who it is, what it stands on, and the runs that are under way.
//! - [`Host`]: what tells one from another: what it offers, when it claims, what a run does.
//! - [`claim_and_run`]: it claims while it has a free slot, and sleeps until somebody has news.
//! - [`beat_again_and_again`]: it shows that it lives, and ends runs that are no longer its own.
//! - [`publish`]: how a run ended becomes known, however often that has to be tried.
//! - [`Sweep`]: what others left is settled, and dead claimants' jobs are rescued.
//!
//! Nothing here knows what a run is: it starts, may be asked to end ([`Stop`]), and ends.

mod beat;
mod claim;
mod publish;
mod runs;
mod sweep;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use boot::{Clock, Shutdown};
use job_core::claim::Offer;
use job_core::ids::WorkerId;
use job_core::lease::Beat;
use shared_folder::catalog::CatalogName;
use shared_folder::claim::ClaimedJob;
use shared_folder::heartbeat::Presence;
use shared_folder::watch::{Change, Watch, WatchMode};
use shared_folder::{FolderError, SharedFolder};
use tokio::sync::Notify;
use uuid::Uuid;

pub use beat::{beat_again_and_again, host_name};
pub use claim::{Until, claim_and_run};
pub use publish::publish;
pub use runs::{Stop, StopSignal};
pub use sweep::{Sweep, sweep_again_and_again};

/// One who claims jobs, as of one start of its process.
#[derive(Debug)]
pub struct Claimant {
    /// The clock.
    pub clock: Clock,
    /// The shared folder.
    pub folder: Arc<SharedFolder>,
    /// Its id, which others know it by.
    pub id: WorkerId,
    /// The name of its catalog.
    pub catalog: CatalogName,
    /// How it shows that it lives, and judges others.
    pub beat: Beat,
    /// How many jobs it runs at once.
    pub slots: u32,
    /// How long it tries to publish how a job ended once it is shut down.
    pub grace: Duration,
    /// Look for jobs.
    wake: Notify,
    /// Look after the runs, and show that it lives.
    look: Notify,
    /// It could not show that it lives for as long as its lease.
    silent: AtomicBool,
    started: Instant,
    runs: runs::Runs,
}

/// What tells one claimant from another.
pub trait Host: Send + Sync + 'static {
    /// Its part that is as everybody's.
    fn claimant(&self) -> &Claimant;

    /// What it claims, and how much of it at once.
    fn offer(&self) -> Offer;

    /// What an operator should look at.
    fn problems(&self) -> Vec<String>;

    /// Why a run could not begin here now, if so.
    fn why_it_rests(&self) -> Option<String> {
        None
    }

    /// Whether it wants another job beside so many runs.
    fn wants_more(&self, running: usize) -> bool {
        let _ = running;
        true
    }

    /// Whether it has run all that it was started for.
    fn has_run_enough(&self) -> bool {
        false
    }

    /// Runs a claimed job and publishes how it ended. The slot is free when this returns.
    fn run(
        self: Arc<Self>,
        job: ClaimedJob,
        stop: StopSignal,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + Send;

    /// What it does with each sweep besides. Blocks.
    ///
    /// # Errors
    /// Where the folder is in trouble.
    fn beside_a_sweep(&self) -> Result<(), FolderError> {
        Ok(())
    }
}

/// What a claimant is made of.
#[derive(Debug)]
pub struct Parts {
    /// The clock.
    pub clock: Clock,
    /// The shared folder.
    pub folder: Arc<SharedFolder>,
    /// Its name, the same after each start.
    pub name: String,
    /// How it shows that it lives, and judges others.
    pub beat: Beat,
    /// How many jobs it runs at once.
    pub slots: u32,
    /// How long it tries to publish how a job ended once it is shut down.
    pub grace: Duration,
}

impl Claimant {
    /// A claimant that nobody knows of yet but by the name of its catalog.
    ///
    /// # Errors
    /// Where the name is none, or the catalog's name cannot be taken.
    pub fn new(parts: Parts) -> anyhow::Result<Self> {
        let Parts {
            clock,
            folder,
            name,
            beat,
            slots,
            grace,
        } = parts;
        let id = WorkerId::new(&name, Uuid::new_v4()).with_context(|| format!("name {name:?}"))?;
        let catalog = folder.take_catalog_name(&name)?;
        Ok(Claimant {
            clock,
            folder,
            id,
            catalog,
            beat,
            slots,
            grace,
            wake: Notify::new(),
            look: Notify::new(),
            silent: AtomicBool::new(false),
            started: Instant::now(),
            runs: runs::Runs::default(),
        })
    }

    /// Looks for jobs, soon.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Looks after its runs and shows that it lives, soon.
    pub fn look(&self) {
        self.look.notify_one();
    }

    /// How long it has been there.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// How many runs are under way.
    pub fn running(&self) -> usize {
        self.runs.count()
    }

    /// This run is over: its slot is free.
    pub fn leave(&self, job: &ClaimedJob) {
        self.runs.leave(job.token);
    }

    /// Whether it could not show that it lives for as long as its lease: what it claims is taken from it at once.
    fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }
}

/// Hears of changes of the folder for as long as what it returns lives.
///
/// # Errors
/// Where the kernel watches no more folders.
pub fn hear<H: Host>(host: &Arc<H>, mode: WatchMode) -> Result<Watch, FolderError> {
    let hinted = host.clone();
    host.claimant()
        .folder
        .watch(mode, move |change| match change {
            Change::Queue => hinted.claimant().wake(),
            Change::Cancel => hinted.claimant().look(),
            Change::Catalog => {}
        })
}

/// Shows for the first time that a claimant lives. Blocks.
///
/// # Errors
/// Where its files cannot be made.
pub fn announce(host: &impl Host) -> Result<Presence, FolderError> {
    let claimant = host.claimant();
    let presence = Presence::announce(claimant.folder.clone(), claimant.id.clone())?;
    presence.beat(&beat::heartbeat(host, 0))?;
    Ok(presence)
}

/// Does something that waits for files, off the async threads.
///
/// # Errors
/// Where it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("a task panicked")
}
