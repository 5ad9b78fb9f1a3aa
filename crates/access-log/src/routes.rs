//! The day's names of APIs, `ApiRoutes.[yyyy-MM-dd].json`: replaced whole, by one process at a time.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use job_core::access_log::file::routes_file;
use job_core::api_routes::ApiRoutes;
use job_core::day::Day;

/// Held while the file is replaced.
const LOCK: &str = ".ApiRoutes.lock";
/// What the file is before it has its name.
const TEMPORARY: &str = ".ApiRoutes.tmp";

/// Why the names of a day cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RoutesError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is something else in it.
    #[error("{}: these are no names of APIs: {source}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// The names of a day; nothing where there is no file.
///
/// # Errors
/// Where the file cannot be read, or is broken.
pub fn read(dir: &Path, day: Day) -> Result<Option<ApiRoutes>, RoutesError> {
    let path = dir.join(routes_file(day));
    match std::fs::read(&path) {
        Ok(text) => match serde_json::from_slice(&text) {
            Ok(routes) => Ok(Some(routes)),
            Err(source) => Err(RoutesError::Broken { path, source }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RoutesError::Unreadable { path, source }),
    }
}

/// Writes the names of a day. What the file has beyond these stays, behind them: lines that were written before keep
/// their names. A file that is broken is replaced.
///
/// # Errors
/// Where another process does the same at this moment, or the folder does not take it: then the file is as it was.
pub fn write(dir: &Path, day: Day, routes: &ApiRoutes) -> io::Result<()> {
    let mut options = File::options();
    let lock = options.write(true).create(true).truncate(false);
    let lock = lock.open(dir.join(LOCK))?;
    lock.try_lock()?;
    let before = read(dir, day).unwrap_or_else(|error| {
        tracing::warn!(error = %error, "the names of this day's APIs are written anew");
        None
    });
    let merged = match &before {
        Some(before) => routes.after(before),
        None => routes.clone(),
    };
    if before.as_ref() == Some(&merged) {
        return Ok(());
    }
    let temporary = dir.join(TEMPORARY);
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(&merged)?)?;
    file.sync_all()?;
    std::fs::rename(&temporary, dir.join(routes_file(day)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use job_core::api_routes::NamedRoute;
    use job_core::catalog::Label;

    fn routes(patterns: &[&str]) -> ApiRoutes {
        let named = |pattern: &&str| NamedRoute {
            method: "GET".into(),
            pattern: (*pattern).into(),
            key: "key".into(),
            label: Label {
                ja: "名".into(),
                en: "name".into(),
            },
        };
        ApiRoutes::new(patterns.iter().map(named).collect())
    }

    fn day() -> Day {
        "2026-11-21".parse().unwrap()
    }

    #[test]
    fn names_of_a_day_are_kept_beside_new_ones() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path();
        assert!(read(dir, day()).unwrap().is_none());
        write(dir, day(), &routes(&["/a", "/b"])).unwrap();
        write(dir, day(), &routes(&["/c", "/a"])).unwrap();
        assert_eq!(read(dir, day()).unwrap(), Some(routes(&["/c", "/a", "/b"])));
        write(dir, day().plus(1), &routes(&["/c"])).unwrap();
        assert_eq!(read(dir, day().plus(1)).unwrap(), Some(routes(&["/c"])));
    }

    #[test]
    fn a_broken_file_is_told_and_replaced() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path();
        for broken in ["", "{", "[]", "{\"version\":1}"] {
            std::fs::write(dir.join(routes_file(day())), broken).unwrap();
            let told = read(dir, day()).unwrap_err();
            assert!(matches!(told, RoutesError::Broken { .. }), "{told}");
            write(dir, day(), &routes(&["/a"])).unwrap();
            assert_eq!(read(dir, day()).unwrap(), Some(routes(&["/a"])));
        }
    }

    #[test]
    fn nobody_writes_while_another_one_does() {
        let home = tempfile::tempdir().unwrap();
        let lock = File::create(home.path().join(LOCK)).unwrap();
        lock.lock().unwrap();
        assert!(write(home.path(), day(), &routes(&["/a"])).is_err());
        assert!(read(home.path(), day()).unwrap().is_none());
    }
}
