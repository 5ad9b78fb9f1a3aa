//! What the one who settles jobs knows of the others: who lives, whose worker is gone, which jobs look out of order.

use std::collections::HashSet;
use std::time::Duration;

use job_core::catalog::{Catalog, Limits};
use job_core::date::Date;
use job_core::entry::Entry;
use job_core::ids::{ApiName, JobId, WorkerId};
use job_core::lease::Lease;
use job_core::liveness::{Liveness, Run};
use job_core::queue::Queue;
use job_core::recovery::Owner;
use job_core::status::Status;

use crate::dir::{Dir, job_of};
use crate::error::FolderError;
use crate::folder::SharedFolder;
use crate::sweep::Duty;
use crate::view::LEASE_LIMIT;

/// A pending job whose API nobody offers has failed after this time.
const API_GONE: chrono::TimeDelta = chrono::TimeDelta::days(7);

/// What the one who settles knows of the others.
pub(crate) struct Observer<'a> {
    /// Who was seen alive, how long a silence may last, and what the observer's clock says.
    pub(crate) alive: Option<(&'a Liveness, Duration, Duration)>,
    /// Workers whose process has ended for certain.
    pub(crate) gone: HashSet<WorkerId>,
    /// Limits of the APIs.
    pub(crate) catalog: Option<&'a Catalog>,
}

impl Observer<'_> {
    /// Somebody who knows nothing of others, and so takes every worker for alive.
    pub(crate) fn nobody() -> Self {
        Observer {
            alive: None,
            gone: HashSet::new(),
            catalog: None,
        }
    }

    pub(crate) fn owner(&self, folder: &SharedFolder, entry: &Entry) -> Owner {
        let Some(run) = Run::of(entry.uuid, entry.state()) else {
            return Owner::Alive;
        };
        if !self.gone.is_empty() && self.is_gone(folder, entry) {
            return Owner::Dead;
        }
        let silent = self.alive.is_some_and(|(liveness, lease, clock)| {
            let patience = match run {
                Run::Ours(_) => lease,
                Run::ThirdPartys(_) => self.limits(&entry.api).timeout(),
            };
            liveness.is_lost(run, patience, clock)
        });
        if silent { Owner::Dead } else { Owner::Alive }
    }

    fn is_gone(&self, folder: &SharedFolder, entry: &Entry) -> bool {
        let token = entry.state().token();
        token.is_some()
            && lease_of(folder, entry.uuid)
                .is_some_and(|lease| lease.token == token && self.gone.contains(&lease.worker))
    }

    pub(crate) fn limits(&self, api: &ApiName) -> Limits {
        self.catalog
            .map(|catalog| catalog.limits(api))
            .unwrap_or_default()
    }

    /// Whether a job waits for an API that nobody has offered for long. Judged by how long the job waits: that nobody
    /// offers its API now is all that the catalogs tell.
    pub(crate) fn api_is_gone(&self, entry: &Entry, now: Date) -> bool {
        let waits = entry.status() == Status::Pending && now.since(entry.request_date) > API_GONE;
        waits
            && self
                .catalog
                .is_some_and(|catalog| !catalog.is_empty() && catalog.get(&entry.api).is_none())
    }

    /// The jobs whose facts and entry do not fit together at first sight. A look without the lock may find too many,
    /// never too few that stay so.
    pub(crate) fn suspects(
        &self,
        folder: &SharedFolder,
        queue: &Queue,
        duty: Duty,
        now: Date,
    ) -> Result<Vec<JobId>, FolderError> {
        let ids = |dir: &Dir| -> Result<HashSet<JobId>, FolderError> {
            Ok(dir
                .names()?
                .iter()
                .filter_map(|name| job_of(name))
                .collect())
        };
        let dirs = &folder.dirs;
        let (requests, receipts) = (ids(&dirs.request)?, ids(&dirs.receipt)?);
        let (responses, cancels) = (ids(&dirs.response)?, ids(&dirs.cancel)?);
        let mut suspects = Vec::new();
        for entry in queue.iter() {
            let uuid = &entry.uuid;
            let ended = receipts.contains(uuid) || responses.contains(uuid);
            let sound = match entry.status() {
                Status::Pending => {
                    requests.contains(uuid)
                        && !ended
                        && !cancels.contains(uuid)
                        && !self.api_is_gone(entry, now)
                }
                Status::Processing => {
                    requests.contains(uuid)
                        && !ended
                        && !(duty == Duty::Rescue && self.owner(folder, entry) == Owner::Dead)
                }
                _ => receipts.contains(uuid),
            };
            if !sound {
                suspects.push(*uuid);
            }
        }
        let has_no_entry = |uuid: &&JobId| queue.get(**uuid).is_none();
        let unknown: HashSet<_> = [&requests, &receipts, &responses, &cancels]
            .into_iter()
            .flatten()
            .filter(has_no_entry)
            .collect();
        suspects.extend(unknown);
        suspects.sort_unstable();
        Ok(suspects)
    }
}

pub(crate) fn lease_of(folder: &SharedFolder, uuid: JobId) -> Option<Lease> {
    folder.record(&folder.dirs.lease, &format!("{uuid}.json"), LEASE_LIMIT)
}
