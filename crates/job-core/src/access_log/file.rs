//! The names of a day's files in the log folder.

use std::fmt;
use std::str::FromStr;

use crate::day::Day;

/// Most characters of an instance's name.
const LONGEST_INSTANCE: usize = 40;

/// The name of one of several API processes of a site, in the names of its files: 1 to 40 of `A`-`Z`, `a`-`z`, `0`-`9`,
/// `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance(String);

/// A text that is no instance's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("instance's name: 1 to 40 letters, digits, '-' and '_' are due")]
pub struct NoInstance;

impl FromStr for Instance {
    type Err = NoInstance;

    fn from_str(text: &str) -> Result<Self, NoInstance> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_name = (1..=LONGEST_INSTANCE).contains(&text.len()) && text.bytes().all(fits);
        is_name.then(|| Instance(text.into())).ok_or(NoInstance)
    }
}

/// A day's lines of one process, `ApiLog.2023-10-01.tsv` or `ApiLog.2023-10-01.a.tsv`; in order by day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogFile {
    /// The day of its lines.
    pub day: Day,
    /// The process that writes it; nothing where all of them do.
    pub instance: Option<Instance>,
}

/// A name that is none of a log's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name such as ApiLog.2023-10-01.tsv is due")]
pub struct NoLogFile;

impl FromStr for LogFile {
    type Err = NoLogFile;

    fn from_str(name: &str) -> Result<Self, NoLogFile> {
        let inner = name
            .strip_prefix("ApiLog.")
            .and_then(|rest| rest.strip_suffix(".tsv"))
            .ok_or(NoLogFile)?;
        let (day, instance) = match inner.split_once('.') {
            Some((day, instance)) => (day, Some(instance.parse().map_err(|_| NoLogFile)?)),
            None => (inner, None),
        };
        let day = day.parse().map_err(|_| NoLogFile)?;
        Ok(LogFile { day, instance })
    }
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instance {
            Some(Instance(name)) => write!(f, "ApiLog.{}.{name}.tsv", self.day),
            None => write!(f, "ApiLog.{}.tsv", self.day),
        }
    }
}

/// The name of the file with a day's names of APIs.
pub fn routes_file(day: Day) -> String {
    format!("ApiRoutes.{day}.json")
}

/// The day of a file with names of APIs; nothing where it is another file.
pub fn day_of_routes_file(name: &str) -> Option<Day> {
    let day = name.strip_prefix("ApiRoutes.")?.strip_suffix(".json")?;
    day.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["ApiLog.2026-11-21.tsv", "ApiLog.2026-11-21.api-1.tsv"] {
            assert_eq!(name.parse::<LogFile>().unwrap().to_string(), name);
        }
        let day = "2026-11-21".parse().unwrap();
        assert_eq!(routes_file(day), "ApiRoutes.2026-11-21.json");
        assert_eq!(day_of_routes_file(&routes_file(day)), Some(day));
    }

    #[test]
    fn other_files_of_the_folder_are_left_alone() {
        for name in [
            "",
            "ApiLog.tsv",
            "ApiLog..tsv",
            "ApiLog.2026-11-31.tsv",
            "ApiLog.2026-11-21..tsv",
            "ApiLog.2026-11-21.a.b.tsv",
            "ApiLog.2026-11-21.tsv.gz",
            "ApiLog.2026-11-21.é.tsv",
            ".ApiLog.2026-11-21.tsv",
            "apilog.2026-11-21.tsv",
        ] {
            assert_eq!(name.parse::<LogFile>(), Err(NoLogFile), "{name}");
            assert_eq!(day_of_routes_file(name), None);
        }
        assert_eq!("a/b".parse::<Instance>(), Err(NoInstance));
        assert_eq!("a".repeat(41).parse::<Instance>(), Err(NoInstance));
    }
}
