//! The APIs: each worker publishes its own, and everybody reads them all as one.

use std::fs::File;
use std::time::SystemTime;

use job_core::catalog::{Catalog, CatalogFile};

use crate::dir::Kind;
use crate::error::{Because, FolderError};
use crate::folder::SharedFolder;
use crate::lock::try_lock;

/// The largest catalog that is read, in bytes.
const SIZE_LIMIT: u64 = 64 << 20;

/// Tells one state of the catalogs from another, cheaply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogStamp(Vec<(String, u64, Option<SystemTime>)>);

/// The name under which one worker publishes its APIs, its own while it lives.
#[derive(Debug)]
pub struct CatalogName {
    name: String,
    /// Whether it is the worker's own name, which is the same after each start.
    plain: bool,
    /// Locked for as long as the process lives.
    _lock: File,
}

impl CatalogName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

fn text_of(catalog: &CatalogFile) -> Vec<u8> {
    serde_json::to_vec(catalog).expect("a catalog always serializes")
}

impl SharedFolder {
    /// Takes a name for a catalog: the worker's, or, where another living worker of that name has it, the same with a
    /// number. Two workers of one name may offer different APIs.
    ///
    /// # Errors
    /// Where the lock's file cannot be made.
    pub fn take_catalog_name(&self, worker: &str) -> Result<CatalogName, FolderError> {
        let mut number = 1;
        loop {
            let plain = number == 1;
            let name = if plain {
                worker.to_owned()
            } else {
                format!("{worker}-{number}")
            };
            let file = format!(".{name}.lock");
            let lock = self.dirs.catalog.touch(&file, Kind::Record)?;
            if try_lock(&lock).because("lock", &self.dirs.catalog.at(&file))? {
                return Ok(CatalogName {
                    name,
                    plain,
                    _lock: lock,
                });
            }
            number += 1;
        }
    }

    /// The worker leaves: a name with a number goes with its catalog. Under its own name the worker's APIs stay known,
    /// and jobs for them wait until it is back.
    ///
    /// # Errors
    /// Where the catalog cannot be removed.
    pub fn leave_catalog(&self, name: &CatalogName) -> Result<(), FolderError> {
        if !name.plain {
            self.dirs.catalog.remove(&format!("{}.json", name.name))?;
        }
        Ok(())
    }

    /// Publishes the APIs of the worker called `name` (not of one start: a worker that restarts replaces its catalog).
    ///
    /// # Errors
    /// Where the file cannot be replaced.
    pub fn publish_catalog(&self, name: &str, catalog: &CatalogFile) -> Result<(), FolderError> {
        let text = text_of(catalog);
        self.with_reserve(|| self.dirs.catalog.replace(&format!("{name}.json"), &text))
    }

    /// Whether this is, to the byte, what the worker called `name` has published here; somebody may have cleared it
    /// away, and disks damage things.
    ///
    /// # Errors
    /// Where the folder cannot be looked at.
    pub fn is_catalog_published(
        &self,
        name: &str,
        catalog: &CatalogFile,
    ) -> Result<bool, FolderError> {
        match self.dirs.catalog.read(&format!("{name}.json"), SIZE_LIMIT) {
            Ok(text) => Ok(text.is_some_and(|text| text == text_of(catalog))),
            Err(error) if error.is_of_the_file() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What tells whether a catalog came, went or was replaced.
    ///
    /// # Errors
    /// Where the folder cannot be listed.
    pub fn catalog_stamp(&self) -> Result<CatalogStamp, FolderError> {
        let mut files = Vec::new();
        for name in self
            .dirs
            .catalog
            .names()?
            .into_iter()
            .filter(|name| name.ends_with(".json") && !name.starts_with('.'))
        {
            let metadata = self
                .dirs
                .catalog
                .open_file(&name)
                .ok()
                .flatten()
                .and_then(|file| file.metadata().ok());
            if let Some(metadata) = metadata {
                files.push((name, metadata.len(), metadata.modified().ok()));
            }
        }
        // Newest first; at the same moment by name, so that all readers agree.
        files.sort_by(|a, b| (b.2, &a.0).cmp(&(a.2, &b.0)));
        Ok(CatalogStamp(files))
    }

    /// All catalogs as one, and the trouble with those that cannot be read (which are left out).
    ///
    /// # Errors
    /// Where the folder cannot be listed.
    pub fn catalog(&self) -> Result<(Catalog, Vec<String>), FolderError> {
        let mut problems = Vec::new();
        let mut files = Vec::new();
        for (name, _, _) in self.catalog_stamp()?.0 {
            let read = self
                .dirs
                .catalog
                .read(&name, SIZE_LIMIT)
                .map_err(|error| error.to_string());
            let parsed = read.and_then(|bytes| {
                serde_json::from_slice::<CatalogFile>(&bytes.unwrap_or_default())
                    .map_err(|error| error.to_string())
            });
            match parsed {
                Ok(file) => files.push(file),
                Err(error) => problems.push(format!("catalog/{name}: {error}")),
            }
        }
        Ok((Catalog::merge(files), problems))
    }
}
