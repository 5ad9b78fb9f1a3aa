//! The log folder: which days have files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use job_core::access_log::file::{day_of_routes_file, routes_file};
use job_core::day::Day;

/// The folder of the access log.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

/// A file of the access log as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNow {
    /// Its name without its folder.
    pub name: String,
    /// Its bytes.
    pub size: u64,
}

/// The files of each day that has some, by name.
pub type Days = BTreeMap<Day, Vec<FileNow>>;

impl Folder {
    /// This folder. It need not be there.
    pub fn new(path: PathBuf) -> Self {
        Folder { path }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of it.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The days that have files. A folder that is not there has none.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn days(&self) -> io::Result<Days> {
        let mut days = Days::new();
        for (file, path) in access_log::folder::files(&self.path)? {
            // It may be gone by now.
            let size = match std::fs::metadata(path) {
                Ok(found) => found.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let name = file.to_string();
            days.entry(file.day)
                .or_default()
                .push(FileNow { name, size });
        }
        Ok(days)
    }

    /// Removes a day's files, the names of its APIs last.
    ///
    /// # Errors
    /// Where one of them cannot be removed.
    pub fn remove(&self, day: Day, files: &[FileNow]) -> io::Result<()> {
        let names = files.iter().map(|file| file.name.clone());
        for name in names.chain([routes_file(day)]) {
            match std::fs::remove_file(self.file(&name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the names of APIs of days older than this one that have no lines any more.
    ///
    /// # Errors
    /// Where the folder cannot be read, or a file cannot be removed.
    pub fn remove_routes_before(&self, day: Day) -> io::Result<()> {
        let entries = match std::fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let days = self.days()?;
        for entry in entries {
            let name = entry?.file_name();
            let of = name.to_str().and_then(day_of_routes_file);
            if of.is_some_and(|of| of < day && !days.contains_key(&of)) {
                std::fs::remove_file(self.file(&name))?;
            }
        }
        Ok(())
    }
}
