//! A worker that can begin no run rests: it claims nothing, says why, and looks after a pause whether it could again.
//!
//! It looks without a job, so that none goes back and forth meanwhile. Where a run cannot begin although the look said
//! that it could, the next pause is longer, until one does begin.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use boot::Shutdown;
use claimant::blocking;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::attempt::Attempt;
use crate::contained;
use crate::scratch;
use crate::service::Worker;

/// The pause before the first look; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whether a worker rests.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    state: Mutex<State>,
    /// Told when a rest begins.
    begun: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Why the worker rests; nothing while it does not.
    why: Option<String>,
    /// How often it has looked since a run began.
    looks: u32,
}

impl State {
    /// The time until the next look; nothing where the worker does not rest.
    fn next_pause(&mut self) -> Option<Duration> {
        self.why.as_ref()?;
        let longer = 2u32.saturating_pow(self.looks);
        self.looks = self.looks.saturating_add(1);
        Some(FIRST_PAUSE.saturating_mul(longer).min(LONGEST_PAUSE))
    }
}

impl Rest {
    /// From now on nothing is claimed, for this reason.
    pub(crate) fn begin(&self, why: String) {
        self.state().why = Some(why);
        self.begun.notify_one();
    }

    /// Why the worker rests, where it does.
    pub(crate) fn why(&self) -> Option<String> {
        self.state().why.clone()
    }

    /// A run has begun: should there be trouble again, it is new.
    pub(crate) fn a_run_began(&self) {
        self.state().looks = 0;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends each rest once runs can begin again, until the end.
pub(crate) async fn look_again_and_again(worker: Arc<Worker>, end: Shutdown) {
    loop {
        tokio::select! {
            () = worker.rest.begun.notified() => {}
            () = end.cancelled() => return,
        }
        while let Some(pause) = next_pause(&worker) {
            if timeout(pause, end.cancelled()).await.is_ok() {
                return;
            }
            look(&worker).await;
        }
    }
}

fn next_pause(worker: &Worker) -> Option<Duration> {
    worker.rest.state().next_pause()
}

async fn look(worker: &Arc<Worker>) {
    let why = match could_begin(worker).await {
        Ok(()) => None,
        Err(error) => Some(format!("{error:#}")),
    };
    match &why {
        None => tracing::info!("runs can begin here again"),
        Some(why) => tracing::warn!(error = why, "no run can begin here yet"),
    }
    worker.rest.state().why = why;
    worker.claimant.look();
    worker.claimant.wake();
}

async fn could_begin(worker: &Arc<Worker>) -> anyhow::Result<()> {
    let (shared, nobody) = (
        worker.clone(),
        shared_folder::job_id(worker.claimant.clock.now()),
    );
    blocking(move || {
        let (scratch, containment) = (&shared.config.scratch_dir, &shared.config.containment);
        scratch::make(scratch, containment)?;
        Attempt::rehearse(scratch, nobody)
    })
    .await??;
    let (config, python) = (&worker.config, &worker.python);
    let contained = contained::find_out(config, python, &worker.supervisors, nobody).await?;
    worker.contain(contained);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_run_begins() {
        let rest = Rest::default();
        let pause = || rest.state().next_pause().map(|pause| pause.as_secs());
        assert_eq!(pause(), None);
        rest.begin("no room".into());
        let pauses = [1, 2, 4, 8, 16, 32, 60, 60];
        assert_eq!(pauses.map(|_| pause()), pauses.map(Some));
        rest.state().looks = u32::MAX;
        assert_eq!(pause(), Some(60));

        // A look that said that all was well is not believed for longer than a run shows.
        rest.state().why = None;
        assert_eq!(pause(), None);
        rest.begin("no room".into());
        assert_eq!(pause(), Some(60));
        rest.a_run_began();
        assert_eq!(pause(), Some(1));
        assert_eq!(rest.why().as_deref(), Some("no room"));
    }
}
