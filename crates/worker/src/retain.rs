//! What ended long ago goes.

use std::sync::Arc;

use boot::Shutdown;
use claimant::blocking;
use shared_folder::retain::retain;
use tokio::sync::Notify;

use crate::service::Worker;
use crate::trouble::with_reasons;

/// Removes what ended long ago, at the start and whenever it is due.
pub(crate) async fn retain_when_due(worker: Arc<Worker>, due: Arc<Notify>, end: Shutdown) {
    loop {
        let shared = worker.clone();
        match blocking(move || retain(&shared.claimant.folder, shared.claimant.clock.now())).await {
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
