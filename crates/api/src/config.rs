//! What the API is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use boot::settings::Settings;
use job_core::lease::Beat;
use shared_folder::Options;

/// The API's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The shared folder.
    pub shared_dir: PathBuf,
    /// How the shared folder is used.
    pub options: Options,
    /// How workers show that they live.
    pub beat: Beat,
    /// How long requests that are under way may take to end at a shutdown.
    pub grace: Duration,
}

impl Config {
    /// The API's part of a site's settings.
    ///
    /// # Errors
    /// Where the group is unknown.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let worker = &settings.worker;
        Ok(Config {
            listen: settings.api.listen,
            shared_dir: settings.shared_dir(),
            options: shared_folder_options(settings)?,
            beat: Beat {
                lease: worker.lease,
                heartbeat: worker.heartbeat,
                sweep: worker.sweep,
            },
            grace: worker.grace,
        })
    }
}

fn shared_folder_options(settings: &Settings) -> anyhow::Result<Options> {
    Ok(Options {
        group: settings.folder.group_id()?,
        queue_limit: settings.limits.queue,
        keep: chrono::TimeDelta::from_std(settings.retention.jobs)?,
        result_limit: settings.limits.result.as_u64(),
        request_limit: settings.limits.request.as_u64(),
        ..Options::default()
    })
}
