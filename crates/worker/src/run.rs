//! One claimed job, from its claim to its end.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use app_folder::App;
use boot::Shutdown;
use claimant::{Stop, StopSignal, blocking};
use job_core::catalog::Limits;
use job_core::files::Containment;
use job_core::lease::Lease;
use job_core::status::{Failure, FailureReason};
use shared_folder::FolderError;
use shared_folder::claim::ClaimedJob;
use shared_folder::finish::Measured;
use tokio::time::sleep;

use crate::apps::Offered;
use crate::attempt::Attempt;
use crate::exec::{Ending, Report};
use crate::measures;
use crate::outcome::{Outcome, OwnFailure, outcome};
use crate::progress::ProgressTail;
use crate::publish::publish;
use crate::service::Worker;
use crate::supervisor::{Left, Supervisor};
use crate::trouble::Trouble;

/// How often the script's progress is looked at.
const PROGRESS: Duration = Duration::from_millis(200);
/// How long the supervisor may take to report, once the script is dead.
const REPORT: Duration = Duration::from_secs(15);

/// A run that is over: what is to be published of it.
pub(crate) struct Over {
    pub(crate) outcome: Outcome,
    pub(crate) measured: Measured,
    /// Its folder, with what was printed; absent where the script was never started.
    pub(crate) attempt: Option<Attempt>,
}

impl Over {
    fn without_run(outcome: Outcome) -> Self {
        Over {
            outcome,
            measured: Measured::default(),
            attempt: None,
        }
    }
}

/// Runs a job and publishes how it ended. Its slot is free when this returns.
pub(crate) async fn run_job(
    worker: Arc<Worker>,
    job: ClaimedJob,
    stop: StopSignal,
    shutdown: Shutdown,
) {
    tracing::info!(job.id = %job.uuid, job.api = %job.api, attempt = job.lease.attempt, "a job was claimed");
    measures::claimed(&job.api);
    let job = Arc::new(job);
    let over = match carry_out(&worker, &job, stop).await {
        Ok(over) => over,
        Err(trouble) => bear(&worker, &job, trouble),
    };
    measures::over(&job.api, &over.outcome, over.measured.run_ms);
    let over = Arc::new(over);
    publish(&worker, &job, &over, &shutdown).await;
    if let Some(attempt) = &over.attempt {
        attempt.remove().await;
    }
    worker.claimant.leave(&job);
    worker.claimant.wake();
    if matches!(over.outcome, Outcome::TryAgain(_)) {
        wake_for_retry(worker, &job.lease);
    }
}

/// From the claim to the end of whatever the script started.
async fn carry_out(
    worker: &Arc<Worker>,
    job: &Arc<ClaimedJob>,
    stop: StopSignal,
) -> Result<Over, Trouble> {
    let offered = worker.offered.borrow().clone();
    let Some(app) = offered.app(&job.api) else {
        return Ok(Over::without_run(Outcome::GiveBack));
    };
    let (shared, claimed, its_app) = (worker.clone(), job.clone(), app.clone());
    let prepared = blocking(move || Attempt::prepare(&shared, &claimed, &its_app)).await;
    let (attempt, order) = match prepared {
        Ok(prepared) => prepared?,
        Err(panic) => {
            // A bug that this job meets must not keep the worker from all others: its losses are counted.
            tracing::error!(job.id = %job.uuid, error = format!("{panic:#}"), "preparing a run panicked");
            return Ok(Over::without_run(Outcome::Lost));
        }
    };
    let over = supervise(worker, job, &offered, app, &attempt, &order, stop).await;
    if !matches!(&over, Ok(over) if over.attempt.is_some()) {
        attempt.remove().await;
    }
    over
}

/// Starts the supervisor and waits for its report.
async fn supervise(
    worker: &Arc<Worker>,
    job: &Arc<ClaimedJob>,
    offered: &Offered,
    app: &App,
    attempt: &Attempt,
    order: &Path,
    mut stop: StopSignal,
) -> Result<Over, Trouble> {
    if let Some(outcome) = ended_meanwhile(worker, job).await? {
        return Ok(Over::without_run(outcome));
    }
    let mut supervisor = worker
        .supervisors
        .start(order)
        .context("start the supervisor")?;
    let limits = &app.api.limits;
    let mut progress = attempt.progress(job.uuid, job.lease.attempt);
    let (report, asked) =
        until_report(worker, limits, &mut supervisor, &mut progress, &mut stop).await;
    if let Some(report) = &report {
        drop(supervisor);
        note_containment(worker, job, report)?;
        worker.rest.a_run_began();
    } else {
        let left = supervisor.end_what_is_left().await;
        if asked.is_none() {
            bear_supervisor(worker, job, left)?;
        }
    }
    progress.publish(worker).await;
    note_start(offered, job, report.as_ref());
    let own_failure = if job.lease.may_retry(limits) {
        OwnFailure::TryAgain
    } else {
        OwnFailure::Final
    };
    Ok(Over {
        outcome: outcome(report.as_ref(), asked, own_failure, limits),
        measured: measured(report.as_ref(), job, &app.api.digest),
        attempt: Some(attempt.clone()),
    })
}

/// Right before the start: the job may have been taken over, ended or canceled since it was claimed. Then this is what
/// is published.
async fn ended_meanwhile(
    worker: &Arc<Worker>,
    job: &Arc<ClaimedJob>,
) -> anyhow::Result<Option<Outcome>> {
    let (folder, claimed) = (worker.claimant.folder.clone(), job.clone());
    let (mine, canceled) = blocking(move || -> Result<_, FolderError> {
        Ok((
            folder.is_still_mine(&claimed)?,
            folder.is_cancel_requested(claimed.uuid)?,
        ))
    })
    .await??;
    Ok(match (mine, canceled) {
        (true, _) => None,
        (false, true) => Some(Outcome::Canceled),
        (false, false) => Some(Outcome::LetGo),
    })
}

/// Waits for the report, and ends the run where that is asked for. No report comes of a supervisor that died or takes
/// too long.
async fn until_report(
    worker: &Arc<Worker>,
    limits: &Limits,
    supervisor: &mut Supervisor,
    progress: &mut ProgressTail,
    stop: &mut StopSignal,
) -> (Option<Report>, Option<Stop>) {
    let mut asked = None;
    // A supervisor that stands still reports nothing, and holds its job to no limit.
    let to_report = worker.config.grace.saturating_add(REPORT);
    let mut overdue = pin!(sleep(limits.timeout().saturating_add(to_report)));
    loop {
        tokio::select! {
            report = supervisor.report() => return (report, asked),
            why = stop.asked(), if asked.is_none() => {
                asked = Some(why);
                overdue.set(sleep(to_report));
                match why {
                    Stop::Lost => supervisor.kill(),
                    Stop::Cancel | Stop::Shutdown => supervisor.terminate().await,
                }
            }
            () = &mut overdue => return (None, asked),
            () = sleep(PROGRESS) => progress.publish(worker).await,
        }
    }
}

/// What it means for job and worker that a supervisor gave no report although nobody wanted the run to end.
fn bear_supervisor(worker: &Worker, job: &ClaimedJob, left: Left) -> Result<(), Trouble> {
    match left {
        Left::BeforeTheStart => Err(anyhow!(
            "the supervisor could not start the script; its line in the worker's log says why"
        )
        .into()),
        Left::ByItself => {
            // The script may have caused it, by a full disk: the run is counted as lost, or it would be repeated for ever.
            let why =
                "the supervisor of a run could not go on; its line in the worker's log says why";
            tracing::error!(job.id = %job.uuid, error = why, "a run was lost here, and this worker rests");
            worker.rest(why.into());
            Ok(())
        }
        Left::Ended => Ok(()),
    }
}

/// Tells operators of a script that was held by less than others are. One that was not started for it is no job's
/// fault.
fn note_containment(worker: &Worker, job: &ClaimedJob, report: &Report) -> Result<(), Trouble> {
    if let Ending::NotContained { message } = &report.ending {
        return Err(anyhow!("no script is run without what is to hold it: {message}").into());
    }
    for missing in &report.containment.missing {
        tracing::warn!(
            job.id = %job.uuid, job.api = %job.api, worker.id = %worker.claimant.id, missing = %missing,
            "a script was run with less to hold it than others here"
        );
    }
    Ok(())
}

/// Tells operators of a script that could not be started, and of an API that rests for it.
fn note_start(offered: &Offered, job: &ClaimedJob, report: Option<&Report>) {
    if let Some(Ending::SpawnError { message }) = report.map(|report| &report.ending) {
        tracing::error!(job.id = %job.uuid, job.api = %job.api, error = message, "a script could not be started");
    }
    if let Some(strikes) = offered.count_spawn_errors(&job.api, report) {
        tracing::error!(job.api = %job.api, strikes, "the script cannot be started: the API is not claimed until its folder changes");
    }
}

/// What becomes of a job whose run could not begin.
fn bear(worker: &Worker, job: &ClaimedJob, trouble: Trouble) -> Over {
    let (uuid, api) = (job.uuid, &job.api);
    let outcome = match trouble {
        Trouble::OfThisJob(message) => {
            tracing::error!(job.id = %uuid, job.api = %api, error = message, "a job's own files keep it from being run");
            Outcome::Failed(Failure::new(FailureReason::SpawnError, message))
        }
        Trouble::OfThisWorker(error) => {
            let why = format!("{error:#}");
            tracing::error!(
                job.id = %uuid, job.api = %api, error = why,
                "no run can begin here: the job is given back, and this worker rests"
            );
            worker.rest(why);
            Outcome::GiveBack
        }
    };
    Over::without_run(outcome)
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
        let never_started = matches!(report.ending, Ending::SpawnError { .. });
        measured.containment = (!never_started).then(|| Containment {
            user: report.containment.user.clone(),
            pid_namespace: report.containment.pid_namespace,
            landlock_abi: report.containment.landlock_abi,
        });
    }
    measured
}

/// Nothing in the folder changes when the pause before a retry is over.
fn wake_for_retry(worker: Arc<Worker>, lease: &Lease) {
    let pause = lease.retry_pause().to_std();
    let pause = pause.expect("a pause goes forward");
    tokio::spawn(async move {
        sleep(pause).await;
        worker.claimant.wake();
    });
}
