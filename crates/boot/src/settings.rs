//! Everything that can be set. All services of a site read the same settings; each takes what is its own.
//!
//! The comment on a field is its line in the reference of the README, which is made from this file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where everything is kept that has no place of its own set.
    pub data_dir: PathBuf,
    /// The shared folder, between API server and APP server. Default: `{data_dir}/shared/bcrlapi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_dir: Option<PathBuf>,
    /// The folder that holds one folder for each API.
    pub apps_dir: PathBuf,
    /// The zone of all dates and daily runs, by its IANA name; the same for all services.
    #[schemars(with = "String")]
    pub timezone: Tz,
    /// The HTTP API.
    pub api: Api,
    /// The worker on the APP server.
    pub worker: Worker,
    /// The shared folder.
    pub folder: Folder,
    /// How long things are kept.
    pub retention: Retention,
    /// How large things may be.
    pub limits: Limits,
    /// The process's own log, on standard output.
    pub log: Log,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Address and port to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Whether anybody who reaches the API may use it. Without it, only addresses of this machine are listened on.
    pub allow_anonymous: bool,
}

/// The worker on the APP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// The worker's name, the same after each start and different on each host. Default: the host's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When the worker looks for jobs in any case: minute, hour, day, month, weekday.
    pub cron: String,
    /// How it notices jobs between two looks: `true` by the kernel's events, `"poll"` on network mounts, `false` not at all.
    pub watch: Watch,
    /// How many jobs it runs at once. Default: the number of cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// A worker that was silent for this long is presumed dead, and its jobs are taken over.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub lease: Duration,
    /// Time between two signs of life; at most a third of the lease.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub heartbeat: Duration,
    /// Time between two looks for dead workers' jobs.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub sweep: Duration,
    /// At a shutdown, and after a time-out, a script has this long to end after SIGTERM.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub grace: Duration,
    /// The Python that runs scripts without a `.venv` of their own.
    pub python: PathBuf,
    /// Where running jobs have their temporary files, on this host's own disk. Default: `{data_dir}/scratch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch_dir: Option<PathBuf>,
}

/// The shared folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Folder {
    /// A group, by name or number, that all services share: folders get mode 2770 and files 0660 for it. Default: each process's own group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
}

/// A group by name or number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Group {
    /// Its number.
    Id(u32),
    /// Its name.
    Name(String),
}

impl Folder {
    /// The number of the group that is set.
    ///
    /// # Errors
    /// Where this host knows no group of that name.
    pub fn group_id(&self) -> anyhow::Result<Option<u32>> {
        match &self.group {
            None => Ok(None),
            Some(Group::Id(id)) => Ok(Some(*id)),
            Some(Group::Name(name)) => match nix::unistd::Group::from_name(name) {
                Ok(Some(group)) => Ok(Some(group.gid.as_raw())),
                Ok(None) => anyhow::bail!("this host knows no group {name:?}"),
                Err(error) => {
                    anyhow::bail!("the group {name:?} cannot be looked up: {error}")
                }
            },
        }
    }
}

/// How long things are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Finished jobs: request, result, log.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub jobs: Duration,
    /// When the worker removes what is older: minute, hour, day, month, weekday.
    pub cron: String,
}

/// How large things may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// One request's body.
    #[schemars(with = "String")]
    pub request: ByteSize,
    /// One result, as JSON.
    #[schemars(with = "String")]
    pub result: ByteSize,
    /// One job's log; of a longer one the middle is left out.
    #[schemars(with = "String")]
    pub log: ByteSize,
    /// Jobs in the index, finished ones that are still kept included.
    pub queue: usize,
}

/// The process's own log, on standard output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What is written: `error`, `warn`, `info`, `debug`, `trace`, also by module such as `info,worker=debug`.
    pub level: String,
    /// How: `lines` for people, `json` for programs.
    pub format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    Lines,
    /// A JSON object a line.
    Json,
}

/// How changes of the folder are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Watch {
    /// By events, or not at all.
    Events(bool),
    /// By looking twice a second.
    Poll(Poll),
}

/// The word `poll`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Poll {
    /// The word.
    Poll,
}

impl Settings {
    /// The shared folder.
    pub fn shared_dir(&self) -> PathBuf {
        self.shared_dir
            .clone()
            .unwrap_or_else(|| self.data_dir.join("shared/bcrlapi"))
    }

    /// Where running jobs have their temporary files.
    pub fn scratch_dir(&self) -> PathBuf {
        self.worker
            .scratch_dir
            .clone()
            .unwrap_or_else(|| self.data_dir.join("scratch"))
    }

    /// The first setting that cannot be, as its key and the reason.
    pub(crate) fn impossible(&self) -> Option<(&'static str, String)> {
        let worker = &self.worker;
        let shortest = Duration::from_millis(1);
        let too_short = |key, value: Duration| {
            (value < shortest).then(|| (key, "it must be at least 1ms".to_owned()))
        };
        let lease = (worker.lease < worker.heartbeat * 3).then(|| {
            let (lease, heartbeat) = (humantime::format_duration(worker.lease), humantime::format_duration(worker.heartbeat));
            ("worker.lease", format!("{lease} is shorter than three heartbeats of {heartbeat}: a living worker would lose its jobs"))
        });
        let fields = |key, cron: &str| {
            let found = cron.split_whitespace().count();
            (found != 5).then(|| {
                (
                    key,
                    format!(
                        "five fields are due (minute hour day month weekday), {found} are there"
                    ),
                )
            })
        };
        let zero =
            |key, value: u64| (value == 0).then(|| (key, "it must be at least 1".to_owned()));
        let open = (!self.api.listen.ip().is_loopback() && !self.api.allow_anonymous).then(|| {
            let reason = format!(
                "{} is not an address of this machine alone, and everybody who reaches it could submit jobs; set \
                 api.allow_anonymous = true if that is meant",
                self.api.listen
            );
            ("api.listen", reason)
        });
        lease
            .or(open)
            .or_else(|| too_short("worker.heartbeat", worker.heartbeat))
            .or_else(|| too_short("worker.sweep", worker.sweep))
            .or_else(|| zero("worker.concurrency", worker.concurrency.unwrap_or(1).into()))
            .or_else(|| fields("worker.cron", &worker.cron))
            .or_else(|| fields("retention.cron", &self.retention.cron))
            .or_else(|| {
                let trouble = self.folder.group_id().err()?;
                Some(("folder.group", trouble.to_string()))
            })
            .or_else(|| zero("limits.request", self.limits.request.as_u64()))
            .or_else(|| zero("limits.result", self.limits.result.as_u64()))
            .or_else(|| zero("limits.queue", self.limits.queue as u64))
            .or_else(|| {
                let name = worker.name.as_deref()?;
                let trouble = job_core::ids::WorkerId::new(name, Default::default()).err()?;
                Some(("worker.name", trouble.to_string()))
            })
            .or_else(|| {
                let long = self.retention.jobs > Duration::from_secs(100 * 366 * 86400);
                long.then(|| {
                    (
                        "retention.jobs",
                        "it must be at most a hundred years".to_owned(),
                    )
                })
            })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            data_dir: "data".into(),
            shared_dir: None,
            apps_dir: "apps".into(),
            timezone: Tz::Asia__Tokyo,
            api: Api::default(),
            worker: Worker::default(),
            folder: Folder::default(),
            retention: Retention::default(),
            limits: Limits::default(),
            log: Log::default(),
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Api {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allow_anonymous: false,
        }
    }
}

impl Default for Worker {
    fn default() -> Self {
        Worker {
            name: None,
            cron: "* * * * *".into(),
            watch: Watch::Events(true),
            concurrency: None,
            lease: Duration::from_secs(60),
            heartbeat: Duration::from_secs(10),
            sweep: Duration::from_secs(15),
            grace: Duration::from_secs(10),
            python: "python3".into(),
            scratch_dir: None,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            jobs: Duration::from_secs(7 * 86400),
            cron: "0 3 * * *".into(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            request: ByteSize::mib(8),
            result: ByteSize::mib(64),
            log: ByteSize::mib(1),
            queue: 50_000,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log {
            level: "info".into(),
            format: LogFormat::Lines,
        }
    }
}
