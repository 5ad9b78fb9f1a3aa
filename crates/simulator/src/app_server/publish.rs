//! How a run ended becomes known, in the same way as a worker's.

use std::sync::Arc;
use std::time::Duration;

use boot::Shutdown;
use shared_folder::claim::ClaimedJob;
use shared_folder::finish::{Ended, Measured};

use super::answer::Printed;
use super::run::{End, millis};
use super::service::AppServer;

/// Publishes how the run ended; nothing where it could not be.
pub(crate) async fn publish(
    server: &Arc<AppServer>,
    job: &Arc<ClaimedJob>,
    end: &End,
    ran: Duration,
    shutdown: &Shutdown,
) -> Option<Ended> {
    let (shared, claimed, end) = (server.clone(), job.clone(), end.clone());
    let publish_once = move || publish_once(&shared, &claimed, &end, ran);
    claimant::publish(&server.claimant, job, shutdown, publish_once).await
}

fn publish_once(
    server: &AppServer,
    job: &ClaimedJob,
    end: &End,
    ran: Duration,
) -> anyhow::Result<Ended> {
    let (folder, now) = (&server.claimant.folder, server.claimant.clock.now());
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
