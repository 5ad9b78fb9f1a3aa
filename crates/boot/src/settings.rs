//! Everything that can be set. All services of a site read the same settings; each takes what is its own.
//!
//! The comment on a field is its line in the reference of the README, which is made from this file.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::allowed::Allowed;
use crate::database::DatabaseUrl;
use crate::rate::{Rate, Unit};
use crate::secret::Secret;
use crate::written;

/// Settings of a site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where everything is kept that has no place of its own set.
    pub data_dir: PathBuf,
    /// The shared folder, between API server and APP server. Default: `{data_dir}/shared/bcrlapi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_dir: Option<PathBuf>,
    /// The folder of the access log, with a file for each day. Default: `{data_dir}/Log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_dir: Option<PathBuf>,
    /// The folder that holds one folder for each API.
    pub apps_dir: PathBuf,
    /// The zone of all dates and daily runs, by its IANA name; the same for all services.
    #[serde(deserialize_with = "written::zone")]
    #[schemars(with = "String")]
    pub timezone: Tz,
    /// Where the counted access log is kept: `postgres://user:password@host/database`, or `sqlite:` and the path of a file. Default: `sqlite:{data_dir}/bcrl.sqlite`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub database_url: Option<DatabaseUrl>,
    /// The HTTP API.
    pub api: Api,
    /// The worker on the APP server.
    pub worker: Worker,
    /// The shared folder.
    pub folder: Folder,
    /// Telling receivers that jobs have ended.
    pub webhook: Webhook,
    /// Counting the access log.
    pub log_batch: LogBatch,
    /// How long things are kept.
    pub retention: Retention,
    /// How large things may be.
    pub limits: Limits,
    /// The process's own log, on standard output.
    pub log: Log,
    /// URLs that the access log names although nothing else does, each in a `[[route]]` of its own: `method`, `pattern` (such as `/api/products/{id}`), `key` (the name that stays) and `label.ja`, `label.en` (the names for people). URLs of the server and of apps have their names already. Only the file can hold them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<LogRoute>,
}

/// A URL that is named in the access log's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogRoute {
    /// The HTTP method.
    pub method: String,
    /// The path, with parameters in braces.
    pub pattern: String,
    /// The name that stays, as an API's: small letters, digits, `-` and `_`.
    pub key: String,
    /// The name for people.
    pub label: LogLabel,
}

/// A name for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLabel {
    /// In Japanese, 1 to 100 characters.
    pub ja: String,
    /// In English, 1 to 100 characters.
    pub en: String,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Address and port to listen on; port 0 takes any free one.
    #[serde(deserialize_with = "written::address")]
    pub listen: SocketAddr,
    /// Whether anybody who reaches the API may use it. Without it, only addresses of this machine are listened on.
    pub allow_anonymous: bool,
    /// Where clients reach the API, such as `https://jobs.example.com`: webhooks tell links in full by it. Default: they tell paths alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// This process's name among several API servers of a site, in the names of its access log's files: 1 to 40 letters, digits, `-` and `_`. Default: they have no such name in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// How many clients may be connected at once, from 1 to 1,000,000; more wait until one of them leaves.
    #[serde(deserialize_with = "written::count")]
    pub connections: usize,
    /// How often each client may ask; a client is an IPv4 address or the first half of an IPv6 one.
    pub rate: RateLimits,
}

/// How often each client may ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimits {
    /// How many jobs each client may submit, such as `50/s`, `100/min`, `1000/h`; `off` as many as it likes. A client is an IPv4 address, or the first 64 bits of an IPv6 one.
    #[serde(deserialize_with = "written::rate")]
    #[schemars(with = "String")]
    pub submits: Rate,
    /// How many of them it may submit at once after a pause, from 1 to 1,000,000.
    #[serde(deserialize_with = "written::count")]
    pub submits_burst: u32,
    /// How many other requests each client may make; those for `/healthz`, `/readyz` and `/metrics` do not count.
    #[serde(deserialize_with = "written::rate")]
    #[schemars(with = "String")]
    pub requests: Rate,
    /// How many of them it may make at once after a pause, from 1 to 1,000,000.
    #[serde(deserialize_with = "written::count")]
    pub requests_burst: u32,
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
    /// How many jobs it runs at once, at most 1024. Default: the number of cores.
    #[serde(
        deserialize_with = "written::optional_count",
        skip_serializing_if = "Option::is_none"
    )]
    pub concurrency: Option<u32>,
    /// A worker that was silent for this long, at most a day, is presumed dead, and its jobs are taken over.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub lease: Duration,
    /// Time between two signs of life; at least 10 ms, at most a third of the lease.
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
    /// What holds scripts apart from the host and from each other (a user of their own where the worker is root, a PID namespace of their own in which the shared folder is out of sight, Landlock): `best` as far as the host allows, `required` no run without any of it, `off` nothing but a user that is set. `bcrl-worker check` tells what is in force.
    pub containment: Containment,
    /// The user that scripts run as, by name or as `uid:gid`; only root can give them another. Default: where the worker is root, each running job has a user id that no other has (60706 to 61183); elsewhere the worker's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Files and folders that scripts may write to besides their own, as far as their user may; in the environment with `:` between them.
    #[serde(deserialize_with = "paths")]
    pub writable: Vec<PathBuf>,
    /// How many processes one run may have at once, from 1 to 30,000.
    #[serde(deserialize_with = "written::count")]
    pub processes: u32,
}

/// What holds scripts apart from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Containment {
    /// What the host allows.
    Best,
    /// All of it, or no run.
    Required,
    /// Nothing.
    Off,
}

/// Some paths.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of paths is due")]
enum Paths {
    /// As a file has them.
    Listed(Vec<PathBuf>),
    /// As a variable has them, like `PATH`.
    Joined(String),
}

fn paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    Ok(match Paths::deserialize(deserializer)? {
        Paths::Listed(paths) => paths,
        Paths::Joined(text) => std::env::split_paths(&text)
            .filter(|path| !path.as_os_str().is_empty())
            .collect(),
    })
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
#[serde(untagged, expecting = "a group's name or its number is due")]
pub enum Group {
    /// Its number.
    Id(u32),
    /// Its name.
    Name(String),
}

/// Telling receivers that jobs have ended (Standard Webhooks 1.0.0).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// Secrets that sign what is sent; `bcrl webhooks secret` prints one. Each of them signs, so that two are set while receivers change from one to the other. In the environment with `,` between them. Without any, no webhook is taken.
    #[serde(deserialize_with = "written::secrets")]
    #[schemars(with = "Vec<String>")]
    pub secrets: Vec<Secret>,
    /// Files that hold one more secret each, and that nobody but the API should be able to read; in the environment with `:` between them.
    #[serde(deserialize_with = "paths")]
    pub secret_files: Vec<PathBuf>,
    /// Networks (`10.1.0.0/16`), addresses and host names that webhooks may reach although they are internal; in the environment with `,` between them.
    #[serde(deserialize_with = "written::allowed")]
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<Allowed>,
    /// How long to wait before each new try, once a receiver has not answered with 2xx; up to a tenth is added. After the last one the event is given up. In the environment with `,` between them.
    #[serde(with = "written::times")]
    #[schemars(with = "Vec<String>")]
    pub pauses: Vec<Duration>,
}

/// Counting the access log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogBatch {
    /// When the days before are counted: minute, hour, day, month, weekday.
    pub cron: String,
}

/// How long things are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Finished jobs: request, result, log. At least a minute.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub jobs: Duration,
    /// Files of the access log, once their day is in the database, where it stays. At least a day.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub logs: Duration,
    /// When the worker removes jobs that are older: minute, hour, day, month, weekday.
    pub cron: String,
}

/// How large things may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// One request's body, from 1 KiB to 1 GiB.
    #[serde(deserialize_with = "written::size")]
    #[schemars(with = "String")]
    pub request: ByteSize,
    /// One result, as JSON, from 1 KiB to 4 GiB.
    #[serde(deserialize_with = "written::size")]
    #[schemars(with = "String")]
    pub result: ByteSize,
    /// One job's log, from 1 KiB to 1 GiB; of a longer one the middle is left out.
    #[serde(deserialize_with = "written::size")]
    #[schemars(with = "String")]
    pub log: ByteSize,
    /// What one run's script may hold in its temporary files, each of which counts as 4 KiB at the least, and the largest file that it may write, from 1 MiB to 1 PiB.
    #[serde(deserialize_with = "written::size")]
    #[schemars(with = "String")]
    pub scratch: ByteSize,
    /// Jobs in the index, finished ones that are still kept included; at most 75,000.
    #[serde(deserialize_with = "written::count")]
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
#[serde(untagged, expecting = "true, false or \"poll\" is due")]
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

    /// The folder of the access log.
    pub fn log_dir(&self) -> PathBuf {
        self.log_dir
            .clone()
            .unwrap_or_else(|| self.data_dir.join("Log"))
    }

    /// Where running jobs have their temporary files.
    pub fn scratch_dir(&self) -> PathBuf {
        self.worker
            .scratch_dir
            .clone()
            .unwrap_or_else(|| self.data_dir.join("scratch"))
    }

    /// Where the counted access log is kept.
    pub fn database_url(&self) -> DatabaseUrl {
        let file = || DatabaseUrl::of_file(&self.data_dir.join("bcrl.sqlite"));
        self.database_url.clone().unwrap_or_else(file)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            data_dir: "data".into(),
            shared_dir: None,
            log_dir: None,
            apps_dir: "apps".into(),
            timezone: Tz::Asia__Tokyo,
            database_url: None,
            api: Api::default(),
            worker: Worker::default(),
            folder: Folder::default(),
            webhook: Webhook::default(),
            log_batch: LogBatch::default(),
            retention: Retention::default(),
            limits: Limits::default(),
            log: Log::default(),
            route: Vec::new(),
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Api {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allow_anonymous: false,
            public_url: None,
            instance: None,
            connections: 10_000,
            rate: RateLimits::default(),
        }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        let per_second = |count| {
            let count = NonZeroU32::new(count).expect("it is more than none");
            Rate::Per(count, Unit::Second)
        };
        RateLimits {
            submits: per_second(50),
            submits_burst: 200,
            requests: per_second(200),
            requests_burst: 1000,
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
            containment: Containment::Best,
            user: None,
            writable: Vec::new(),
            processes: 256,
        }
    }
}

impl Default for Webhook {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let pauses = [
            5,
            5 * MINUTE,
            30 * MINUTE,
            2 * HOUR,
            5 * HOUR,
            10 * HOUR,
            14 * HOUR,
            20 * HOUR,
            24 * HOUR,
        ];
        Webhook {
            secrets: Vec::new(),
            secret_files: Vec::new(),
            allow: Vec::new(),
            pauses: pauses.map(Duration::from_secs).into(),
        }
    }
}

impl Default for LogBatch {
    fn default() -> Self {
        LogBatch {
            cron: "30 0 * * *".into(),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            jobs: Duration::from_secs(7 * 86400),
            logs: Duration::from_secs(30 * 86400),
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
            scratch: ByteSize::gib(10),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn places_to_write_are_a_list_in_a_file_and_joined_in_a_variable() {
        for text in ["[\"/a\", \"/b c\"]", "\"/a::/b c:\""] {
            let read = read(&format!("worker.writable = {text}")).unwrap();
            assert_eq!(read.worker.writable, [PathBuf::from("/a"), "/b c".into()]);
        }
        assert_eq!(
            read("worker.writable = 1").unwrap_err(),
            "a list of paths is due"
        );
    }
}
