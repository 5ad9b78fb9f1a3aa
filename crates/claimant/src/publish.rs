//! How a run ended becomes known.

use std::time::Duration;

use anyhow::Error;
use boot::Shutdown;
use shared_folder::claim::ClaimedJob;
use shared_folder::finish::Ended;
use tokio::time::{Instant, sleep};

use crate::{Claimant, blocking};

/// The pause after the first try that failed; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Publishes how a run ended, again and again for as long as it takes; during a shutdown only for the grace time.
/// Nothing where it could not be.
pub async fn publish<P>(
    claimant: &Claimant,
    job: &ClaimedJob,
    shutdown: &Shutdown,
    publish_once: P,
) -> Option<Ended>
where
    P: Fn() -> anyhow::Result<Ended> + Clone + Send + 'static,
{
    let mut pause = FIRST_PAUSE;
    let mut last_try = None;
    loop {
        match blocking(publish_once.clone()).await {
            Ok(Ok(ended)) => return Some(ended),
            Ok(Err(error)) => tell(
                job,
                &error,
                "how a run ended could not be published yet; it is tried again",
            ),
            Err(panic) => {
                tell(job, &panic, "publishing how a run ended panicked");
                return None;
            }
        }
        if shutdown.is_cancelled() {
            let last_try = last_try.get_or_insert_with(|| Instant::now() + claimant.grace);
            if *last_try < Instant::now() {
                return None;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn tell(job: &ClaimedJob, error: &Error, what: &str) {
    tracing::error!(job.id = %job.uuid, error = format!("{error:#}"), "{what}");
}
