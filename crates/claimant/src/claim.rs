//! It claims while it has a free slot.

use std::sync::Arc;

use anyhow::bail;
use boot::Shutdown;
use shared_folder::FolderError;
use shared_folder::claim::ClaimedJob;
use tokio::task::JoinSet;

use crate::runs::Stop;
use crate::{Host, blocking};

/// When a claimant ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When it is shut down.
    Shutdown,
    /// When nothing is left that it could run.
    Drained,
}

/// Claims jobs while there are free slots, and sleeps until somebody has news. When it is shut down, its runs are asked
/// to end, and waited for.
///
/// # Errors
/// Only where it was to run what waits, and could not.
pub async fn claim_and_run<H: Host>(
    host: &Arc<H>,
    shutdown: &Shutdown,
    until: Until,
) -> anyhow::Result<()> {
    let claimant = host.claimant();
    let mut runs = JoinSet::new();
    loop {
        let mut trouble = None;
        while !shutdown.is_cancelled() && may_claim(host) {
            match claim(host).await {
                Ok(Some(job)) => {
                    let stop = claimant.runs.enter(&job);
                    runs.spawn(host.clone().run(job, stop, shutdown.clone()));
                }
                Ok(None) => break,
                Err(error) => {
                    // The next sweep or tick tries again.
                    let told = format!("{:#}", anyhow::Error::new(error));
                    tracing::warn!(error = told, "no job could be claimed");
                    trouble = Some(told);
                    break;
                }
            }
        }
        if runs.is_empty() && host.has_run_enough() {
            return Ok(());
        }
        if runs.is_empty() && until == Until::Drained {
            if let Some(error) = trouble {
                bail!("no job could be claimed: {error}");
            }
            if let Some(why) = unwell(host) {
                bail!("what waits cannot be run here now: {why}");
            }
            return Ok(());
        }
        tokio::select! {
            () = claimant.wake.notified() => {}
            Some(_) = runs.join_next() => {}
            () = shutdown.cancelled() => break,
        }
    }
    claimant.runs.stop_all(Stop::Shutdown);
    while runs.join_next().await.is_some() {}
    Ok(())
}

fn may_claim<H: Host>(host: &Arc<H>) -> bool {
    let running = host.claimant().running();
    unwell(host).is_none() && running < host.claimant().slots as usize && host.wants_more(running)
}

/// Why it would not bring a run to its end, where it would not: what a silent one claims is taken from it at once.
fn unwell<H: Host>(host: &Arc<H>) -> Option<String> {
    let silent = host.claimant().is_silent();
    let why = silent.then(|| "the worker cannot show that it lives".to_owned());
    why.or_else(|| host.why_it_rests())
}

async fn claim<H: Host>(host: &Arc<H>) -> Result<Option<ClaimedJob>, FolderError> {
    let host = host.clone();
    let claimed = blocking(move || {
        let (claimant, pid) = (host.claimant(), std::process::id());
        let now = claimant.clock.now();
        claimant.folder.claim(&claimant.id, pid, &host.offer(), now)
    });
    claimed.await.unwrap_or_else(|panic| {
        tracing::error!(error = %panic, "claiming panicked");
        Ok(None)
    })
}
