//! What settings cannot be although they can be read: out of range, or at odds with each other.
//!
//! A value that no site can mean ends the start here, where it still has a file and a line, and not hours later in
//! whatever meets it first.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;
use chrono_tz::Tz;
use job_core::access_log::file::Instance;
use job_core::ids::ApiName;
use job_core::route::Pattern;
use tokio_cron_scheduler::Job;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::settings::{Group, LogRoute, Settings};

/// Why settings cannot be: each setting that has a part in it, by its key, with the reason as it looks from there.
/// Never empty; nearly always one.
pub(crate) type Misfit = Vec<(&'static str, String)>;

/// Shortest time between two beats or sweeps: a shorter one would be nothing but writing.
const SHORTEST: Duration = Duration::from_millis(10);
/// Longest time that anybody waits for a sign of life, or for the end of a script.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// The step of a cron, and so the shortest retention that could be kept.
const MINUTE: Duration = Duration::from_secs(60);
/// Files of the access log are one for each day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A retention that is for ever; dates stay far from the end of the calendar.
const CENTURY: Duration = Duration::from_secs(100 * 31_557_600);
/// More tries than anybody means.
const MOST_PAUSES: usize = 100;
/// Longest pause between two tries: a job and its webhook are kept for a week by default.
const LONGEST_PAUSE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A smaller limit has lost its unit.
const SMALLEST: ByteSize = ByteSize::kib(1);
/// A run that may hold less could not even begin.
const SMALLEST_SCRATCH: ByteSize = ByteSize::mib(1);
/// No disk is larger.
const LARGEST_SCRATCH: ByteSize = ByteSize::pib(1);
/// Requests and half of each run's log are held in memory.
const LARGEST_IN_MEMORY: ByteSize = ByteSize::gib(1);
/// Results are held in memory once, by the supervisor that judges them.
const LARGEST_RESULT: ByteSize = ByteSize::gib(4);
/// An index has at most 64 MiB: 890 bytes for each of so many entries.
const LONGEST_QUEUE: u64 = 75_000;
/// More runs at once than any host bears.
const MOST_RUNS: u64 = 1024;
/// More processes than a run could have without the host's own running out (`pid_max` is 32,768 by default).
const MOST_PROCESSES: u64 = 30_000;
/// More connections than one process can have files open.
const MOST_CONNECTIONS: u64 = 1_000_000;
/// More requests of one client at once than anybody would let through.
const MOST_AT_ONCE: u64 = 1_000_000;
/// What the kernel takes for "leave the group as it is" (`chown(2)`).
const NO_GROUP: u32 = u32::MAX;

/// The first thing that cannot be.
pub(crate) fn misfit(settings: &Settings) -> Option<Misfit> {
    [
        paths, times, pauses, lease, sizes, counts, crons, listen, public_url, instance, name,
        group, level, routes,
    ]
    .iter()
    .find_map(|check| check(settings))
}

fn paths(settings: &Settings) -> Option<Misfit> {
    let worker = &settings.worker;
    let named = [
        ("data_dir", Some(&settings.data_dir)),
        ("shared_dir", settings.shared_dir.as_ref()),
        ("log_dir", settings.log_dir.as_ref()),
        ("apps_dir", Some(&settings.apps_dir)),
        ("worker.python", Some(&worker.python)),
        ("worker.scratch_dir", worker.scratch_dir.as_ref()),
    ];
    let secret_files = settings.webhook.secret_files.iter();
    let no_path = |path: &Path| match path.to_string_lossy() {
        text if text.is_empty() => Some("it is empty: a path is due"),
        text if text.contains('\0') => Some("no path has a NUL character in it"),
        _ => None,
    };
    let writable = worker.writable.iter();
    named
        .into_iter()
        .chain(writable.map(|path| ("worker.writable", Some(path))))
        .chain(secret_files.map(|path| ("webhook.secret_files", Some(path))))
        .find_map(|(key, path)| told(key, no_path(path?)?))
}

fn times(settings: &Settings) -> Option<Misfit> {
    let worker = &settings.worker;
    [
        ("worker.heartbeat", worker.heartbeat, SHORTEST, LONGEST),
        ("worker.lease", worker.lease, SHORTEST, LONGEST),
        ("worker.sweep", worker.sweep, SHORTEST, LONGEST),
        ("worker.grace", worker.grace, Duration::ZERO, LONGEST),
        ("retention.jobs", settings.retention.jobs, MINUTE, CENTURY),
        ("retention.logs", settings.retention.logs, DAY, CENTURY),
    ]
    .into_iter()
    .find_map(|(key, time, least, most)| {
        let shown = humantime::format_duration;
        let reason = out_of_range(shown(time), shown(least), shown(most));
        (time < least || time > most).then(|| vec![(key, reason)])
    })
}

fn pauses(settings: &Settings) -> Option<Misfit> {
    let (pauses, shown) = (&settings.webhook.pauses, humantime::format_duration);
    if pauses.len() > MOST_PAUSES {
        let reason = format!("it has {}: at most {MOST_PAUSES} are due", pauses.len());
        return told("webhook.pauses", &reason);
    }
    let odd = pauses
        .iter()
        .find(|pause| !(SHORTEST..=LONGEST_PAUSE).contains(*pause))?;
    let reason = out_of_range(shown(*odd), shown(SHORTEST), shown(LONGEST_PAUSE));
    told("webhook.pauses", &reason)
}

fn lease(settings: &Settings) -> Option<Misfit> {
    let worker = &settings.worker;
    let shown = humantime::format_duration;
    let (lease, heartbeat) = (shown(worker.lease), shown(worker.heartbeat));
    let loss = "a living worker would lose its jobs";
    (worker.lease < worker.heartbeat * 3).then(|| {
        vec![
            (
                "worker.lease",
                format!("{lease} is shorter than three heartbeats of {heartbeat}: {loss}"),
            ),
            (
                "worker.heartbeat",
                format!("three of {heartbeat} are longer than the lease of {lease}: {loss}"),
            ),
        ]
    })
}

fn sizes(settings: &Settings) -> Option<Misfit> {
    let limits = &settings.limits;
    [
        (
            "limits.request",
            limits.request,
            SMALLEST,
            LARGEST_IN_MEMORY,
        ),
        ("limits.result", limits.result, SMALLEST, LARGEST_RESULT),
        ("limits.log", limits.log, SMALLEST, LARGEST_IN_MEMORY),
        (
            "limits.scratch",
            limits.scratch,
            SMALLEST_SCRATCH,
            LARGEST_SCRATCH,
        ),
    ]
    .into_iter()
    .find_map(|(key, size, least, most)| {
        let reason = out_of_range(size, least, most);
        (size < least || size > most).then(|| vec![(key, reason)])
    })
}

fn counts(settings: &Settings) -> Option<Misfit> {
    let (worker, rate) = (&settings.worker, &settings.api.rate);
    [
        (
            "worker.concurrency",
            worker.concurrency.unwrap_or(1).into(),
            MOST_RUNS,
        ),
        ("worker.processes", worker.processes.into(), MOST_PROCESSES),
        ("limits.queue", settings.limits.queue as u64, LONGEST_QUEUE),
        (
            "api.connections",
            settings.api.connections as u64,
            MOST_CONNECTIONS,
        ),
        (
            "api.rate.submits_burst",
            rate.submits_burst.into(),
            MOST_AT_ONCE,
        ),
        (
            "api.rate.requests_burst",
            rate.requests_burst.into(),
            MOST_AT_ONCE,
        ),
    ]
    .into_iter()
    .find_map(|(key, count, most)| {
        (count < 1 || count > most).then(|| vec![(key, out_of_range(count, 1, most))])
    })
}

fn out_of_range<T: std::fmt::Display>(value: T, least: T, most: T) -> String {
    format!("{value} is out of range: from {least} to {most} is due")
}

fn crons(settings: &Settings) -> Option<Misfit> {
    [
        ("worker.cron", &settings.worker.cron),
        ("retention.cron", &settings.retention.cron),
        ("log_batch.cron", &settings.log_batch.cron),
    ]
    .into_iter()
    .find_map(|(key, cron)| {
        let fields = cron.split_whitespace().count();
        let reason = if fields != 5 {
            format!("five fields are due (minute hour day month weekday), {fields} are there")
        } else if Job::new_tz(format!("0 {cron}"), Tz::UTC, |_, _| {}).is_err() {
            // Whoever will run it says whether it can.
            format!(
                "{cron:?} is no schedule: minute (0-59), hour (0-23), day (1-31), month (1-12) and weekday (0-7) are \
                 due, such as \"30 3 * * mon\""
            )
        } else {
            return None;
        };
        told(key, &reason)
    })
}

fn listen(settings: &Settings) -> Option<Misfit> {
    let api = &settings.api;
    let reason = format!(
        "{} is not an address of this machine alone, and everybody who reaches it could submit jobs; set \
         api.allow_anonymous = true if that is meant",
        api.listen
    );
    (!api.listen.ip().is_loopback() && !api.allow_anonymous).then(|| vec![("api.listen", reason)])
}

fn public_url(settings: &Settings) -> Option<Misfit> {
    let url = settings.api.public_url.as_deref()?;
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@' | '"' | '<' | '>');
    let is_url = rest.is_some_and(|rest| !rest.starts_with(['/', ':']) && rest.chars().all(fits));
    // It may hold a password, and is not repeated.
    let reason = "it is no such URL: one such as https://jobs.example.com is due";
    (!is_url || rest == Some("")).then(|| vec![("api.public_url", reason.into())])
}

fn instance(settings: &Settings) -> Option<Misfit> {
    let name = settings.api.instance.as_deref()?;
    let trouble = name.parse::<Instance>().err()?;
    told("api.instance", &format!("{name:?} is no {trouble}"))
}

fn name(settings: &Settings) -> Option<Misfit> {
    let name = settings.worker.name.as_deref()?;
    let trouble = job_core::ids::WorkerId::new(name, Default::default()).err()?;
    told("worker.name", &format!("{name:?} is no {trouble}"))
}

fn group(settings: &Settings) -> Option<Misfit> {
    let folder = &settings.folder;
    if folder.group == Some(Group::Id(NO_GROUP)) {
        return told("folder.group", &format!("{NO_GROUP} is no group"));
    }
    told("folder.group", &folder.group_id().err()?.to_string())
}

/// A word that is no level would be taken for a module's name, and nothing else would be written.
fn level(settings: &Settings) -> Option<Misfit> {
    let level = &settings.log.level;
    if let Err(error) = EnvFilter::try_new(level) {
        return told("log.level", &format!("{level:?}: {error}"));
    }
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let word = level
        .split(',')
        .find(|part| !part.contains(['=', '[', '{', '}']) && !is_level(part))?;
    let reason = format!(
        "{word:?} is no level: error, warn, info, debug or trace is due, or one of a module such as worker=debug"
    );
    told("log.level", &reason)
}

fn routes(settings: &Settings) -> Option<Misfit> {
    let mut labels = HashMap::new();
    let mut patterns = HashSet::new();
    let trouble = settings.route.iter().find_map(|route| {
        let LogRoute {
            method,
            pattern,
            key,
            label,
        } = route;
        let is_label = |text: &str| {
            (1..=100).contains(&text.chars().count()) && !text.contains(char::is_control)
        };
        if !(1..=20).contains(&method.len())
            || !method.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            return Some(format!("{method:?} is no method: one such as GET is due"));
        }
        if let Err(error) = Pattern::parse(pattern) {
            return Some(format!("{pattern:?}: {error}"));
        }
        if let Err(error) = key.parse::<ApiName>() {
            return Some(format!("key {key:?}: {error}"));
        }
        if !is_label(&label.ja) || !is_label(&label.en) {
            return Some(format!("the labels of {key}: 1 to 100 characters are due"));
        }
        if !patterns.insert((method, pattern)) {
            return Some(format!("{method} {pattern} stands there twice"));
        }
        let other = *labels.entry(key).or_insert(label) != label;
        other.then(|| format!("{key} has two different labels"))
    })?;
    told("route", &trouble)
}

fn told(key: &'static str, reason: &str) -> Option<Misfit> {
    Some(vec![(key, reason.to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with the settings of this text.
    #[track_caller]
    fn wrong(text: &str) -> Option<Misfit> {
        misfit(&toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")))
    }

    /// Whether this value of this setting is refused, as that setting's fault.
    #[track_caller]
    fn refuses(key: &str, value: &str) -> bool {
        match wrong(&format!("{key} = {value}")) {
            None => false,
            Some(misfit) => {
                assert_eq!(misfit[0].0, key, "{value}: {misfit:?}");
                true
            }
        }
    }

    #[test]
    fn the_defaults_are_possible() {
        assert_eq!(misfit(&Settings::default()), None);
    }

    #[test]
    fn a_path_is_never_empty() {
        for key in [
            "data_dir",
            "shared_dir",
            "log_dir",
            "apps_dir",
            "worker.python",
            "worker.scratch_dir",
        ] {
            assert!(refuses(key, "\"\""), "{key}");
            assert!(refuses(key, r#""a\u0000b""#), "{key}");
            assert!(!refuses(key, "\"a b\""), "{key}");
        }
        assert!(refuses("webhook.secret_files", "[\"\"]"));
        assert!(refuses("worker.writable", "[\"a b\", \"\"]"));
        assert!(!refuses("worker.writable", "[\"a b\"]"));
    }

    #[test]
    fn times_have_a_least_and_a_most() {
        for (key, least, below, most, above) in [
            ("worker.heartbeat", "10ms", "9ms", "20s", "2days"),
            ("worker.lease", "30s", "0s", "1day", "25h"),
            ("worker.sweep", "10ms", "0s", "1day", "25h"),
            ("worker.grace", "0s", "", "1day", "25h"),
            ("retention.jobs", "1m", "59s", "100years", "101years"),
            ("retention.logs", "1day", "23h", "100years", "101years"),
        ] {
            for possible in [least, most] {
                assert!(
                    !refuses(key, &format!("\"{possible}\"")),
                    "{key} {possible}"
                );
            }
            let endless = "500000000000years";
            for impossible in [below, above, endless]
                .into_iter()
                .filter(|text| !text.is_empty())
            {
                assert!(
                    refuses(key, &format!("\"{impossible}\"")),
                    "{key} {impossible}"
                );
            }
        }
        assert_eq!(
            wrong("retention.jobs = \"0s\"").unwrap(),
            [(
                "retention.jobs",
                "0s is out of range: from 1m to 100years is due".to_owned()
            )]
        );
    }

    #[test]
    fn pauses_are_some_and_neither_too_short_nor_too_long() {
        for possible in ["[]", "\"\"", "[\"10ms\", \"7days\"]"] {
            assert!(!refuses("webhook.pauses", possible), "{possible}");
        }
        let many = format!("\"{}\"", "5s,".repeat(101));
        for impossible in ["\"5s,9ms\"", "[\"8days\"]", &many] {
            assert!(refuses("webhook.pauses", impossible), "{impossible}");
        }
    }

    #[test]
    fn clients_reach_the_api_by_http_and_nothing_follows_its_path() {
        for possible in ["https://jobs.example.com", "http://[::1]:8080/bcrl/"] {
            assert!(!refuses("api.public_url", &format!("\"{possible}\"")));
        }
        for impossible in [
            "",
            "jobs.example.com",
            "https://",
            "https:///a",
            "ftp://a",
            "http://a?b",
            "http://a#b",
            "http://a b",
            "http://a@b",
        ] {
            assert!(
                refuses("api.public_url", &format!("\"{impossible}\"")),
                "{impossible}"
            );
        }
    }

    #[test]
    fn an_instance_is_a_part_of_a_files_name() {
        for possible in ["a", "api-1", "A_9"] {
            assert!(!refuses("api.instance", &format!("\"{possible}\"")));
        }
        for impossible in ["", "a/b", "..", "a.b", "é", &"a".repeat(41)] {
            assert!(
                refuses("api.instance", &format!("\"{impossible}\"")),
                "{impossible}"
            );
        }
    }

    #[test]
    fn a_route_has_a_method_a_pattern_a_key_and_labels() {
        let route = |method: &str, pattern: &str, key: &str, ja: &str| {
            format!(
                "{{ method = \"{method}\", pattern = \"{pattern}\", key = \"{key}\", label = {{ ja = \"{ja}\", en = \"a\" }} }}"
            )
        };
        let good = route("GET", "/api/products/{id}", "product", "商品取得API");
        let other = route("GET", "/api/products", "products", "商品取得API(複数件)");
        assert!(!refuses("route", &format!("[{good}, {other}]")));
        for impossible in [
            route("get", "/a", "a", "あ"),
            route("", "/a", "a", "あ"),
            route(&"A".repeat(21), "/a", "a", "あ"),
            route("GET", "a", "a", "あ"),
            route("GET", "/{a b}", "a", "あ"),
            route("GET", "/a", "A", "あ"),
            route("GET", "/a", "a", ""),
            route("GET", "/a", "a", &"あ".repeat(101)),
            format!("{good}, {good}"),
            format!("{good}, {}", route("PUT", "/a", "product", "他")),
        ] {
            assert!(refuses("route", &format!("[{impossible}]")), "{impossible}");
        }
    }

    #[test]
    fn a_lease_lasts_three_heartbeats_and_either_may_be_to_blame() {
        assert_eq!(
            wrong("worker.lease = \"3s\"\nworker.heartbeat = \"1s\""),
            None
        );
        let misfit = wrong("worker.lease = \"2999ms\"\nworker.heartbeat = \"1s\"").unwrap();
        let keys: Vec<_> = misfit.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["worker.lease", "worker.heartbeat"]);
    }

    #[test]
    fn sizes_and_counts_have_a_least_and_a_most() {
        for (key, least, below, most, above) in [
            (
                "limits.request",
                "\"1KiB\"",
                "1023",
                "\"1GiB\"",
                "\"1025MiB\"",
            ),
            (
                "limits.result",
                "\"1KiB\"",
                "0",
                "\"4GiB\"",
                "1000000000000000000",
            ),
            ("limits.log", "\"1KiB\"", "0", "\"1GiB\"", "\"16EiB\""),
            ("limits.queue", "1", "0", "75000", "75001"),
            ("worker.concurrency", "1", "0", "1024", "1025"),
            ("api.connections", "1", "0", "1000000", "1000001"),
            ("api.rate.submits_burst", "1", "0", "1000000", "1000001"),
            ("api.rate.requests_burst", "1", "0", "1000000", "1000001"),
            ("worker.processes", "1", "0", "30000", "30001"),
            (
                "limits.scratch",
                "\"1MiB\"",
                "\"1MB\"",
                "\"1PiB\"",
                "\"2PiB\"",
            ),
        ] {
            for possible in [least, most] {
                assert!(!refuses(key, possible), "{key} {possible}");
            }
            for impossible in [below, above] {
                assert!(refuses(key, impossible), "{key} {impossible}");
            }
        }
        assert_eq!(
            wrong("limits.queue = 0").unwrap()[0].1,
            "0 is out of range: from 1 to 75000 is due"
        );
        assert_eq!(
            wrong("limits.result = \"5GiB\"").unwrap()[0].1,
            "5.0 GiB is out of range: from 1.0 KiB to 4.0 GiB is due"
        );
    }

    #[test]
    fn a_cron_has_five_fields_that_can_be() {
        for key in ["worker.cron", "retention.cron", "log_batch.cron"] {
            for possible in [
                "* * * * *",
                "*/5 8-18 * * mon-fri",
                "0 0 29 2 *",
                "30 3 1,15 jan 7",
            ] {
                assert!(!refuses(key, &format!("\"{possible}\"")), "{possible}");
            }
            for impossible in [
                "",
                "* * * *",
                "0 * * * * *",
                "@daily",
                "61 * * * *",
                "* 24 * * *",
                "* * 0 * *",
                "* * * 13 *",
                "* * * * 8",
                "*/0 * * * *",
                "9-3 * * * *",
                "a b c d e",
            ] {
                assert!(refuses(key, &format!("\"{impossible}\"")), "{impossible}");
            }
        }
    }

    #[test]
    fn nobody_listens_to_strangers_without_meaning_to() {
        for address in ["0.0.0.0:80", "[::]:80", "192.0.2.1:0"] {
            assert!(
                refuses("api.listen", &format!("\"{address}\"")),
                "{address}"
            );
            let meant = format!("api.listen = \"{address}\"\napi.allow_anonymous = true");
            assert_eq!(wrong(&meant), None);
        }
        assert!(!refuses("api.listen", "\"[::1]:0\""));
    }

    #[test]
    fn a_worker_has_a_name_that_a_file_can_have() {
        let long = "n".repeat(64);
        for name in ["", "a/b", "..", "a b", &long] {
            assert!(refuses("worker.name", &format!("\"{name}\"")), "{name}");
        }
    }

    #[test]
    fn a_group_is_one_that_the_host_knows() {
        assert!(!refuses("folder.group", "0"));
        assert!(!refuses("folder.group", "\"root\""));
        for none in ["\"\"", "\"no such group\"", "4294967295"] {
            assert!(refuses("folder.group", none), "{none}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_not_taken_for_a_module() {
        for level in [
            "info",
            "WARN",
            "off",
            "info,worker=debug",
            "info,api=trace",
            "info,worker[run{job}]=debug",
        ] {
            assert!(!refuses("log.level", &format!("\"{level}\"")), "{level}");
        }
        for level in [
            "",
            "inof",
            "info,",
            "worker",
            "worker=loud",
            "info, api=trace",
            "a=b=c",
        ] {
            assert!(refuses("log.level", &format!("\"{level}\"")), "{level}");
        }
    }
}
