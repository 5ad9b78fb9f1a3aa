//! One process's look at the whole folder, at its start and again and again.

use std::time::{Duration, Instant};

use job_core::catalog::Catalog;
use job_core::date::Date;
use job_core::files::Heartbeat;
use job_core::lease::Beat;
use job_core::liveness::Liveness;

use crate::dir::TEMPORARY;
use crate::error::FolderError;
use crate::folder::SharedFolder;
use crate::heartbeat;
use crate::observer::Observer;
use crate::recover::{settle_all, settle_or_say};

/// Jobs are settled for so long before others may have the lock.
const LONGEST_HOLD: Duration = Duration::from_millis(500);
/// A temporary file that is older belongs to nobody any more.
pub(crate) const TEMPORARY_AGE: chrono::TimeDelta = chrono::TimeDelta::minutes(10);
/// A worker that was silent for so long will not come back under this name.
const FORGET_WORKER: Duration = Duration::from_secs(3600);

/// One process's look at the folder, again and again.
#[derive(Debug)]
pub struct Sweeper {
    duty: Duty,
    beat: Beat,
    liveness: Liveness,
}

/// What a sweeper does about jobs whose worker is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// It takes them back.
    Rescue,
    /// It leaves them to the workers, and settles only what has ended.
    Settle,
}

impl Sweeper {
    /// A sweeper that has seen nothing yet.
    pub fn new(duty: Duty, beat: Beat) -> Self {
        Sweeper {
            duty,
            beat,
            liveness: Liveness::default(),
        }
    }

    /// Looks once: settles what is not in order, rescues what lost its worker where that is its duty, and clears away
    /// what nobody needs. `clock` is this process's monotonic time. Returns how many jobs were settled.
    ///
    /// # Errors
    /// [`FolderError::Busy`] or trouble with the volume; the next sweep does what this one did not.
    pub fn run_once(
        &mut self,
        folder: &SharedFolder,
        catalog: &Catalog,
        now: Date,
        clock: Duration,
    ) -> Result<usize, FolderError> {
        if !folder.index_is_sound() {
            // Taking the lock mends it: from its last good generation and the facts.
            drop(folder.lock(now)?);
        }
        let queue = folder.queue()?;
        let heartbeats = folder.heartbeats()?;
        self.liveness.observe(&heartbeats, &queue, clock);
        let observer = Observer {
            alive: Some((&self.liveness, self.beat.lease, clock)),
            gone: heartbeat::gone_from_this_machine(folder, &heartbeats),
            catalog: Some(catalog),
        };
        let suspects = observer.suspects(folder, &queue, self.duty, now)?;
        let mut settled = 0;
        let mut suspects = suspects.into_iter().peekable();
        while suspects.peek().is_some() {
            let mut guard = folder.lock(now)?;
            let locked = Instant::now();
            while let Some(uuid) = suspects.next_if(|_| locked.elapsed() < LONGEST_HOLD) {
                settled += usize::from(settle_or_say(&mut guard, uuid, &observer));
            }
            guard.commit()?;
        }
        for beat in &heartbeats {
            // A dead worker's files tell those who rescue that it is dead: they are the ones to remove them.
            let dead = observer.gone.contains(&beat.worker) && self.duty == Duty::Rescue;
            if dead || !self.liveness.is_alive(&beat.worker, FORGET_WORKER, clock) {
                heartbeat::forget(folder, &beat.worker)?;
            }
        }
        remove_old_temporaries(folder, now)?;
        folder.keep_reserve()?;
        Ok(settled)
    }

    /// The workers that live, as far as this process can tell.
    ///
    /// # Errors
    /// Where index or heartbeats cannot be read.
    pub fn living_workers(
        &mut self,
        folder: &SharedFolder,
        clock: Duration,
    ) -> Result<Vec<Heartbeat>, FolderError> {
        let mut heartbeats = folder.heartbeats()?;
        self.liveness.observe(&heartbeats, &folder.queue()?, clock);
        let gone = heartbeat::gone_from_this_machine(folder, &heartbeats);
        heartbeats.retain(|beat| {
            !gone.contains(&beat.worker)
                && self.liveness.is_alive(&beat.worker, self.beat.lease, clock)
        });
        Ok(heartbeats)
    }
}

/// Settles everything that is not in order, before a service answers or claims anything.
///
/// # Errors
/// [`FolderError::Busy`] or trouble with the volume.
pub fn settle_at_start(folder: &SharedFolder, now: Date) -> Result<usize, FolderError> {
    let mut guard = folder.lock(now)?;
    let settled = settle_all(&mut guard)?;
    guard.commit()?;
    if settled > 0 {
        tracing::info!(
            jobs = settled,
            "jobs were settled that an earlier process left half-way"
        );
    }
    Ok(settled)
}

/// Removes temporary files that a killed process left.
fn remove_old_temporaries(folder: &SharedFolder, now: Date) -> Result<(), FolderError> {
    for (_, dir) in folder.dirs.all() {
        for name in dir
            .names()?
            .iter()
            .filter(|name| name.starts_with(TEMPORARY))
        {
            if dir
                .modified(name)?
                .is_some_and(|modified| now.since(modified) > TEMPORARY_AGE)
            {
                dir.remove(name)?;
            }
        }
    }
    Ok(())
}
