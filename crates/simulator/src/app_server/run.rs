//! One claimed job, from its claim to its end.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boot::Shutdown;
use claimant::{Stop, StopSignal, blocking};
use job_core::files::Progress;
use job_core::status::{Failure, FailureReason};
use rustix::process::{Signal, getpid, kill_process};
use shared_folder::FolderError;
use shared_folder::claim::ClaimedJob;
use shared_folder::finish::Ended;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::publish::publish;
use super::scenario::{Course, Fate};
use super::service::AppServer;
use super::tally::Outcome;

/// Least and most time between two words about a run's progress, of which there are twenty where that is possible.
const PROGRESS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Between two tries to begin where the folder cannot be read.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// What a job that fails says its script exited with.
const EXIT_CODE: i32 = 1;

/// What is to be published about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// This document is the job's result.
    Done(Vec<u8>),
    /// The job has failed.
    Failed(Failure),
    /// A client asked for the end, and got it.
    Canceled,
    /// The job waits for somebody else.
    GivenBack,
    /// The job is no longer this run's: nothing is published.
    TakenAway,
}

impl End {
    fn of_stop(why: Stop) -> Self {
        match why {
            Stop::Cancel => End::Canceled,
            Stop::Shutdown => End::GivenBack,
            Stop::Lost => End::TakenAway,
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            End::Done(_) => Outcome::Done,
            End::Failed(_) => Outcome::Failed,
            End::Canceled => Outcome::Canceled,
            End::GivenBack => Outcome::GivenBack,
            End::TakenAway => Outcome::TakenAway,
        }
    }
}

/// Plays a run of a job and publishes how it ended. Its slot is free when this returns.
pub(crate) async fn run_job(
    server: Arc<AppServer>,
    job: ClaimedJob,
    stop: StopSignal,
    shutdown: Shutdown,
) {
    let course = server.config.scenario.course(job.uuid);
    let (job, begun) = (Arc::new(job), Instant::now());
    tracing::info!(
        job.id = %job.uuid, job.api = %job.api, attempt = job.lease.attempt, fate = course.fate.as_str(),
        takes_ms = millis(course.takes), "a job was claimed"
    );
    let end = play(&server, &job, course, stop).await;
    let ran = begun.elapsed();
    let outcome = match publish(&server, &job, &end, ran, &shutdown).await {
        Some(Ended::Published) => end.outcome(),
        Some(Ended::TooLate) => Outcome::TakenAway,
        None => Outcome::Unpublished,
    };
    match outcome {
        Outcome::TakenAway | Outcome::Unpublished => {
            tracing::warn!(job.id = %job.uuid, job.api = %job.api, outcome = outcome.as_str(), "a run has ended, and its job goes on elsewhere")
        }
        _ => {
            tracing::info!(job.id = %job.uuid, job.api = %job.api, outcome = outcome.as_str(), duration_ms = millis(ran), "a run has ended")
        }
    }
    server.tally().end(outcome);
    server.claimant.leave(&job);
    server.claimant.wake();
}

/// Lets the job take its course, unless it is no longer this run's or is to end sooner.
async fn play(
    server: &Arc<AppServer>,
    job: &Arc<ClaimedJob>,
    course: Course,
    mut stop: StopSignal,
) -> End {
    // Where a worker would start the script: the job may have been taken over, ended or canceled since it was claimed.
    let begins = loop {
        match may_begin(server, job).await {
            Ok(begins) => break begins,
            Err(error) => {
                tracing::error!(job.id = %job.uuid, error = format!("{error:#}"), "a run cannot begin yet; it is tried again")
            }
        }
        tokio::select! {
            () = sleep(TRY_AGAIN) => {}
            why = stop.asked() => return End::of_stop(why),
        }
    };
    match begins {
        Begins::Now => {}
        Begins::Canceled => return End::Canceled,
        Begins::TakenAway => return End::TakenAway,
    }
    let begun = Instant::now();
    let mut end = pin!(end_of_its_own(server, job, course));
    let mut ticks = interval((course.takes / 20).clamp(PROGRESS.0, PROGRESS.1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            end = &mut end => return end,
            why = stop.asked() => return End::of_stop(why),
            _ = ticks.tick() => show_progress(server, job, course.percent(begun.elapsed())).await,
        }
    }
}

enum Begins {
    Now,
    Canceled,
    TakenAway,
}

async fn may_begin(server: &Arc<AppServer>, job: &Arc<ClaimedJob>) -> anyhow::Result<Begins> {
    let (folder, job) = (server.claimant.folder.clone(), job.clone());
    let looked = blocking(move || -> Result<Begins, FolderError> {
        Ok(if folder.is_still_mine(&job)? {
            Begins::Now
        } else if folder.is_cancel_requested(job.uuid)? {
            Begins::Canceled
        } else {
            Begins::TakenAway
        })
    });
    Ok(looked.await??)
}

/// What becomes of a job that nobody interferes with.
async fn end_of_its_own(server: &AppServer, job: &ClaimedJob, course: Course) -> End {
    match course.fate {
        Fate::Done => {
            sleep(course.takes).await;
            done(server, job)
        }
        Fate::Fail => {
            sleep(course.takes).await;
            let text = format!("a simulated script exited with {EXIT_CODE}, as it was to");
            End::Failed(Failure::new(FailureReason::ExitCode, text).with_exit_code(EXIT_CODE))
        }
        Fate::Hang => std::future::pending().await,
        Fate::Die => {
            sleep(course.takes / 2).await;
            die(job)
        }
    }
}

fn done(server: &AppServer, job: &ClaimedJob) -> End {
    let document = server.config.answer.to(&job.request);
    if document.len() as u64 <= server.config.options.result_limit {
        return End::Done(document);
    }
    let text = format!(
        "the echo of the request has {} bytes, which is more than a result may hold",
        document.len()
    );
    End::Failed(Failure::new(FailureReason::OutputTooLarge, text))
}

/// Ends this process as a power cut would.
fn die(job: &ClaimedJob) -> ! {
    tracing::warn!(job.id = %job.uuid, "the simulated APP server kills itself in the middle of this job, as it was to");
    // The kernel lets nobody come back from this.
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

async fn show_progress(server: &Arc<AppServer>, job: &Arc<ClaimedJob>, percent: f64) {
    let (server, job) = (server.clone(), job.clone());
    let shown = blocking(move || {
        let progress = Progress {
            percent: Some(percent),
            message: Some("simulated".into()),
            attempt: job.lease.attempt,
            updated_date: server.claimant.clock.now(),
        };
        server.claimant.folder.show_progress(job.uuid, &progress)
    });
    if let Ok(Err(error)) = shown.await {
        tracing::warn!(error = %error, "progress cannot be shown");
    }
}

/// Whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
