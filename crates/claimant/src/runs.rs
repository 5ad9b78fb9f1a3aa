//! The runs that are under way, and how they are asked to end.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use job_core::files::RunningJob;
use job_core::ids::{JobId, Token};
use shared_folder::claim::ClaimedJob;
use tokio::sync::watch;

/// Why a run is to end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A client asked for it.
    Cancel,
    /// The claimant is shutting down.
    Shutdown,
    /// The job is no longer this run's.
    Lost,
}

/// A run's end of the line by which it is asked to end.
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<Option<Stop>>);

impl StopSignal {
    /// Waits until somebody wants the run to end.
    pub async fn asked(&mut self) -> Stop {
        match self.0.wait_for(Option::is_some).await.map(|why| *why) {
            Ok(Some(why)) => why,
            // Whoever could ask is gone, and nobody will.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

/// The runs by their tokens: a job that was taken back may be run here again before the run that was lost has ended.
#[derive(Debug, Default)]
pub(crate) struct Runs(Mutex<HashMap<Token, Running>>);

#[derive(Debug, Clone)]
struct Running {
    uuid: JobId,
    stop: watch::Sender<Option<Stop>>,
}

impl Runs {
    pub(crate) fn enter(&self, job: &ClaimedJob) -> StopSignal {
        let (stop, stopped) = watch::channel(None);
        let uuid = job.uuid;
        self.lock().insert(job.token, Running { uuid, stop });
        StopSignal(stopped)
    }

    pub(crate) fn leave(&self, token: Token) {
        self.lock().remove(&token);
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn all(&self) -> Vec<RunningJob> {
        let runs = self.lock();
        let runs = runs.iter().map(|(token, run)| RunningJob {
            uuid: run.uuid,
            token: *token,
        });
        runs.collect()
    }

    /// Asks a run to end. The first reason counts, but a run that is lost has nothing left to end well.
    pub(crate) fn stop(&self, token: Token, why: Stop) {
        let Some(run) = self.lock().get(&token).cloned() else {
            return;
        };
        run.stop.send_if_modified(|stop| {
            let news = stop.is_none() || (why == Stop::Lost && *stop != Some(why));
            if news {
                *stop = Some(why);
            }
            news
        });
    }

    pub(crate) fn stop_all(&self, why: Stop) {
        for run in self.all() {
            self.stop(run.token, why);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Token, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
