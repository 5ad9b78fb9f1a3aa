//! What the API is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use boot::settings::{LogRoute, RateLimits, Settings};
use job_core::access_log::file::Instance;
use job_core::api_routes::NamedRoute;
use job_core::catalog::Label;
use job_core::lease::Beat;
use shared_folder::Options;

use crate::webhooks::Webhooks;

/// The API's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The shared folder.
    pub shared_dir: PathBuf,
    /// The folder of the access log.
    pub log_dir: PathBuf,
    /// This process's name in the names of its access log's files.
    pub instance: Option<Instance>,
    /// URLs that the access log names besides those that are answered.
    pub named: Vec<NamedRoute>,
    /// How the shared folder is used.
    pub options: Options,
    /// How workers show that they live.
    pub beat: Beat,
    /// How receivers are told that jobs have ended.
    pub webhooks: Webhooks,
    /// How long requests that are under way may take to end at a shutdown.
    pub grace: Duration,
    /// How many clients may be connected at once.
    pub connections: usize,
    /// How often each client may ask.
    pub rate: RateLimits,
    /// How long a client may keep the server waiting.
    pub patience: Patience,
}

/// How long a client may keep the server waiting, before its connection is closed.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until its first byte.
    pub silence: Duration,
    /// From the first byte of a request's head to its last.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Between two pieces of a body; and in each such time so many kB as it has seconds are due.
    pub body: Duration,
    /// Until it takes anything of what is to be sent.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            silence: Duration::from_secs(10),
            head: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            body: Duration::from_secs(30),
            stall: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// The API's part of a site's settings.
    ///
    /// # Errors
    /// Where the group is unknown, or a secret's file holds none.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let worker = &settings.worker;
        Ok(Config {
            listen: settings.api.listen,
            shared_dir: settings.shared_dir(),
            log_dir: settings.log_dir(),
            instance: settings
                .api
                .instance
                .as_deref()
                .map(str::parse)
                .transpose()?,
            named: settings.route.iter().map(named).collect(),
            options: settings.folder_options()?,
            beat: worker.beat(),
            webhooks: Webhooks::new(settings)?,
            grace: worker.grace,
            connections: settings.api.connections,
            rate: settings.api.rate.clone(),
            patience: Patience::default(),
        })
    }
}

fn named(route: &LogRoute) -> NamedRoute {
    NamedRoute {
        method: route.method.clone(),
        pattern: route.pattern.clone(),
        key: route.key.clone(),
        label: Label {
            ja: route.label.ja.clone(),
            en: route.label.en.clone(),
        },
    }
}
