//! Who waits for a job hears of its changes. One task looks at the folder for all who wait: the index is read once per
//! change, and each job that changed once, however many wait for it. Nobody who waits costs a thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use boot::{Clock, Shutdown};
use job_core::ids::JobId;
use shared_folder::mark::Mark;
use shared_folder::watch::WatchMode;
use shared_folder::{JobView, SharedFolder};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

/// So many may wait at once.
const MOST_WAITING: usize = 5_000;
/// Between two looks where the kernel tells of nothing: progress and log, and all changes on a network mount.
const LOOK: Duration = Duration::from_millis(500);

/// The jobs that somebody waits for.
#[derive(Debug)]
pub struct Feed {
    folder: Arc<SharedFolder>,
    clock: Clock,
    jobs: Mutex<HashMap<JobId, Followed>>,
    seats: Arc<Semaphore>,
    /// Told when there may be something to see.
    look: Arc<Notify>,
    /// Ends all waiting: nobody is to hold up a shutdown.
    ending: Shutdown,
}

#[derive(Debug)]
struct Followed {
    /// As it was last seen.
    mark: Option<Mark>,
    seen: watch::Sender<Option<Arc<JobView>>>,
}

/// A place to wait for the changes of one job.
#[derive(Debug)]
pub struct Follower {
    seen: watch::Receiver<Option<Arc<JobView>>>,
    ending: Shutdown,
    _seat: OwnedSemaphorePermit,
}

impl Feed {
    /// A feed of this folder's jobs that nobody waits at yet. `ending` ends all waiting.
    pub fn new(folder: Arc<SharedFolder>, clock: Clock, ending: Shutdown) -> Self {
        Feed {
            folder,
            clock,
            jobs: Mutex::default(),
            seats: Arc::new(Semaphore::new(MOST_WAITING)),
            look: Arc::default(),
            ending,
        }
    }

    /// Takes a place to wait for a job's changes; nothing where too many wait already.
    pub fn follow(&self, uuid: JobId) -> Option<Follower> {
        let seat = self.seats.clone().try_acquire_owned().ok()?;
        let seen = {
            let mut jobs = self.jobs();
            let followed = jobs.entry(uuid).or_insert_with(|| Followed {
                mark: None,
                seen: watch::channel(None).0,
            });
            followed.seen.subscribe()
        };
        self.look.notify_one();
        Some(Follower {
            seen,
            ending: self.ending.clone(),
            _seat: seat,
        })
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        MOST_WAITING - self.seats.available_permits()
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, Followed>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The jobs that somebody still waits for, with their marks.
    fn followed(&self) -> Vec<(JobId, Option<Mark>)> {
        let mut jobs = self.jobs();
        jobs.retain(|_, followed| followed.seen.receiver_count() > 0);
        let jobs = jobs.iter();
        jobs.map(|(uuid, followed)| (*uuid, followed.mark.clone()))
            .collect()
    }

    fn tell(&self, uuid: JobId, mark: Mark, view: Option<JobView>) {
        if let Some(followed) = self.jobs().get_mut(&uuid) {
            // An end that could not be settled yet is looked at again: it shows as before until then.
            let ended = view
                .as_ref()
                .is_some_and(|view| view.state.status().is_final());
            followed.mark = (ended == mark.is_final()).then_some(mark);
            followed.seen.send_replace(view.map(Arc::new));
        }
    }

    fn look_once(&self) {
        let (uuids, before): (Vec<_>, Vec<_>) = self.followed().into_iter().unzip();
        if uuids.is_empty() {
            return;
        }
        // What cannot be read now is looked at again in a moment.
        let Ok(marks) = self.folder.marks(&uuids) else {
            return;
        };
        for ((uuid, before), mark) in uuids.into_iter().zip(before).zip(marks) {
            if before.as_ref() == Some(&mark) {
                continue;
            }
            match self.folder.job(uuid, self.clock.now()) {
                Ok(view) => self.tell(uuid, mark, view),
                Err(error) => {
                    tracing::warn!(job.id = %uuid, error = %error, "a job that somebody waits for cannot be looked at")
                }
            }
        }
    }
}

impl Follower {
    /// The job as it is once it was seen anew: at first as soon as possible, then after each change. Nothing where the
    /// job is not known, or the server ends.
    pub async fn next(&mut self) -> Option<Arc<JobView>> {
        tokio::select! {
            changed = self.seen.changed() => changed.ok()?,
            () = self.ending.cancelled() => return None,
        }
        self.seen.borrow_and_update().clone()
    }

    /// Waits for at most `patience` until the job is as `wanted`; the last that was seen of it, whether it is or not.
    pub async fn until(
        &mut self,
        patience: Duration,
        wanted: impl Fn(&JobView) -> bool,
    ) -> Option<Arc<JobView>> {
        let mut last = None;
        let waiting = async {
            while let Some(view) = self.next().await {
                let enough = wanted(&view);
                last = Some(view);
                if enough {
                    break;
                }
            }
        };
        // At the end of the patience the last look is as good as it gets.
        let _ = timeout(patience, waiting).await;
        last
    }
}

/// Looks whenever the folder may have changed, and tells those who wait, until the end.
pub(crate) async fn tell_again_and_again(feed: Arc<Feed>, end: Shutdown) {
    let look = feed.look.clone();
    let hint = move |_| look.notify_one();
    // Watching begins with the start, so that nobody who waits has to.
    let folder = feed.folder.clone();
    let watch = tokio::task::spawn_blocking(move || folder.watch(WatchMode::Events, hint)).await;
    let _watch = match watch {
        Ok(Ok(watch)) => Some(watch),
        Ok(Err(error)) => {
            tracing::warn!(error = %error, "changes are noticed later: the folder cannot be watched");
            None
        }
        Err(error) => {
            tracing::error!(error = %error, "watching the folder panicked");
            None
        }
    };
    while !end.is_cancelled() {
        let somebody_waits = feed.waiting() > 0;
        tokio::select! {
            () = feed.look.notified() => {}
            () = tokio::time::sleep(LOOK), if somebody_waits => {}
            () = end.cancelled() => return,
        }
        let shared = feed.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || shared.look_once()).await {
            tracing::error!(error = %error, "looking for changes panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use shared_folder::Options;

    use super::*;

    #[test]
    fn past_the_cap_nobody_more_may_wait_until_somebody_leaves() {
        let home = tempfile::tempdir().unwrap();
        let folder = SharedFolder::open(home.path(), Options::default()).unwrap();
        let clock = Clock::new(chrono_tz::UTC);
        let feed = Feed::new(Arc::new(folder), clock, Shutdown::new());
        let uuid: JobId = "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap();
        let mut waiting: Vec<_> = (0..MOST_WAITING)
            .map(|_| feed.follow(uuid).unwrap())
            .collect();
        assert!(feed.follow(uuid).is_none());
        assert_eq!((feed.waiting(), feed.followed().len()), (MOST_WAITING, 1));
        waiting.pop();
        assert!(feed.follow(uuid).is_some());
        waiting.clear();
        assert_eq!((feed.waiting(), feed.followed().len()), (0, 0));
    }
}
