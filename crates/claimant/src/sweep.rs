//! What others left is settled.

use std::sync::Arc;

use anyhow::Error;
use boot::Shutdown;
use shared_folder::FolderError;
use shared_folder::heartbeat::LockWatch;
use shared_folder::sweep::{Duty, Sweeper};
use tokio::time::{MissedTickBehavior, interval};

use crate::{Claimant, Host, blocking};

/// What a sweep remembers of the one before.
#[derive(Debug)]
pub struct Sweep {
    sweeper: Sweeper,
    locks: LockWatch,
}

impl Sweep {
    /// The first sweep remembers nothing.
    pub fn new(claimant: &Claimant) -> Self {
        Sweep {
            sweeper: Sweeper::new(Duty::Rescue, claimant.beat),
            locks: LockWatch::default(),
        }
    }

    /// Sweeps once: what is not in order is settled, and dead claimants' jobs wait again. Trouble is told, and the next
    /// sweep tries again.
    #[must_use]
    pub async fn once<H: Host>(self, host: &Arc<H>) -> Self {
        let (shared, mut sweep) = (host.clone(), self);
        let swept = blocking(move || {
            let settled = sweep.run_once(&*shared);
            (sweep, settled)
        });
        let (sweep, settled) = match swept.await {
            Ok(swept) => swept,
            Err(panic) => {
                tracing::error!(error = format!("{panic:#}"), "the sweep panicked");
                return Sweep::new(host.claimant());
            }
        };
        match settled {
            Ok(0) => {}
            Ok(_) => host.claimant().wake(),
            Err(error) => {
                let error = format!("{:#}", Error::new(error));
                tracing::warn!(
                    error,
                    "the folder could not be swept; the next sweep tries again"
                );
            }
        }
        sweep
    }

    fn run_once(&mut self, host: &impl Host) -> Result<usize, FolderError> {
        let claimant = host.claimant();
        let folder = &claimant.folder;
        let catalog = folder.catalog().map(|(catalog, _)| catalog);
        let catalog = catalog.unwrap_or_default();
        let (now, clock) = (claimant.clock.now(), claimant.uptime());
        let settled = self.sweeper.run_once(folder, &catalog, now, clock);
        for beating in self.locks.look(folder).unwrap_or_default() {
            tracing::error!(worker.id = %beating, "a lock of another host is not seen here: this volume does not carry locks between hosts");
        }
        host.beside_a_sweep()?;
        settled
    }
}

/// Sweeps at once and then whenever it is due, until the end.
pub async fn sweep_again_and_again<H: Host>(host: Arc<H>, mut sweep: Sweep, end: Shutdown) {
    let mut ticks = interval(host.claimant().beat.sweep);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = end.cancelled() => return,
        }
        sweep = sweep.once(&host).await;
    }
}
