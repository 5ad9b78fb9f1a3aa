//! The index while it is locked. What may be done only under the lock is a method of the guard, or takes one.

use std::sync::Arc;
use std::time::Duration;

use job_core::date::Date;
use job_core::ids::JobId;
use job_core::lease::Lease;
use job_core::queue::Queue;

use crate::dir::Kind;
use crate::error::{Because, FolderError};
use crate::folder::SharedFolder;
use crate::index::{Damage, Document, INDEX, PREVIOUS, Parsed, SIZE_LIMIT};
use crate::lock::Held;
use crate::recover;
use crate::snapshot::{Generation, Stamp, read_all};
use crate::view::LEASE_LIMIT;

/// The locked index. Changes take effect with [`Guard::commit`]; dropped without it, they never were.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    pub(crate) folder: &'a SharedFolder,
    /// The time at which its holder acts.
    pub(crate) now: Date,
    before: Document,
    after: Option<Document>,
    /// Whether the index on the disk is worth being kept as the last good generation.
    keep_previous: bool,
    /// Whether it was changed because of facts whose folders are to be synced before it takes effect.
    pub(crate) sync_facts: bool,
    held: Held<'a>,
}

impl<'a> Guard<'a> {
    /// Takes the lock within `patience`, and loads the index. A damaged one is rebuilt from its last good generation
    /// and the facts before anybody sees it.
    pub(crate) fn take(
        folder: &'a SharedFolder,
        now: Date,
        patience: Duration,
    ) -> Result<Self, FolderError> {
        let held = folder.lock.take(&folder.dirs.request, patience)?;
        let mut guard = Guard {
            folder,
            now,
            before: Document::default(),
            after: None,
            keep_previous: true,
            sync_facts: false,
            held,
        };
        match guard.load()? {
            Loaded::Sound(document) => guard.before = document,
            Loaded::Changed(document) => {
                guard.after = Some(document);
                guard.save()?;
            }
            Loaded::Lost(document) => {
                guard.keep_previous = false;
                guard.after = Some(document);
                recover::settle_all(&mut guard)?;
                guard.save()?;
            }
        }
        Ok(guard)
    }

    /// The jobs.
    pub(crate) fn queue(&self) -> &Queue {
        &self.after.as_ref().unwrap_or(&self.before).queue
    }

    /// The jobs, to be changed.
    pub(crate) fn queue_mut(&mut self) -> &mut Queue {
        &mut self.after.get_or_insert_with(|| self.before.clone()).queue
    }

    /// Makes the changes take effect, and releases the lock. Whatever fails leaves the index as it was.
    pub(crate) fn commit(mut self) -> Result<(), FolderError> {
        self.save()
    }

    /// Makes the changes take effect, and keeps the lock.
    pub(crate) fn save(&mut self) -> Result<(), FolderError> {
        let Some(after) = self.after.take() else {
            return Ok(());
        };
        let request = &self.folder.dirs.request;
        if std::mem::take(&mut self.sync_facts) {
            self.folder.dirs.receipt.sync()?;
            self.folder.dirs.response.sync()?;
            request.sync()?;
        }
        let text = after.to_text();
        if text.len() as u64 > SIZE_LIMIT {
            let large = std::io::Error::new(
                std::io::ErrorKind::FileTooLarge,
                "an index has at most 64 MiB: somebody's own members make its entries large",
            );
            return Err(large).because("write", &request.at(INDEX));
        }
        let temporary = request.write(Kind::Record, text.as_bytes())?;
        if self.folder.sync_index {
            temporary.sync()?;
        }
        if self.keep_previous {
            request.link_over(INDEX, PREVIOUS)?;
        }
        let file = temporary.replace_and_keep(INDEX)?;
        self.keep_previous = true;
        self.before = after.with_lines();
        // The change has taken effect: what is left may not fail. Without a stamp the next reader reads once more.
        if let Ok(stamp) = Stamp::of(&file) {
            self.folder.remember(Arc::new(Generation {
                stamp,
                document: self.before.clone(),
                _file: file,
            }));
        }
        tracing::trace!(
            jobs = self.queue().len(),
            held_us = self.held.since().elapsed().as_micros(),
            "index committed"
        );
        Ok(())
    }

    /// The lease of a job, where it ever ran; one that cannot be read is put aside, so that it holds up nobody.
    pub(crate) fn lease(&self, uuid: JobId) -> Result<Option<Lease>, FolderError> {
        let (dir, name) = (&self.folder.dirs.lease, format!("{uuid}.json"));
        if !dir.has(&name)? {
            return Ok(None);
        }
        let bytes = match dir.read(&name, LEASE_LIMIT) {
            // The volume's or this host's trouble passes; the count of lost runs would not come back.
            Err(error) if !error.is_of_the_file() && !error.is_forbidden() => return Err(error),
            read => read.ok().flatten(),
        };
        let lease = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if lease.is_none() {
            self.folder
                .put_aside(dir, &name, "it is no lease", self.now)?;
        }
        Ok(lease)
    }

    fn load(&self) -> Result<Loaded, FolderError> {
        let request = &self.folder.dirs.request;
        let path = request.at(INDEX);
        let file = match request.open_file(INDEX) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(Loaded::Lost(self.previous())),
            Err(error) if is_in_the_way(&error) => {
                self.folder.put_aside(
                    request,
                    INDEX,
                    &format!("in place of the index: {error}"),
                    self.now,
                )?;
                return Ok(Loaded::Lost(self.previous()));
            }
            Err(error) => return Err(error),
        };
        let stamp = Stamp::of(&file).because("look at", &path)?;
        let cached = self.folder.cached();
        if let Some(generation) = cached
            .as_ref()
            .filter(|generation| generation.stamp == stamp)
        {
            return Ok(Loaded::Sound(generation.document.clone()));
        }
        let parsed = match read_all(&file) {
            Ok(text) => Document::parse(
                &text,
                cached.as_deref().map(|generation| &generation.document),
            ),
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                Err(Damage(error.to_string()))
            }
            Err(error) => return Err(error).because("read", &path),
        };
        match parsed {
            Ok(Parsed { document, bad }) if bad.is_empty() => {
                let generation = Generation {
                    stamp,
                    document: document.clone(),
                    _file: file,
                };
                self.folder.remember(Arc::new(generation));
                Ok(Loaded::Sound(document))
            }
            Ok(Parsed { document, bad }) => {
                for (text, reason) in bad {
                    self.folder
                        .put_text_aside("entry.json", text.as_bytes(), &reason, self.now)?;
                }
                Ok(Loaded::Changed(document))
            }
            Err(damage) => {
                // A copy: readers still find whatever they can make of it, until the mended one replaces it.
                let text = read_all(&file).unwrap_or_default();
                self.folder
                    .put_text_aside(INDEX, &text, &damage.to_string(), self.now)?;
                Ok(Loaded::Lost(self.previous()))
            }
        }
    }

    /// The last good generation, or an empty one: the facts fill it up.
    fn previous(&self) -> Document {
        let text = self.folder.dirs.request.read(PREVIOUS, SIZE_LIMIT);
        let parsed = text
            .ok()
            .flatten()
            .and_then(|text| Document::parse(&text, None).ok());
        parsed.map(|parsed| parsed.document).unwrap_or_default()
    }
}

enum Loaded {
    /// It stands in the file like this.
    Sound(Document),
    /// Entries were left out of it.
    Changed(Document),
    /// There is none: this is what the last good generation had.
    Lost(Document),
}

/// Whether something that is no readable plain file stands where the index is due; other trouble may pass by itself.
fn is_in_the_way(error: &FolderError) -> bool {
    use std::io::ErrorKind;
    let FolderError::Io { source, .. } = error else {
        return false;
    };
    let link = source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    link || matches!(
        source.kind(),
        ErrorKind::PermissionDenied | ErrorKind::InvalidInput
    )
}
