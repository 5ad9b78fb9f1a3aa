//! Settings as the crates underneath take them, the same for all services of a site.

use anyhow::Context;
use chrono::TimeDelta;
use job_core::lease::Beat;
use shared_folder::Options;
use shared_folder::watch::WatchMode;

use crate::settings::{Poll, Settings, Watch, Worker};

impl Settings {
    /// How the shared folder is used.
    ///
    /// # Errors
    /// Where this host does not know the group.
    pub fn folder_options(&self) -> anyhow::Result<Options> {
        Ok(Options {
            group: self.folder.group_id()?,
            queue_limit: self.limits.queue,
            keep: TimeDelta::from_std(self.retention.jobs).context("retention.jobs")?,
            result_limit: self.limits.result.as_u64(),
            request_limit: self.limits.request.as_u64(),
            ..Options::default()
        })
    }
}

impl Worker {
    /// How workers show that they live, and judge each other.
    pub fn beat(&self) -> Beat {
        Beat {
            lease: self.lease,
            heartbeat: self.heartbeat,
            sweep: self.sweep,
        }
    }

    /// How many jobs a worker runs at once.
    pub fn slots(&self) -> u32 {
        self.concurrency.unwrap_or_else(|| {
            std::thread::available_parallelism()
                .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
        })
    }

    /// How a worker notices jobs between two looks.
    pub fn watch_mode(&self) -> WatchMode {
        match self.watch {
            Watch::Events(true) => WatchMode::Events,
            Watch::Events(false) => WatchMode::Off,
            Watch::Poll(Poll::Poll) => WatchMode::Poll,
        }
    }
}
