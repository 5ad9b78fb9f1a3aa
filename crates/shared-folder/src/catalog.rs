//! The APIs: each worker publishes its own, and everybody reads them all as one.

use std::time::SystemTime;

use job_core::catalog::{Catalog, CatalogFile};

use crate::error::FolderError;
use crate::folder::SharedFolder;

/// The largest catalog that is read, in bytes.
const SIZE_LIMIT: u64 = 64 << 20;

/// Tells one state of the catalogs from another, cheaply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogStamp(Vec<(String, u64, Option<SystemTime>)>);

impl SharedFolder {
    /// Publishes the APIs of the worker called `name` (not of one start: a worker that restarts replaces its catalog).
    ///
    /// # Errors
    /// Where the file cannot be replaced.
    pub fn publish_catalog(&self, name: &str, catalog: &CatalogFile) -> Result<(), FolderError> {
        let text = serde_json::to_vec(catalog).expect("a catalog always serializes");
        self.dirs.catalog.replace(&format!("{name}.json"), &text)
    }

    /// Whether the worker called `name` has a catalog here; somebody may have cleared it away.
    ///
    /// # Errors
    /// Where the folder cannot be looked at.
    pub fn has_catalog(&self, name: &str) -> Result<bool, FolderError> {
        self.dirs.catalog.has(&format!("{name}.json"))
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
