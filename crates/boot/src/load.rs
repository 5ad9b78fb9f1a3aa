//! Reading settings: defaults, then the file, then the environment.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use crate::check::{self, Misfit};
use crate::settings::Settings;

/// The file that is read where none is named.
pub const FILE: &str = "bcrl.toml";
/// What every variable's name begins with.
const PREFIX: &str = "BCRL_";

/// Settings that cannot be used. The process ends with [`crate::run::EX_CONFIG`].
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("settings {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that cannot be.
    #[error("settings {}, line {line}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A variable of the environment says something that cannot be.
    #[error("environment {variable}: {reason}")]
    Environment {
        /// The variable.
        variable: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting cannot be that neither file nor environment set: it was typed, or it is the default.
    #[error("setting {key}: {reason}")]
    Impossible {
        /// The key.
        key: &'static str,
        /// Why it cannot be.
        reason: String,
    },
}

impl SettingsError {
    /// For settings of which nobody knows where they were set.
    pub(crate) fn impossible(misfit: Misfit) -> Self {
        let (key, reason) = misfit.into_iter().next().expect("a misfit has a setting");
        SettingsError::Impossible { key, reason }
    }
}

/// Reads the settings: the file that is named, or `bcrl.toml` where it exists, overridden by `BCRL_…` variables.
///
/// # Errors
/// Where a key is unknown, a value has the wrong type or cannot be; with file and line, or the variable.
pub fn load(
    named: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Settings, SettingsError> {
    let path = named.unwrap_or(Path::new(FILE)).to_owned();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            String::new()
        }
        Err(source) => return Err(SettingsError::Unreadable { path, source }),
    };
    let wrong = |error: toml::de::Error| SettingsError::File {
        path: path.clone(),
        line: line_at(&text, error.span().map_or(0, |span| span.start)),
        reason: error.message().to_owned(),
    };
    let mut table: Table = text.parse().map_err(wrong)?;
    // From the text and not from the table, which knows no lines.
    toml::from_str::<Settings>(&text).map_err(wrong)?;
    let mut overridden = Vec::new();
    for (variable, value) in environment {
        let Some((variable, key)) = setting(&variable) else {
            continue;
        };
        put(&mut table, &key, value_of(variable, &key, &value)?);
        overridden.push((key.join("."), variable.to_owned()));
    }
    let settings = Settings::deserialize(table).expect("file and variables were each fine alone");
    match check::misfit(&settings) {
        None => Ok(settings),
        Some(misfit) => Err(blame(misfit, &overridden, &path, &text)),
    }
}

/// Which of the settings of a misfit is told: one that was set, in the environment before the file.
fn blame(
    misfit: Misfit,
    overridden: &[(String, String)],
    path: &Path,
    text: &str,
) -> SettingsError {
    for (key, reason) in &misfit {
        if let Some((_, variable)) = overridden.iter().find(|(name, _)| name == key) {
            let (variable, reason) = (variable.clone(), reason.clone());
            return SettingsError::Environment { variable, reason };
        }
    }
    for (key, reason) in &misfit {
        if let Some(line) = line_of(text, key) {
            return SettingsError::File {
                path: path.to_owned(),
                line,
                reason: format!("{key}: {reason}"),
            };
        }
    }
    SettingsError::impossible(misfit)
}

/// The setting that a variable stands for: `BCRL_API__LISTEN` is `api.listen`. Nothing where it stands for none.
fn setting(variable: &OsStr) -> Option<(&str, Vec<String>)> {
    let variable = variable.to_str()?;
    let name = variable.strip_prefix(PREFIX)?;
    let key: Vec<String> = name.to_lowercase().split("__").map(str::to_owned).collect();
    let defaults = Table::try_from(Settings::default()).expect("defaults always serialize");
    let optional = ["shared_dir", "log_dir", "database_url"];
    // BCRL_URL, BCRL_KEY and the like are for others.
    let is_ours = key.len() > 1
        || optional.contains(&key[0].as_str())
        || defaults.get(&key[0]).is_some_and(|value| !value.is_table());
    is_ours.then_some((variable, key))
}

/// What a variable says. It has no type: it is what fits, first as a bare word or number, then as text.
fn value_of(variable: &str, key: &[String], text: &OsStr) -> Result<Value, SettingsError> {
    let wrong = |reason: &str| SettingsError::Environment {
        variable: variable.to_owned(),
        reason: reason.to_owned(),
    };
    let text = text.to_str().ok_or_else(|| wrong("it is not UTF-8"))?;
    let mut trouble = None;
    for value in bare(text)
        .into_iter()
        .chain([Value::String(text.to_owned())])
    {
        let mut alone = Table::new();
        put(&mut alone, key, value.clone());
        match Settings::deserialize(alone) {
            Ok(_) => return Ok(value),
            // What it looks like is what was meant.
            Err(error) => trouble = trouble.or(Some(wrong(error.message()))),
        }
    }
    Err(trouble.expect("text was tried"))
}

fn bare(text: &str) -> Option<Value> {
    let boolean = text.parse().ok().map(Value::Boolean);
    boolean.or_else(|| text.parse().ok().map(Value::Integer))
}

fn put(table: &mut Table, key: &[String], value: Value) {
    let [head, tail @ ..] = key else { return };
    if tail.is_empty() {
        table.insert(head.clone(), value);
        return;
    }
    let section = table
        .entry(head.clone())
        .or_insert_with(|| Value::Table(Table::new()));
    if !section.is_table() {
        *section = Value::Table(Table::new());
    }
    if let Value::Table(section) = section {
        put(section, tail, value);
    }
}

/// The line, from 1, of a byte offset.
fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// The line, from 1, on which a key such as `worker.lease` is set.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        let (name, value) = table.get_key_value(part)?;
        if parts.peek().is_none() {
            return Some(line_at(text, name.span().start));
        }
        table = value.get_ref().as_table()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Group, Poll, Watch};
    use std::os::unix::ffi::OsStrExt;
    use std::time::Duration;

    fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("bcrl.toml");
        std::fs::write(&path, text).unwrap();
        let environment = environment
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        load(Some(&path), environment)
            .map_err(|error| error.to_string().replace(&*path.to_string_lossy(), "FILE"))
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        assert_eq!(load_text("", &[]).unwrap(), Settings::default());
        assert_eq!(load(None, []).unwrap(), Settings::default());
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let text = "timezone = \"Europe/Berlin\"\n[api]\nlisten = \"127.0.0.1:1\"\n[worker]\nwatch = false\n";
        let set = load_text(
            text,
            &[
                ("BCRL_API__LISTEN", "[::1]:9000"),
                ("BCRL_WORKER__WATCH", "poll"),
                ("BCRL_WORKER__LEASE", "300ms"),
                ("BCRL_WORKER__HEARTBEAT", "100ms"),
                ("BCRL_WORKER__CONCURRENCY", "4"),
                ("BCRL_WORKER__NAME", "1234"),
                ("BCRL_FOLDER__GROUP", "1000"),
                ("BCRL_SHARED_DIR", "/shared/bcrlapi"),
                ("BCRL_LOG_DIR", "/var/log/bcrl"),
                ("BCRL_API__INSTANCE", "1"),
                ("BCRL_RETENTION__JOBS", "1d"),
                ("BCRL_URL", "http://elsewhere"),
                ("HOME", "/"),
            ],
        )
        .unwrap();
        assert_eq!(set.timezone, chrono_tz::Europe::Berlin);
        assert_eq!(set.api.listen.to_string(), "[::1]:9000");
        assert_eq!(set.worker.watch, Watch::Poll(Poll::Poll));
        assert_eq!(
            (set.worker.lease, set.worker.concurrency),
            (Duration::from_millis(300), Some(4))
        );
        assert_eq!(set.worker.name.as_deref(), Some("1234"));
        assert_eq!(set.folder.group, Some(Group::Id(1000)));
        assert_eq!(set.shared_dir(), Path::new("/shared/bcrlapi"));
        assert_eq!(set.log_dir(), Path::new("/var/log/bcrl"));
        assert_eq!(set.api.instance.as_deref(), Some("1"));
        assert_eq!(set.retention.jobs, Duration::from_secs(86400));
    }

    #[test]
    fn what_cannot_be_is_told_with_file_and_line() {
        for (text, told) in [
            (
                "\n[api]\nlisten = \"localhost\"\n",
                "settings FILE, line 3: \"localhost\" is no IP address",
            ),
            (
                "[api]\n\nlistn = \"127.0.0.1:1\"\n",
                "settings FILE, line 3: unknown field `listn`",
            ),
            (
                "\ntimezone = \"Asia/Tokio\"\n",
                "settings FILE, line 2: \"Asia/Tokio\" is no time zone: one such as Asia/Tokyo is due",
            ),
            (
                "[worker]\nconcurrency = 0\n",
                "settings FILE, line 2: worker.concurrency: 0 is out of range",
            ),
            (
                "[worker]\nheartbeat = \"1m\"\nlease = \"2m\"\n",
                "settings FILE, line 3: worker.lease: 2m is shorter than three heartbeats of 1m",
            ),
            (
                "[worker]\nheartbeat = \"1m\"\n",
                "settings FILE, line 2: worker.heartbeat: three of 1m are longer than the lease of 1m",
            ),
            (
                "[retention]\njobs = \"0s\"\n",
                "settings FILE, line 2: retention.jobs: 0s is out of range",
            ),
            (
                "retention = { jobs = \"1d\",\ncron = \"daily\" }\n",
                "settings FILE, line 2: retention.cron: five fields are due",
            ),
            (
                "shared_dir = \"\"\n",
                "settings FILE, line 1: shared_dir: it is empty",
            ),
            (
                "[limits]\n\nqueue = 18446744073709551615\n",
                "settings FILE, line 3: u64 value was too large",
            ),
            (
                "[worker]\ncron = \"* * * *\"\n",
                "settings FILE, line 2: worker.cron: five fields are due",
            ),
            (
                "[[route]]\nmethod = \"GET\"\npattern = \"/a\"\nkey = \"a\"\nlabel.ja = \"あ\"\n",
                "settings FILE, line 5: missing field `en`",
            ),
            (
                "\n[[route]]\nmethod = \"GET\"\npattern = \"a\"\nkey = \"a\"\nlabel = { ja = \"あ\", en = \"a\" }\n",
                "settings FILE, line 2: route: \"a\": a path such as",
            ),
            (
                "[worker]\nname = \"a/b\"\n",
                "settings FILE, line 2: worker.name",
            ),
            ("x = [\n", "settings FILE, line "),
        ] {
            let error = load_text(text, &[]).unwrap_err();
            assert!(error.starts_with(told), "{text:?}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_in_the_environment_is_told_with_its_variable() {
        for (variable, value, told) in [
            (
                "BCRL_API__LISTEN",
                "localhost",
                "environment BCRL_API__LISTEN: \"localhost\" is no IP address with a port",
            ),
            (
                "BCRL_API__LISTN",
                "127.0.0.1:1",
                "environment BCRL_API__LISTN: unknown field",
            ),
            (
                "BCRL_WORKER__LEASE",
                "1s",
                "environment BCRL_WORKER__LEASE: 1s is shorter than three heartbeats",
            ),
            (
                "BCRL_TIMEZONE",
                "Mars/Base",
                "environment BCRL_TIMEZONE: \"Mars/Base\" is no time zone: one such as Asia/Tokyo is due",
            ),
            (
                "BCRL_SHARED_DIR",
                "",
                "environment BCRL_SHARED_DIR: it is empty",
            ),
            (
                "BCRL_DATA_DIR",
                "",
                "environment BCRL_DATA_DIR: it is empty",
            ),
            (
                "BCRL_WORKER__PYTHON",
                "",
                "environment BCRL_WORKER__PYTHON: it is empty",
            ),
            (
                "BCRL_LIMITS__QUEUE",
                "-1",
                "environment BCRL_LIMITS__QUEUE: -1 is no whole number",
            ),
            (
                "BCRL_LIMITS__QUEUE",
                "",
                "environment BCRL_LIMITS__QUEUE: \"\" is no whole number",
            ),
            (
                "BCRL_LIMITS__RESULT",
                "1000000000000000000",
                "environment BCRL_LIMITS__RESULT: ",
            ),
            (
                "BCRL_RETENTION__JOBS",
                "0s",
                "environment BCRL_RETENTION__JOBS: 0s",
            ),
            (
                "BCRL_LOG__LEVEL",
                "inof",
                "environment BCRL_LOG__LEVEL: \"inof\"",
            ),
        ] {
            let error = load_text("", &[(variable, value)]).unwrap_err();
            assert!(error.starts_with(told), "{variable}={value}: {error}");
        }
    }

    #[test]
    fn of_two_that_do_not_go_together_the_one_that_was_set_last_is_told() {
        let file = "[worker]\nlease = \"10s\"\nheartbeat = \"1s\"\n";
        for (variable, told) in [
            ("BCRL_WORKER__HEARTBEAT", "three of 4s are longer"),
            ("BCRL_WORKER__LEASE", "4s is shorter than three"),
        ] {
            let file = if variable.ends_with("LEASE") {
                file.replace("\"1s\"", "\"2s\"")
            } else {
                file.to_owned()
            };
            let error = load_text(&file, &[(variable, "4s")]).unwrap_err();
            assert!(
                error.starts_with(&format!("environment {variable}: {told}")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_variable_that_is_not_utf_8_is_refused_where_it_is_ours() {
        let value = OsStr::from_bytes(b"/srv/\xff").to_owned();
        let set = |name: &str| load(None, [(OsString::from(name), value.clone())]);
        let error = set("BCRL_SHARED_DIR").unwrap_err().to_string();
        assert_eq!(error, "environment BCRL_SHARED_DIR: it is not UTF-8");
        assert!(set("BCRL_JOB").is_ok() && set("HOME").is_ok());
        let nameless = (value.clone(), OsString::from("1"));
        assert!(load(None, [nameless]).is_ok());
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        assert!(matches!(
            load(Some(Path::new("no/such.toml")), []),
            Err(SettingsError::Unreadable { .. })
        ));
    }
}
