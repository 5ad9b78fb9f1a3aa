//! Reading settings: defaults, then the file, then the environment.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

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
    /// Settings that are fine alone do not go together.
    #[error("setting {key}: {reason}")]
    Impossible {
        /// The key.
        key: &'static str,
        /// Why it cannot be.
        reason: String,
    },
}

/// Reads the settings: the file that is named, or `bcrl.toml` where it exists, overridden by `BCRL_…` variables.
///
/// # Errors
/// Where a key is unknown, a value has the wrong type or cannot be; with file and line, or the variable.
pub fn load(
    named: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, SettingsError> {
    let path = named.unwrap_or(Path::new(FILE)).to_owned();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            String::new()
        }
        Err(source) => return Err(SettingsError::Unreadable { path, source }),
    };
    let in_file = |line, reason: String| SettingsError::File {
        path: path.clone(),
        line,
        reason,
    };
    if let Err(error) = toml::from_str::<Settings>(&text) {
        let at = error.span().map_or(0, |span| span.start);
        return Err(in_file(line_at(&text, at), error.message().to_owned()));
    }
    let mut table: Table = text.parse().expect("it was just parsed");
    let mut overridden = Vec::new();
    for (variable, value) in environment {
        let Some((key, value)) = setting(&variable, &value)? else {
            continue;
        };
        put(&mut table, &key, value);
        overridden.push((key.join("."), variable));
    }
    let settings = Settings::deserialize(table).expect("file and variables were each fine alone");
    match settings.impossible() {
        None => Ok(settings),
        Some((key, reason)) => Err(
            match (
                overridden.into_iter().find(|(name, _)| name == key),
                line_of(&text, key),
            ) {
                (Some((_, variable)), _) => SettingsError::Environment { variable, reason },
                (None, Some(line)) => in_file(line, format!("{key}: {reason}")),
                (None, None) => SettingsError::Impossible { key, reason },
            },
        ),
    }
}

/// The setting that a variable stands for: `BCRL_API__LISTEN` is `api.listen`. Nothing where it stands for none.
fn setting(variable: &str, text: &str) -> Result<Option<(Vec<String>, Value)>, SettingsError> {
    let Some(name) = variable.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    let key: Vec<String> = name.to_lowercase().split("__").map(str::to_owned).collect();
    let defaults = Table::try_from(Settings::default()).expect("defaults always serialize");
    let optional = ["shared_dir"];
    if key.len() == 1
        && !optional.contains(&key[0].as_str())
        && defaults.get(&key[0]).is_none_or(Value::is_table)
    {
        // BCRL_URL, BCRL_KEY and the like are for others.
        return Ok(None);
    }
    // A variable has no type: it is what fits, first as a bare word or number, then as text.
    let candidates = [bare(text), Some(Value::String(text.to_owned()))];
    let mut trouble = String::new();
    for value in candidates.into_iter().flatten() {
        let mut alone = Table::new();
        put(&mut alone, &key, value.clone());
        match Settings::deserialize(alone) {
            Ok(_) => return Ok(Some((key, value))),
            Err(error) => trouble = error.message().to_owned(),
        }
    }
    Err(SettingsError::Environment {
        variable: variable.to_owned(),
        reason: trouble,
    })
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
    use std::time::Duration;

    fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("bcrl.toml");
        std::fs::write(&path, text).unwrap();
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
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
        assert_eq!(set.retention.jobs, Duration::from_secs(86400));
    }

    #[test]
    fn what_cannot_be_is_told_with_file_and_line() {
        for (text, told) in [
            (
                "\n[api]\nlisten = \"localhost\"\n",
                "settings FILE, line 3: invalid socket address syntax",
            ),
            (
                "[api]\n\nlistn = \"127.0.0.1:1\"\n",
                "settings FILE, line 3: unknown field `listn`",
            ),
            ("timezone = \"Asia/Tokio\"\n", "settings FILE, line 1: "),
            (
                "[worker]\nconcurrency = 0\n",
                "settings FILE, line 2: worker.concurrency: it must be at least 1",
            ),
            (
                "[worker]\nheartbeat = \"1m\"\nlease = \"2m\"\n",
                "settings FILE, line 3: worker.lease: 2m is shorter than three heartbeats of 1m",
            ),
            (
                "[worker]\nheartbeat = \"1m\"\n",
                "setting worker.lease: 1m is shorter",
            ),
            (
                "[worker]\ncron = \"* * * *\"\n",
                "settings FILE, line 2: worker.cron: five fields are due",
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
                "environment BCRL_API__LISTEN: invalid socket address",
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
            ("BCRL_TIMEZONE", "Mars/Base", "environment BCRL_TIMEZONE: "),
        ] {
            let error = load_text("", &[(variable, value)]).unwrap_err();
            assert!(error.starts_with(told), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        assert!(matches!(
            load(Some(Path::new("no/such.toml")), []),
            Err(SettingsError::Unreadable { .. })
        ));
    }
}
