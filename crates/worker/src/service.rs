//! The worker's process: it waits to be woken, and claims while it has a free slot.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use boot::{Clock, Parts, Shutdown};
use claimant::{
    Claimant, Host, StopSignal, Sweep, Until, beat_again_and_again, blocking, claim_and_run,
    sweep_again_and_again,
};
use job_core::claim::Offer;
use shared_folder::claim::ClaimedJob;
use shared_folder::heartbeat::Presence;
use shared_folder::watch::Watch;
use shared_folder::{FolderError, SharedFolder};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::apps::{self, Offered};
use crate::config::Config;
use crate::contained::{self, Contained};
use crate::exec::containment::Part;
use crate::measures;
use crate::python;
use crate::rest::{self, Rest};
use crate::retain;
use crate::run::run_job;
use crate::schedule::Schedule;
use crate::scratch::{self, Leftovers};
use crate::supervisor::Supervisors;

/// What all of a worker's tasks share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) config: Config,
    /// What it has in common with everybody who claims jobs.
    pub(crate) claimant: Claimant,
    /// The interpreter for scripts without one of their own.
    pub(crate) python: python::Interpreter,
    /// Those who run the scripts.
    pub(crate) supervisors: Supervisors,
    /// What holds the scripts.
    contained: Mutex<Contained>,
    /// The APIs as they are offered now.
    pub(crate) offered: watch::Sender<Arc<Offered>>,
    /// Whether it leaves jobs to other workers, because none could begin here.
    pub(crate) rest: Rest,
    /// What runs that were killed left on this host's disk.
    leftovers: Mutex<Leftovers>,
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
                .claimant
                .folder
                .leave_catalog(&worker.claimant.catalog)
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
        measures::describe();
        tell_containment(&worker.contained());
        tracing::info!(
            worker.id = %worker.claimant.id, slots = worker.config.concurrency, apps = %worker.config.apps_dir.display(),
            folder = %worker.claimant.folder.root().display(), "the worker is ready"
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
        tasks.spawn(sweep_again_and_again(
            worker.clone(),
            Sweep::new(&worker.claimant),
            helpers.clone(),
        ));
        tasks.spawn(rest::look_again_and_again(worker.clone(), helpers.clone()));
        tasks.spawn(retain::retain_when_due(
            worker.clone(),
            schedule.retention_due(),
            helpers.clone(),
        ));
        let beating = tokio::spawn(beat_again_and_again(
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
                .claimant
                .folder
                .leave_catalog(&shared.claimant.catalog)
                .and(presence.leave())
        })
        .await??;
        tracing::info!(worker.id = %worker.claimant.id, "the worker has left");
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
    let offered = apps::read(&config.apps_dir, None);
    let parts = claimant::Parts {
        clock,
        folder,
        name: config.name.clone(),
        beat: config.beat,
        slots: config.concurrency,
        grace: config.grace,
    };
    let claimant = Claimant::new(parts).context("worker")?;
    let catalog = claimant.catalog.as_str();
    claimant
        .folder
        .publish_catalog(catalog, &offered.catalog())?;
    let worker = Arc::new(Worker {
        claimant,
        python,
        supervisors,
        contained: Mutex::new(contained),
        offered: watch::Sender::new(Arc::new(offered)),
        rest: Rest::default(),
        leftovers: Mutex::default(),
        config,
    });
    let presence = claimant::announce(&*worker)?;
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
    Ok((schedule, claimant::hear(worker, worker.config.watch)?))
}

impl Worker {
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

    /// From now on jobs are left to other workers, for this reason, until runs can begin here again.
    pub(crate) fn rest(&self, why: String) {
        self.rest.begin(why);
        self.claimant.look();
    }
}

impl Host for Worker {
    fn claimant(&self) -> &Claimant {
        &self.claimant
    }

    fn offer(&self) -> Offer {
        self.offered.borrow().offer()
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.offered.borrow().problems();
        problems.extend(self.python.problem.clone());
        let rests = self.rest.why();
        problems.extend(rests.map(|why| format!("no run can begin here: {why}")));
        problems
    }

    fn why_it_rests(&self) -> Option<String> {
        self.rest.why()
    }

    async fn run(self: Arc<Self>, job: ClaimedJob, stop: StopSignal, shutdown: Shutdown) {
        run_job(self, job, stop, shutdown).await;
    }

    fn beside_a_sweep(&self) -> Result<(), FolderError> {
        let mut leftovers = self
            .leftovers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        leftovers.clear_away(&self.config.scratch_dir);
        Ok(())
    }
}
