//! The process: it wakes up every night and at its start, and looks for requests in between.

use std::sync::Arc;
use std::time::Duration;

use boot::{Parts, Shutdown};
use tokio::sync::Notify;

use crate::batch::{Batch, BatchError, Tell};
use crate::config::Config;
use crate::schedule::Schedule;

/// Requests are looked for so often, and so is a database that is away.
const LOOK: Duration = Duration::from_secs(5);

/// Runs a log batch until it is shut down. A day that is just being counted is left; the next start counts it.
///
/// # Errors
/// Where the database's tables are of a newer version, or the schedule cannot be started. A database that is away is
/// waited for.
pub async fn run(config: Config, parts: Parts, shutdown: Shutdown) -> anyhow::Result<()> {
    let batch = Batch::new(&config, parts.clock);
    let due = Arc::new(Notify::new());
    let mut schedule = Schedule::start(&config.cron, parts.clock, due.clone()).await?;
    tracing::info!(
        log_dir = %config.log_dir.display(),
        next = schedule.next().map(|next| next.to_string()),
        "the log batch is ready"
    );
    let working = async {
        let mut work = Work::new(batch);
        loop {
            work.step().await?;
            tokio::select! {
                () = due.notified() => work.is_due = true,
                () = tokio::time::sleep(LOOK) => {}
            }
            if schedule.is_off(parts.clock.now()) {
                let new = Schedule::start(&config.cron, parts.clock, due.clone()).await?;
                std::mem::replace(&mut schedule, new).stop().await;
            }
        }
    };
    let ended: anyhow::Result<()> = tokio::select! {
        ended = working => ended,
        () = shutdown.cancelled() => Ok(()),
    };
    schedule.stop().await;
    tracing::info!("the log batch has ended");
    ended
}

/// What is left to do.
struct Work {
    batch: Batch,
    tell: Tell,
    /// Whether the tables are known to be there.
    is_migrated: bool,
    /// Whether days are to be looked for.
    is_due: bool,
    /// What kept it from its work the last time.
    trouble: Option<String>,
}

impl Work {
    fn new(batch: Batch) -> Self {
        Work {
            batch,
            tell: Arc::new(|_| {}),
            is_migrated: false,
            is_due: true,
            trouble: None,
        }
    }

    /// Does what can be done now; what cannot is left for the next step.
    async fn step(&mut self) -> anyhow::Result<()> {
        match self.try_step().await {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    tracing::info!("the log batch works again");
                }
            }
            Err(BatchError::Database(error @ log_db::DbError::Migration(_))) => {
                return Err(error.into());
            }
            // Said once, and not every few seconds.
            Err(error) if self.trouble.as_ref() != Some(&error.to_string()) => {
                tracing::error!(error = %error, "the log batch cannot work now; it tries again until it can");
                self.trouble = Some(error.to_string());
            }
            Err(_) => {}
        }
        Ok(())
    }

    async fn try_step(&mut self) -> Result<(), BatchError> {
        if !self.is_migrated {
            self.batch.db().migrate().await?;
            self.is_migrated = true;
        }
        if self.is_due {
            self.batch.catch_up(&self.tell).await?;
            self.is_due = false;
        }
        self.batch.answer_requests(&self.tell).await
    }
}
