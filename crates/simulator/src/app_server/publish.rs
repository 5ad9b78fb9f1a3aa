//! How a run ended becomes known, in the same way as a worker's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boot::Shutdown;
use shared_folder::claim::ClaimedJob;
use shared_folder::finish::{Ended, Measured};
use tokio::time::sleep;

use super::answer::Printed;
use super::run::{End, millis};
use super::service::{AppServer, blocking};

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Publishes how the run ended, again and again for as long as it takes; during a shutdown only for the grace time.
pub(crate) async fn publish(
    server: &Arc<AppServer>,
    job: &Arc<ClaimedJob>,
    end: &End,
    ran: Duration,
    shutdown: &Shutdown,
) -> Option<Ended> {
    let mut pause = Duration::from_millis(100);
    let mut last_try: Option<Instant> = None;
    loop {
        let (shared, claimed, end) = (server.clone(), job.clone(), end.clone());
        match blocking(move || publish_once(&shared, &claimed, &end, ran)).await {
            Ok(Ok(ended)) => return Some(ended),
            Ok(Err(error)) => {
                tracing::error!(job.id = %job.uuid, error = format!("{error:#}"), "how a run ended could not be published yet; it is tried again")
            }
            Err(error) => {
                tracing::error!(job.id = %job.uuid, error = format!("{error:#}"), "publishing how a run ended panicked");
                return None;
            }
        }
        let grace = server.config.grace;
        if shutdown.is_cancelled()
            && *last_try.get_or_insert_with(|| Instant::now() + grace) < Instant::now()
        {
            return None;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn publish_once(
    server: &AppServer,
    job: &ClaimedJob,
    end: &End,
    ran: Duration,
) -> anyhow::Result<Ended> {
    let (folder, now) = (&server.folder, server.clock.now());
    let measured = measured(server, job, end, ran);
    Ok(match end {
        End::Done(document) => {
            let printed = Printed::new(document)?;
            folder.finish_done(job, &printed.path(), &measured, now)?
        }
        End::Failed(failure) => folder.finish_failed(job, failure, &measured, now)?,
        End::Canceled => folder.finish_canceled(job, &measured, now)?,
        End::GivenBack => folder.give_back(job, now)?,
        End::TakenAway => Ended::TooLate,
    })
}

/// What the receipt says of the run.
fn measured(server: &AppServer, job: &ClaimedJob, end: &End, ran: Duration) -> Measured {
    let mut measured = Measured {
        run_ms: Some(millis(ran)),
        exit_code: match end {
            End::Done(_) => Some(0),
            End::Failed(failure) => failure.exit_code,
            _ => None,
        },
        ..Measured::default()
    };
    measured.sha256.request = Some(job.request_sha256.clone());
    let api = &server.config.catalog.apis;
    let api = api.iter().find(|api| api.name == job.api);
    // An API that is only a name has no folder to be told apart by.
    measured.sha256.app = api
        .map(|api| api.digest.clone())
        .filter(|digest| !digest.is_empty());
    measured
}
