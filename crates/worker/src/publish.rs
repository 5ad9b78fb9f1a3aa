//! How a run ended is told: to the shared folder, and to the log.

use std::sync::Arc;
use std::time::Duration;

use boot::Shutdown;
use job_core::catalog::Limits;
use job_core::date::Date;
use shared_folder::claim::ClaimedJob;
use shared_folder::finish::Ended;
use shared_folder::{FolderError, SharedFolder};
use tokio::time::{Instant, sleep};

use crate::outcome::Outcome;
use crate::run::Over;
use crate::service::{Worker, blocking};
use crate::trouble::with_reasons;

/// The pause after the first try that failed; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Publishes how a run ended, again and again for as long as it takes; during a shutdown only for the grace time.
pub(crate) async fn publish(
    worker: &Arc<Worker>,
    job: &Arc<ClaimedJob>,
    over: &Arc<Over>,
    shutdown: &Shutdown,
) {
    let published = until_published(worker, job, over, shutdown).await;
    tell(job, over, published);
}

async fn until_published(
    worker: &Arc<Worker>,
    job: &Arc<ClaimedJob>,
    over: &Arc<Over>,
    shutdown: &Shutdown,
) -> Option<Ended> {
    let offered = worker.offered.borrow().clone();
    let mut pause = FIRST_PAUSE;
    let mut last_try = None;
    loop {
        let (shared, job, over) = (worker.clone(), job.clone(), over.clone());
        let limits = offered.app(&job.api).map(|app| app.api.limits.clone());
        let published = blocking(move || {
            let (limits, now) = (limits.unwrap_or_default(), shared.clock.now());
            publish_once(&shared.folder, &job, &over, &limits, now)
        });
        match published.await {
            Ok(Ok(ended)) => return Some(ended),
            Ok(Err(error)) => {
                tracing::error!(
                    error = with_reasons(&error),
                    "how a run ended could not be published yet; it is tried again"
                )
            }
            Err(panic) => {
                tracing::error!(
                    error = format!("{panic:#}"),
                    "publishing how a run ended panicked"
                );
                return None;
            }
        }
        if shutdown.is_cancelled() {
            let last_try = last_try.get_or_insert_with(|| Instant::now() + worker.config.grace);
            if *last_try < Instant::now() {
                return None;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn publish_once(
    folder: &SharedFolder,
    job: &ClaimedJob,
    over: &Over,
    limits: &Limits,
    now: Date,
) -> Result<Ended, FolderError> {
    let measured = &over.measured;
    match &over.outcome {
        Outcome::Done => {
            let attempt = over.attempt.as_ref();
            let printed = attempt.expect("only a script that was started is done");
            folder.finish_done(job, &printed.printed(), measured, now)
        }
        Outcome::Failed(failure) => folder.finish_failed(job, failure, measured, now),
        Outcome::TryAgain(failure) => folder.try_again(job, failure.reason, now),
        Outcome::Canceled => folder.finish_canceled(job, measured, now),
        Outcome::GiveBack => folder.give_back(job, now),
        Outcome::Lost => folder.lose(job, limits, now),
        Outcome::LetGo => Ok(Ended::TooLate),
    }
}

fn tell(job: &ClaimedJob, over: &Over, published: Option<Ended>) {
    let (uuid, api, outcome) = (job.uuid, &job.api, over.outcome.word());
    match published {
        Some(Ended::Published) => {
            let duration_ms = over.measured.run_ms.unwrap_or(0);
            tracing::info!(job.id = %uuid, job.api = %api, outcome, duration_ms, "a run has ended");
        }
        Some(Ended::TooLate) => {
            tracing::warn!(job.id = %uuid, job.api = %api, outcome, "a run has ended, but the job was no longer its own");
        }
        None => {
            tracing::error!(job.id = %uuid, job.api = %api, "how a run ended could not be published; the job will be rescued")
        }
    }
}
