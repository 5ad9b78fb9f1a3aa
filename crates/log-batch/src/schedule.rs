//! The nightly tick. It only wakes somebody: what is due is found by looking.

use std::sync::Arc;

use anyhow::Context;
use boot::Clock;
use chrono::FixedOffset;
use job_core::date::Date;
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler};

/// The schedule, until it is stopped.
pub(crate) struct Schedule {
    scheduler: JobScheduler,
    /// The zone's offset when it was made: the scheduler keeps it, also when the clocks are changed.
    offset: FixedOffset,
    next: Option<Date>,
}

impl Schedule {
    /// Wakes `due` by the cron of the settings, in the site's zone whatever the host's is.
    pub(crate) async fn start(cron: &str, clock: Clock, due: Arc<Notify>) -> anyhow::Result<Self> {
        let mut scheduler = JobScheduler::new().await.context("start the scheduler")?;
        // The scheduler wants the second in front of the five fields that people write.
        let job = Job::new_tz(format!("0 {cron}"), clock.zone(), move |_, _| {
            due.notify_one();
        });
        let job = job.with_context(|| format!("log_batch.cron {cron:?}"))?;
        let id = scheduler.add(job).await?;
        scheduler.start().await.context("start the scheduler")?;
        let next = scheduler.next_tick_for_job(id).await?;
        let next = next.map(|next| Date::new(next.with_timezone(&clock.zone()).fixed_offset()));
        Ok(Schedule {
            scheduler,
            offset: *clock.now().moment().offset(),
            next,
        })
    }

    /// When the first tick after its start comes.
    pub(crate) fn next(&self) -> Option<Date> {
        self.next
    }

    /// Whether the clocks were changed since it was made.
    pub(crate) fn is_off(&self, now: Date) -> bool {
        now.moment().offset() != &self.offset
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::warn!(error = %error, "the scheduler did not end in order");
        }
    }
}
