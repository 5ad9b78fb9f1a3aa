//! When jobs will probably start and finish, as far as this process can tell. It looks when somebody asks, and
//! spends a twentieth of its time on it at most: at the queue, the living workers and the last runs of the APIs that
//! jobs wait for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use actix_web::web;
use job_core::catalog::Catalog;
use job_core::date::Date;
use job_core::estimate::{Estimate, Line, MOST_RUNS, Pace, RunTimes, estimate};
use job_core::ids::{ApiName, JobId};
use job_core::queue::Queue;
use job_core::status::Status;
use shared_folder::{FolderError, SharedFolder};
use tokio::time::timeout;

use crate::context::State;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// Whoever asks waits so long for a look.
const PATIENCE: Duration = Duration::from_millis(10);
/// A look that takes long comes less often: the pause is at least so many times as long as it.
const PAUSE_TO_LOOK: u32 = 20;

/// What is expected of the jobs that have not ended.
#[derive(Debug, Default)]
pub struct Forecast {
    told: Mutex<HashMap<JobId, Estimate>>,
    look: Mutex<Look>,
}

#[derive(Debug, Default)]
struct Look {
    /// Not before this time of the process.
    next: Duration,
    runs: HashMap<ApiName, Runs>,
}

/// How long an API's last runs took, in milliseconds; nothing for a job that ended without one.
type Runs = HashMap<JobId, Option<u64>>;

impl Forecast {
    /// What is expected of a job; nothing where that cannot be told, or has not been yet.
    pub fn of(&self, uuid: JobId) -> Option<Estimate> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(&uuid).copied()
    }

    /// Looks anew where the last look is some time ago. Nobody waits for it for long: who comes while another one looks
    /// goes on at once, and a long look goes on for those who come later.
    pub async fn renew(state: &web::Data<State>) {
        if !state.forecast.is_due(state.uptime()) {
            return;
        }
        let looking = state.clone();
        let look = web::block(move || looking.forecast.look(&looking));
        if let Ok(Err(error)) = timeout(PATIENCE, look).await {
            tracing::error!(error = %error, "looking what to expect of the jobs panicked");
        }
    }

    fn is_due(&self, now: Duration) -> bool {
        let look = self.free_look();
        look.is_some_and(|look| now >= look.next)
    }

    /// Nothing where another one looks. After a panic it is looked anew.
    fn free_look(&self) -> Option<MutexGuard<'_, Look>> {
        match self.look.try_lock() {
            Ok(look) => Some(look),
            Err(TryLockError::Poisoned(look)) => Some(look.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn look(&self, state: &State) {
        let Some(mut look) = self.free_look() else {
            return;
        };
        let begin = state.uptime();
        if begin < look.next {
            return;
        }
        // Also after a panic not at once again.
        look.next = begin + PAUSE;
        match look.expect(state) {
            Ok(expected) => {
                *self.told.lock().unwrap_or_else(PoisonError::into_inner) = expected;
            }
            Err(error) => tracing::debug!(error = %error, "nothing new is expected of the jobs"),
        }
        let end = state.uptime();
        look.next = end + PAUSE.max((end - begin) * PAUSE_TO_LOOK);
    }
}

impl Look {
    fn expect(&mut self, state: &State) -> Result<HashMap<JobId, Estimate>, FolderError> {
        let (folder, now) = (&state.folder, state.clock.now());
        let queue = folder.queue()?;
        let mut line = line(folder, &queue, now);
        if line.running.is_empty() && line.pending.is_empty() {
            return Ok(HashMap::new());
        }
        let mut workers = state.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let living = workers.living_workers(folder, state.uptime())?;
        drop(workers);
        line.slots = living.iter().map(|beat| beat.slots as usize).sum();
        let running = line.running.iter().map(|(_, api, _)| api);
        let asked: Vec<_> = running
            .chain(line.pending.iter().map(|(_, api)| api))
            .cloned()
            .collect();
        self.hear_of_runs(folder, &queue, asked)?;
        let site = state.site.borrow().clone();
        let pace = |api: &ApiName| self.pace(api, &site.catalog);
        let seed = now.unix_millis().unsigned_abs();
        Ok(estimate(&line, pace, now, seed))
    }

    /// Keeps the last runs of these APIs, and reads the receipts of those that are new.
    fn hear_of_runs(
        &mut self,
        folder: &SharedFolder,
        queue: &Queue,
        apis: Vec<ApiName>,
    ) -> Result<(), FolderError> {
        let mut ended: HashMap<ApiName, Vec<(Date, JobId)>> =
            apis.into_iter().map(|api| (api, Vec::new())).collect();
        for entry in queue.iter() {
            if let (Some(ended), Some(date)) = (ended.get_mut(&entry.api), entry.state().finished())
            {
                ended.push((date, entry.uuid));
            }
        }
        let mut heard = HashMap::new();
        for (api, mut ended) in ended {
            ended.sort_unstable_by(|a, b| b.cmp(a));
            ended.truncate(MOST_RUNS);
            let known = self.runs.remove(&api).unwrap_or_default();
            let mut runs = Runs::new();
            for (_, uuid) in ended {
                let run = match known.get(&uuid) {
                    Some(run) => *run,
                    None => run_ms(folder, uuid)?,
                };
                runs.insert(uuid, run);
            }
            heard.insert(api, runs);
        }
        self.runs.extend(heard);
        Ok(())
    }

    fn pace(&self, api: &ApiName, catalog: &Catalog) -> Pace {
        let runs = self.runs.get(api).into_iter().flat_map(HashMap::values);
        Pace {
            times: RunTimes::new(runs.flatten().copied()),
            concurrency: catalog.get(api).and_then(|api| api.limits.concurrency),
        }
    }
}

/// The jobs that have not ended. How long a job runs already is told by two hosts' clocks: an estimate is off by as
/// much as these are.
fn line(folder: &SharedFolder, queue: &Queue, now: Date) -> Line {
    let mut line = Line::default();
    for entry in queue.iter() {
        match entry.status() {
            Status::Pending => line.pending.push((entry.uuid, entry.api.clone())),
            Status::Processing => {
                let claimed = folder.lease(entry.uuid).map(|lease| lease.claimed);
                let elapsed = now.since(claimed.unwrap_or(now)).num_milliseconds();
                let elapsed = u64::try_from(elapsed).unwrap_or(0);
                line.running.push((entry.uuid, entry.api.clone(), elapsed));
            }
            Status::Done | Status::Failed | Status::Canceled => {}
        }
    }
    line
}

/// How long the job's run took, where it came to an end by itself.
fn run_ms(folder: &SharedFolder, uuid: JobId) -> Result<Option<u64>, FolderError> {
    let Some(receipt) = folder.receipt(uuid)? else {
        return Ok(None);
    };
    let took = receipt
        .started_date
        .map(|started| receipt.finished_date.since(started));
    let took = took.filter(|_| receipt.run_ms.is_some() && receipt.status != Status::Canceled);
    Ok(took.and_then(|took| u64::try_from(took.num_milliseconds()).ok()))
}
