//! What a worker is told at its start.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use boot::Unmet;
use boot::settings::{self, Settings};
use claimant::host_name;
use job_core::lease::Beat;
use rustix::process::geteuid;
use shared_folder::Options;
use shared_folder::watch::WatchMode;

use crate::exec::containment::{Containment, Ids, ScriptUser};

/// Users of which no host has any: no range of systemd, of a distribution or of subordinate ids holds them
/// (`systemd.io/UIDS-GIDS`).
const SCRIPT_USERS: ScriptUser = ScriptUser::OneOf {
    first: 60706,
    count: 478,
};

/// A worker's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The worker's name, the same after each start. Its catalog has it too, with a number where another living worker
    /// of this name came first.
    pub name: String,
    /// The shared folder; absolute.
    pub shared_dir: PathBuf,
    /// How the shared folder is used.
    pub options: Options,
    /// The folder that holds one folder for each API; absolute.
    pub apps_dir: PathBuf,
    /// Where running jobs have their temporary files; absolute.
    pub scratch_dir: PathBuf,
    /// The Python that runs scripts without a `.venv` of their own.
    pub python: PathBuf,
    /// When it looks for jobs in any case.
    pub cron: String,
    /// When it removes what is older than the retention.
    pub retention_cron: String,
    /// How it notices jobs between two looks.
    pub watch: WatchMode,
    /// How many jobs it runs at once.
    pub concurrency: u32,
    /// How it shows that it lives, and judges others.
    pub beat: Beat,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Largest result, in bytes.
    pub result_limit: u64,
    /// Largest log, in bytes.
    pub log_limit: u64,
    /// What a run may hold in its folder, in bytes.
    pub scratch_limit: u64,
    /// How many processes a run may have.
    pub processes: u32,
    /// Where scripts may write besides their own folders; absolute.
    pub writable: Vec<PathBuf>,
    /// What is to hold scripts apart from the host.
    pub containment: Containment,
}

impl Config {
    /// The worker's part of a site's settings.
    ///
    /// # Errors
    /// Where the group or the scripts' user is unknown, scripts cannot be given that user, or a folder is relative and
    /// there is no current one.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let worker = &settings.worker;
        let options = settings.folder_options()?;
        Ok(Config {
            name: worker.name.clone().unwrap_or_else(host_name),
            shared_dir: absolute(&settings.shared_dir())?,
            apps_dir: absolute(&settings.apps_dir)?,
            scratch_dir: absolute(&settings.scratch_dir())?,
            python: worker.python.clone(),
            cron: worker.cron.clone(),
            retention_cron: settings.retention.cron.clone(),
            watch: worker.watch_mode(),
            concurrency: worker.slots(),
            beat: worker.beat(),
            grace: worker.grace,
            result_limit: options.result_limit,
            log_limit: settings.limits.log.as_u64(),
            scratch_limit: settings.limits.scratch.as_u64(),
            processes: worker.processes,
            writable: worker
                .writable
                .iter()
                .map(|path| absolute(path))
                .collect::<anyhow::Result<_>>()?,
            containment: containment(worker)?,
            options,
        })
    }
}

fn containment(worker: &settings::Worker) -> anyhow::Result<Containment> {
    let me = geteuid();
    let off = worker.containment == settings::Containment::Off;
    // Not with the other settings: a host without workers need not know the user.
    let unknown = |error: anyhow::Error| Unmet(format!("worker.user: {error}"));
    let user = match worker.user_ids().map_err(unknown)? {
        Some(set) if set.user == me.as_raw() => None,
        Some(set) if !me.is_root() => bail!(Unmet(format!(
            "worker.user is {:?}, but only root can run scripts as another user, and this is user {}",
            set.name,
            me.as_raw()
        ))),
        Some(set) => Some(ScriptUser::This(Ids {
            name: set.name,
            uid: set.user,
            gid: set.group,
            groups: set.groups,
        })),
        None => (me.is_root() && !off).then_some(SCRIPT_USERS),
    };
    Ok(Containment {
        user,
        pid_namespace: !off,
        landlock: !off,
        required: worker.containment == settings::Containment::Required,
    })
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{}", path.display()))
}
