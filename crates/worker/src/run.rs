//! One claimed job, from its claim to its end.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use boot::Shutdown;
use shared_folder::FolderError;
use shared_folder::claim::ClaimedJob;
use shared_folder::finish::{Ended, Measured};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::attempt::Attempt;
use crate::exec::{Ending, Report};
use crate::outcome::{Outcome, outcome};
use crate::service::{Worker, blocking};
use crate::supervisor::Left;

/// Why a run is to end before its script does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A client asked for it.
    Cancel,
    /// The worker is shutting down.
    Shutdown,
    /// The job is no longer this run's.
    Lost,
}

/// How often the script's progress is looked at.
const PROGRESS: Duration = Duration::from_millis(200);
/// How long the supervisor may take to report, once the script is dead.
const REPORT: Duration = Duration::from_secs(15);
/// Longest pause between two tries to publish how a job ended.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Runs a job and publishes how it ended. Its slot is free when this returns.
pub(crate) async fn run_job(
    worker: Arc<Worker>,
    job: ClaimedJob,
    stop: watch::Receiver<Option<Stop>>,
    shutdown: Shutdown,
) {
    let (uuid, api) = (job.uuid, job.api.clone());
    tracing::info!(job.id = %uuid, job.api = %api, attempt = job.lease.attempt, "a job was claimed");
    let job = Arc::new(job);
    let (outcome, measured, attempt) = match supervise(&worker, &job, stop).await {
        Ok(Supervised::Ended(outcome, measured, attempt)) => (outcome, measured, Some(attempt)),
        Ok(Supervised::LetGo(outcome)) => (outcome, Measured::default(), None),
        Err(error) => {
            // The script is not at fault, and another worker may be luckier: this one does not try again at once.
            worker.resting.store(true, Ordering::Relaxed);
            tracing::error!(job.id = %uuid, error = format!("{error:#}"), "a run could not be carried out");
            (Outcome::Lost, Measured::default(), None)
        }
    };
    let told = outcome.word();
    let retry = matches!(outcome, Outcome::TryAgain(_)).then(|| job.lease.retry_pause());
    let run_ms = measured.run_ms.unwrap_or(0);
    match publish(
        &worker,
        &job,
        outcome,
        measured,
        attempt.as_ref().map(Attempt::printed),
        &shutdown,
    )
    .await
    {
        Some(Ended::Published) => {
            tracing::info!(job.id = %uuid, job.api = %api, outcome = told, duration_ms = run_ms, "a run has ended");
        }
        Some(Ended::TooLate) => {
            tracing::warn!(job.id = %uuid, job.api = %api, outcome = told, "a run has ended, but the job was no longer its own");
        }
        None => {
            tracing::error!(job.id = %uuid, job.api = %api, "how a run ended could not be published; the job will be rescued")
        }
    }
    if let Some(attempt) = attempt {
        attempt.remove().await;
    }
    worker.leave(&job);
    worker.wake.notify_one();
    if let Some(pause) = retry.and_then(|pause| pause.to_std().ok()) {
        // Nothing in the folder changes when the pause is over.
        tokio::spawn(async move {
            sleep(pause).await;
            worker.wake.notify_one();
        });
    }
}

/// What came of a run.
enum Supervised {
    /// The script ran.
    Ended(Outcome, Measured, Attempt),
    /// It was never started.
    LetGo(Outcome),
}

async fn supervise(
    worker: &Arc<Worker>,
    job: &Arc<ClaimedJob>,
    mut stop: watch::Receiver<Option<Stop>>,
) -> anyhow::Result<Supervised> {
    let offered = worker.offered.borrow().clone();
    let Some(app) = offered.app(&job.api) else {
        return Ok(Supervised::LetGo(Outcome::GiveBack));
    };
    let (attempt, order) = Attempt::prepare(worker, job, app).await?;
    // Right before the start: the job may have been taken over, ended or canceled since it was claimed.
    let (folder, claimed) = (worker.folder.clone(), job.clone());
    let (mine, canceled) = blocking(move || -> Result<_, FolderError> {
        Ok((
            folder.is_still_mine(&claimed)?,
            folder.is_cancel_requested(claimed.uuid)?,
        ))
    })
    .await??;
    if !mine {
        attempt.remove().await;
        return Ok(Supervised::LetGo(if canceled {
            Outcome::Canceled
        } else {
            Outcome::LetGo
        }));
    }
    let mut supervisor = worker
        .supervisors
        .start(&order)
        .context("start the supervisor")?;
    let limits = &app.api.limits;
    let mut progress = attempt.progress(job.uuid, job.lease.attempt);
    let mut asked = None;
    // A supervisor that stands still reports nothing, and holds its job to no limit.
    let to_report = worker.config.grace.saturating_add(REPORT);
    let mut overdue = pin!(sleep(limits.timeout().saturating_add(to_report)));
    let report = loop {
        tokio::select! {
            report = supervisor.report() => break report,
            why = asked_to_end(&mut stop), if asked.is_none() => {
                asked = Some(why);
                overdue.set(sleep(to_report));
                match why {
                    Stop::Lost => supervisor.kill(),
                    Stop::Cancel | Stop::Shutdown => supervisor.terminate().await,
                }
            }
            () = &mut overdue => break None,
            () = sleep(PROGRESS) => progress.publish(worker).await,
        }
    };
    if report.is_some() {
        drop(supervisor);
    } else if supervisor.end_what_is_left().await == Left::ByItself && asked.is_none() {
        attempt.remove().await;
        bail!("the supervisor could not do its work");
    }
    progress.publish(worker).await;
    let outcome = outcome(report.as_ref(), asked, job.lease.may_retry(limits), limits);
    if let Some(Report {
        ending: Ending::SpawnError { message },
        ..
    }) = &report
    {
        tracing::error!(job.id = %job.uuid, job.api = %job.api, error = message, "a script could not be started");
    }
    if let Some(strikes) = offered.count_spawn_errors(&job.api, report.as_ref()) {
        tracing::error!(job.api = %job.api, strikes, "the script cannot be started: the API is not claimed until its folder changes");
    }
    Ok(Supervised::Ended(
        outcome,
        measured(report.as_ref(), job, &app.api.digest),
        attempt,
    ))
}

/// Waits until somebody wants this run to end.
async fn asked_to_end(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    match stop.wait_for(Option::is_some).await.map(|why| *why) {
        Ok(Some(why)) => why,
        // Whoever could ask is gone, and nobody will.
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

fn measured(report: Option<&Report>, job: &ClaimedJob, digest: &str) -> Measured {
    let mut measured = Measured::default();
    measured.sha256.request = Some(job.request_sha256.clone());
    measured.sha256.app = Some(digest.to_owned());
    if let Some(report) = report {
        measured.run_ms = Some(report.run_ms);
        measured.max_memory = Some(report.max_memory);
        measured.exit_code = match report.ending {
            Ending::Exited { code } => Some(code),
            Ending::Printed => Some(0),
            _ => None,
        };
    }
    measured
}

/// Publishes how the run ended, again and again for as long as it takes; during a shutdown only for the grace time.
async fn publish(
    worker: &Arc<Worker>,
    job: &Arc<ClaimedJob>,
    outcome: Outcome,
    measured: Measured,
    printed: Option<PathBuf>,
    shutdown: &Shutdown,
) -> Option<Ended> {
    let (outcome, measured) = (Arc::new(outcome), Arc::new(measured));
    let limits = worker
        .offered
        .borrow()
        .app(&job.api)
        .map(|app| app.api.limits.clone())
        .unwrap_or_default();
    let mut pause = Duration::from_millis(100);
    let mut ends: Option<tokio::time::Instant> = None;
    loop {
        let (folder, clock, job) = (worker.folder.clone(), worker.clock, job.clone());
        let (outcome, measured, printed, limits) = (
            outcome.clone(),
            measured.clone(),
            printed.clone(),
            limits.clone(),
        );
        let ended = blocking(move || {
            let now = clock.now();
            match (&*outcome, printed) {
                (Outcome::Done, Some(printed)) => {
                    folder.finish_done(&job, &printed, &measured, now)
                }
                (Outcome::Done, None) => folder.lose(&job, &limits, now),
                (Outcome::Failed(failure), _) => {
                    folder.finish_failed(&job, failure, &measured, now)
                }
                (Outcome::TryAgain(failure), _) => folder.try_again(&job, failure.reason, now),
                (Outcome::Canceled, _) => folder.finish_canceled(&job, &measured, now),
                (Outcome::GiveBack, _) => folder.give_back(&job, now),
                (Outcome::Lost, _) => folder.lose(&job, &limits, now),
                (Outcome::LetGo, _) => Ok(Ended::TooLate),
            }
        });
        match ended.await {
            Ok(Ok(ended)) => return Some(ended),
            Ok(Err(error)) => {
                tracing::error!(error = %error, "how a run ended could not be published yet; it is tried again")
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "publishing how a run ended panicked"
                );
                return None;
            }
        }
        if shutdown.is_cancelled()
            && *ends.get_or_insert_with(|| tokio::time::Instant::now() + worker.config.grace)
                < tokio::time::Instant::now()
        {
            return None;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
