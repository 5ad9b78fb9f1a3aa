//! Cron ticks. A tick only wakes somebody: work that overlaps itself, or a tick that is missed, does no harm.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler};

use crate::service::Worker;

/// The worker's schedule, until it is stopped.
pub(crate) struct Schedule {
    scheduler: JobScheduler,
    retention: Arc<Notify>,
}

impl Schedule {
    /// Starts the ticks of the settings, in the site's zone.
    pub(crate) async fn start(worker: Arc<Worker>) -> anyhow::Result<Self> {
        let scheduler = JobScheduler::new().await.context("start the scheduler")?;
        let retention = Arc::new(Notify::new());
        let zone = worker.claimant.clock.zone();
        let due = retention.clone();
        let (look, clean) = (
            worker.config.cron.clone(),
            worker.config.retention_cron.clone(),
        );
        let wake = Job::new_tz(with_seconds(&look), zone, move |_, _| {
            worker.claimant.wake()
        });
        scheduler
            .add(wake.with_context(|| format!("worker.cron {look:?}"))?)
            .await?;
        let retain = Job::new_tz(with_seconds(&clean), zone, move |_, _| due.notify_one());
        scheduler
            .add(retain.with_context(|| format!("retention.cron {clean:?}"))?)
            .await?;
        scheduler.start().await.context("start the scheduler")?;
        Ok(Schedule {
            scheduler,
            retention,
        })
    }

    /// Told whenever retention is due.
    pub(crate) fn retention_due(&self) -> Arc<Notify> {
        self.retention.clone()
    }

    /// Ends the ticks.
    pub(crate) async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::warn!(error = %error, "the scheduler did not end in order");
        }
    }
}

/// The five fields that people write, with the second that the scheduler wants in front.
fn with_seconds(cron: &str) -> String {
    format!("0 {cron}")
}
