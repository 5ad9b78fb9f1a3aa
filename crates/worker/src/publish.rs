//! How a run ended is told: to the shared folder, and to the log.

use std::sync::Arc;

use boot::Shutdown;
use job_core::catalog::Limits;
use job_core::date::Date;
use shared_folder::claim::ClaimedJob;
use shared_folder::finish::Ended;
use shared_folder::{FolderError, SharedFolder};

use crate::outcome::Outcome;
use crate::run::Over;
use crate::service::Worker;

/// Publishes how a run ended, again and again for as long as it takes; during a shutdown only for the grace time.
pub(crate) async fn publish(
    worker: &Arc<Worker>,
    job: &Arc<ClaimedJob>,
    over: &Arc<Over>,
    shutdown: &Shutdown,
) {
    let offered = worker.offered.borrow().clone();
    let limits = offered.app(&job.api).map(|app| app.api.limits.clone());
    let limits = limits.unwrap_or_default();
    let (shared, claimed, over_with) = (worker.clone(), job.clone(), over.clone());
    let publish_once = move || {
        let (folder, now) = (&shared.claimant.folder, shared.claimant.clock.now());
        Ok(publish_once(folder, &claimed, &over_with, &limits, now)?)
    };
    let published = claimant::publish(&worker.claimant, job, shutdown, publish_once).await;
    tell(job, over, published);
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
