//! What tells whether a job changed, cheaper than looking at it.

use job_core::ids::JobId;
use job_core::queue::Queue;
use job_core::status::{State, Status};

use crate::error::FolderError;
use crate::folder::SharedFolder;
use crate::snapshot::Stamp;

/// One state of a job as far as it can be told without reading a file. Two that are equal show the same job, but for
/// its place in the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// By the index; nothing where that does not know the job.
    state: Option<State>,
    /// What only a running job has.
    running: Option<Running>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Running {
    progress: Option<Stamp>,
    log: u64,
    cancel_requested: bool,
}

impl Mark {
    /// Whether the job has ended by the index.
    pub fn is_final(&self) -> bool {
        let status = self.state.as_ref().map(State::status);
        status.is_some_and(Status::is_final)
    }
}

impl SharedFolder {
    /// The marks of these jobs, in the same order. The index is read at most once, and only if it changed; a job that
    /// waits or has ended costs nothing more.
    ///
    /// # Errors
    /// Where the index cannot be read and never was.
    pub fn marks(&self, uuids: &[JobId]) -> Result<Vec<Mark>, FolderError> {
        let queue = self.queue()?;
        Ok(uuids.iter().map(|uuid| self.mark(&queue, *uuid)).collect())
    }

    fn mark(&self, queue: &Queue, uuid: JobId) -> Mark {
        let state = queue.get(uuid).map(|entry| entry.state().clone());
        let runs = state
            .as_ref()
            .is_some_and(|state| state.status() == Status::Processing);
        Mark {
            running: runs.then(|| self.running(uuid)),
            state,
        }
    }

    /// What cannot be looked at now shows at the next look.
    fn running(&self, uuid: JobId) -> Running {
        let progress = self.dirs.progress.open_file(&format!("{uuid}.json"));
        let progress = progress.ok().flatten();
        let log = self.log(uuid).ok().flatten();
        Running {
            progress: progress.and_then(|file| Stamp::of(&file).ok()),
            log: log
                .and_then(|file| file.metadata().ok())
                .map_or(0, |metadata| metadata.len()),
            cancel_requested: self.is_cancel_requested(uuid).unwrap_or(false),
        }
    }
}
