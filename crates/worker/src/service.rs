//! The worker's process: it waits to be woken, and claims while it has a free slot.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, bail};
use boot::{Clock, Parts, Shutdown};
use job_core::ids::{JobId, Token, WorkerId};
use shared_folder::catalog::CatalogName;
use shared_folder::claim::ClaimedJob;
use shared_folder::heartbeat::Presence;
use shared_folder::watch::{Change, Watch};
use shared_folder::{FolderError, SharedFolder};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::apps::{self, Offered};
use crate::beat;
use crate::config::Config;
use crate::contained::{self, Contained};
use crate::exec::containment::Part;
use crate::python;
use crate::rest::{self, Rest};
use crate::run::{Stop, run_job};
use crate::schedule::Schedule;
use crate::scratch;
use crate::supervisor::Supervisors;
use crate::trouble::with_reasons;

/// What all of a worker's tasks share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) folder: Arc<SharedFolder>,
    /// The worker, as of this start.
    pub(crate) id: WorkerId,
    /// The name of its catalog.
    pub(crate) catalog: CatalogName,
    /// The interpreter for scripts without one of their own.
    pub(crate) python: python::Interpreter,
    /// Those who run the scripts.
    pub(crate) supervisors: Supervisors,
    /// What holds the scripts.
    contained: Mutex<Contained>,
    /// The APIs as they are offered now.
    pub(crate) offered: watch::Sender<Arc<Offered>>,
    /// Look for jobs.
    pub(crate) wake: Notify,
    /// Look after the running jobs, and show that the worker lives.
    pub(crate) look: Notify,
    /// The worker could not show that it lives for as long as its lease.
    pub(crate) silent: AtomicBool,
    /// Whether it leaves jobs to other workers, because none could begin here.
    pub(crate) rest: Rest,
    /// When this process began, for time that only goes forward.
    pub(crate) started: Instant,
    running: Mutex<HashMap<Token, Running>>,
}

/// A run that is under way here. A job that was taken back from this worker may be run here again before the run that
/// was lost has ended, so a run is known by its token.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) uuid: JobId,
    /// Why its run is to end before the script does.
    pub(crate) stop: watch::Sender<Option<Stop>>,
}

/// When a worker ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When it is shut down.
    Shutdown,
    /// When nothing is left that it could run.
    Drained,
}

/// A worker that has shown itself and published its catalog, and claims nothing yet.
#[derive(Debug)]
pub struct Service {
    worker: Arc<Worker>,
    presence: Presence,
}

/// Runs a worker until it is shut down. Running jobs are then given back to the queue.
///
/// # Errors
/// As for [`Service::start`] and [`Service::run`].
pub async fn run(config: Config, parts: Parts, shutdown: Shutdown) -> anyhow::Result<()> {
    Service::start(config, parts)
        .await?
        .run(shutdown, Until::Shutdown)
        .await
}

impl Service {
    /// Opens the folder, brings it in order, and announces the worker and its APIs.
    ///
    /// # Errors
    /// Where the folder cannot carry the protocol, the settings demand what this host does not give ([`boot::Unmet`]), or
    /// the worker cannot show that it lives.
    pub async fn start(config: Config, parts: Parts) -> anyhow::Result<Self> {
        let ground = blocking(move || Ground::find(config, parts)).await??;
        let contained = ground.contain().await?;
        let (worker, presence) = blocking(move || announce(ground, contained)).await??;
        Ok(Service { worker, presence })
    }

    /// The names of the APIs that it offers.
    pub fn apis(&self) -> Vec<String> {
        self.worker
            .offered
            .borrow()
            .iter()
            .map(|app| app.api.name.to_string())
            .collect()
    }

    /// Leaves without having claimed anything.
    ///
    /// # Errors
    /// Where the worker's files cannot be removed.
    pub async fn leave(self) -> anyhow::Result<()> {
        let Service { worker, presence } = self;
        Ok(blocking(move || {
            worker
                .folder
                .leave_catalog(&worker.catalog)
                .and(presence.leave())
        })
        .await??)
    }

    /// Claims and runs jobs until it is shut down, or until nothing is left where that is wanted. Running jobs are
    /// given back to the queue.
    ///
    /// # Errors
    /// Where the schedule or the watching cannot be started, what waits cannot be run although that is all that was
    /// wanted, or the worker cannot leave in order.
    pub async fn run(self, shutdown: Shutdown, until: Until) -> anyhow::Result<()> {
        let Service { worker, presence } = self;
        tell_containment(&worker.contained());
        tracing::info!(
            worker.id = %worker.id, slots = worker.config.concurrency, apps = %worker.config.apps_dir.display(),
            folder = %worker.folder.root().display(), "the worker is ready"
        );
        let (schedule, _watch) = match hear(&worker).await {
            Ok(heard) => heard,
            Err(error) => {
                blocking(move || presence.leave()).await??;
                return Err(error);
            }
        };
        // The helpers outlive the claiming: jobs that end during a shutdown still beat.
        let helpers = Shutdown::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(apps::keep_offering(worker.clone(), helpers.clone()));
        tasks.spawn(beat::sweep_again_and_again(worker.clone(), helpers.clone()));
        tasks.spawn(rest::look_again_and_again(worker.clone(), helpers.clone()));
        tasks.spawn(beat::retain_when_due(
            worker.clone(),
            schedule.retention_due(),
            helpers.clone(),
        ));
        let beating = tokio::spawn(beat::beat_again_and_again(
            worker.clone(),
            presence,
            helpers.clone(),
        ));

        let claimed = claim_and_run(&worker, &shutdown, until).await;

        schedule.stop().await;
        helpers.cancel();
        let presence = beating.await.context("the heartbeat ended early")?;
        while tasks.join_next().await.is_some() {}
        let shared = worker.clone();
        blocking(move || {
            shared
                .folder
                .leave_catalog(&shared.catalog)
                .and(presence.leave())
        })
        .await??;
        tracing::info!(worker.id = %worker.id, "the worker has left");
        claimed
    }
}

/// What a worker stands on, before anybody knows of it.
struct Ground {
    config: Config,
    clock: Clock,
    folder: Arc<SharedFolder>,
    python: python::Interpreter,
    supervisors: Supervisors,
}

impl Ground {
    fn find(config: Config, parts: Parts) -> anyhow::Result<Self> {
        let clock = parts.clock;
        let options = config.options.clone();
        let folder = Arc::new(SharedFolder::start(
            &config.shared_dir,
            options,
            parts.lock_probe(),
            clock.now(),
        )?);
        scratch::make(&config.scratch_dir, &config.containment)?;
        let python = python::find(&config.python);
        // No child is started from here on that is no supervisor.
        let supervisors = Supervisors::new(parts.executable)
            .context("become the one that jobs' orphans fall to")?;
        Ok(Ground {
            config,
            clock,
            folder,
            python,
            supervisors,
        })
    }

    /// What is to hold the scripts; where nothing can be run here now, what the settings want.
    async fn contain(&self) -> anyhow::Result<Contained> {
        let nobody = shared_folder::job_id(self.clock.now());
        let found = contained::find_out(&self.config, &self.python, &self.supervisors, nobody);
        match found.await {
            Ok(contained) => Ok(contained),
            Err(error) if error.is::<boot::Unmet>() => Err(error),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "what holds scripts here could not be tried out"
                );
                Ok(Contained {
                    wanted: self.config.containment.clone(),
                    ..Contained::default()
                })
            }
        }
    }
}

fn announce(ground: Ground, contained: Contained) -> anyhow::Result<(Arc<Worker>, Presence)> {
    let Ground {
        config,
        clock,
        folder,
        python,
        supervisors,
    } = ground;
    let id = WorkerId::new(&config.name, Uuid::new_v4())
        .with_context(|| format!("worker.name {:?}", config.name))?;
    let offered = apps::read(&config.apps_dir, None);
    let catalog = folder.take_catalog_name(&config.name)?;
    folder.publish_catalog(catalog.as_str(), &offered.catalog())?;
    let presence = Presence::announce(folder.clone(), id.clone())?;
    let worker = Arc::new(Worker {
        catalog,
        python,
        supervisors,
        contained: Mutex::new(contained),
        clock,
        folder,
        id,
        offered: watch::Sender::new(Arc::new(offered)),
        wake: Notify::new(),
        look: Notify::new(),
        silent: AtomicBool::new(false),
        rest: Rest::default(),
        started: Instant::now(),
        running: Mutex::default(),
        config,
    });
    presence.beat(&beat::heartbeat(&worker, 0))?;
    Ok((worker, presence))
}

/// Tells operators what holds the scripts, and what might.
fn tell_containment(contained: &Contained) {
    let in_force = &contained.in_force;
    tracing::info!(
        user = in_force.user.as_deref().unwrap_or("the worker's own"),
        pid_namespace = in_force.pid_namespace,
        landlock_abi = in_force.landlock_abi,
        "this holds scripts apart from the host"
    );
    for missing in &in_force.missing {
        tracing::warn!(missing = %missing, "scripts could be held better; `bcrl-worker check` tells more");
    }
    tell_no_python(contained);
}

fn tell_no_python(contained: &Contained) {
    if let Some(why) = &contained.no_python {
        tracing::warn!(
            error = why,
            "no script can be run here by the worker's Python, whatever holds it"
        );
    }
}

/// Tells operators what holds the scripts no longer, and what does again.
fn tell_change(before: &Contained, now: &Contained) {
    for part in Part::ALL {
        match (before.wanted.wants(part), now.wanted.wants(part)) {
            (true, false) => {
                let why = now.in_force.why_missing(part);
                tracing::warn!(part = %part, error = why, "from now on less holds scripts than before");
            }
            (false, true) => {
                tracing::info!(part = %part, "from now on more holds scripts than before")
            }
            _ => {}
        }
    }
    if now.no_python != before.no_python {
        tell_no_python(now);
    }
}

/// What wakes the worker: the clock, and changes of the folder.
async fn hear(worker: &Arc<Worker>) -> anyhow::Result<(Schedule, Watch)> {
    let schedule = Schedule::start(worker.clone()).await?;
    let hinted = worker.clone();
    let watch = worker
        .folder
        .watch(worker.config.watch, move |change| match change {
            Change::Queue => hinted.wake.notify_one(),
            Change::Cancel => hinted.look.notify_one(),
            Change::Catalog => {}
        })?;
    Ok((schedule, watch))
}

/// Claims jobs while there are free slots, and sleeps until somebody has news. An error only where it was to run what
/// waits, and could not.
async fn claim_and_run(
    worker: &Arc<Worker>,
    shutdown: &Shutdown,
    until: Until,
) -> anyhow::Result<()> {
    let mut runs = JoinSet::new();
    loop {
        let mut trouble = None;
        while !shutdown.is_cancelled() && worker.may_claim() {
            match worker.claim().await {
                Ok(Some(job)) => {
                    let stop = worker.enter(&job);
                    runs.spawn(run_job(worker.clone(), job, stop, shutdown.clone()));
                }
                Ok(None) => break,
                Err(error) => {
                    // The next tick tries again.
                    tracing::warn!(error = with_reasons(&error), "no job could be claimed");
                    trouble = Some(error);
                    break;
                }
            }
        }
        if until == Until::Drained && runs.is_empty() {
            if let Some(error) = trouble {
                return Err(error).context("no job could be claimed");
            }
            if let Some(why) = worker.unwell() {
                bail!("what waits cannot be run here now: {why}");
            }
            return Ok(());
        }
        tokio::select! {
            () = worker.wake.notified() => {}
            Some(_) = runs.join_next() => {}
            () = shutdown.cancelled() => break,
        }
    }
    for running in worker.running().values() {
        running
            .stop
            .send_if_modified(|stop| stop.is_none() && stop.replace(Stop::Shutdown).is_none());
    }
    while runs.join_next().await.is_some() {}
    Ok(())
}

impl Worker {
    /// The runs that are under way here now.
    pub(crate) fn running(&self) -> MutexGuard<'_, HashMap<Token, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What holds the scripts from now on.
    pub(crate) fn contain(&self, contained: Contained) {
        let mut held = self.lock_contained();
        tell_change(&held, &contained);
        *held = contained;
    }

    /// What holds the scripts.
    pub(crate) fn contained(&self) -> Contained {
        self.lock_contained().clone()
    }

    fn lock_contained(&self) -> MutexGuard<'_, Contained> {
        self.contained
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn may_claim(&self) -> bool {
        self.unwell().is_none() && self.running().len() < self.config.concurrency as usize
    }

    /// Why it would not bring a run to its end, where it would not: what a silent worker claims is taken from it at
    /// once.
    fn unwell(&self) -> Option<String> {
        let silent = self.silent.load(Ordering::Relaxed);
        let why = silent.then(|| "the worker cannot show that it lives".to_owned());
        why.or_else(|| self.rest.why())
    }

    /// From now on jobs are left to other workers, for this reason, until runs can begin here again.
    pub(crate) fn rest(&self, why: String) {
        self.rest.begin(why);
        self.look.notify_one();
    }

    async fn claim(self: &Arc<Self>) -> Result<Option<ClaimedJob>, FolderError> {
        let worker = self.clone();
        let claimed = blocking(move || {
            let offer = worker.offered.borrow().offer();
            worker
                .folder
                .claim(&worker.id, std::process::id(), &offer, worker.clock.now())
        });
        claimed.await.unwrap_or_else(|panic| {
            tracing::error!(error = %panic, "claiming panicked");
            Ok(None)
        })
    }

    fn enter(&self, job: &ClaimedJob) -> watch::Receiver<Option<Stop>> {
        let (stop, stopped) = watch::channel(None);
        let uuid = job.uuid;
        self.running().insert(job.token, Running { uuid, stop });
        stopped
    }

    /// This run is over: its slot is free.
    pub(crate) fn leave(&self, job: &ClaimedJob) {
        self.running().remove(&job.token);
    }
}

/// Does something that waits for files, off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("a task panicked")
}
