//! Hints that something changed, so that nobody has to wait for the next tick.
//!
//! Events may be lost or come too often; they never carry anything but "look again". Folders are watched, never files.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::error::FolderError;
use crate::folder::SharedFolder;
use crate::index::INDEX;
use crate::snapshot::Stamp;

/// How changes are noticed between two ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchMode {
    /// By the kernel's events: on a local disk, within milliseconds.
    Events,
    /// By looking twice a second: on network mounts, where other hosts' changes raise no events.
    Poll,
    /// Not at all.
    Off,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The index.
    Queue,
    /// A job's end was asked for.
    Cancel,
    /// A catalog.
    Catalog,
}

/// Hints come while this lives.
#[derive(Debug)]
pub struct Watch {
    _events: Option<RecommendedWatcher>,
    poll: Option<(Sender<()>, JoinHandle<()>)>,
}

impl SharedFolder {
    /// Calls `hint`, from a thread of its own, whenever something may have changed.
    ///
    /// # Errors
    /// Where the kernel watches no more folders.
    pub fn watch(
        self: &Arc<Self>,
        mode: WatchMode,
        hint: impl Fn(Change) + Send + 'static,
    ) -> Result<Watch, FolderError> {
        match mode {
            WatchMode::Off => Ok(Watch {
                _events: None,
                poll: None,
            }),
            WatchMode::Events => self.watch_events(hint),
            WatchMode::Poll => Ok(self.watch_by_polling(hint)),
        }
    }

    fn watch_events(&self, hint: impl Fn(Change) + Send + 'static) -> Result<Watch, FolderError> {
        let folders = [
            (self.dirs.request.path().to_owned(), Change::Queue),
            (self.dirs.cancel.path().to_owned(), Change::Cancel),
            (self.dirs.catalog.path().to_owned(), Change::Catalog),
        ];
        let paths: Vec<_> = folders.iter().map(|(path, _)| path.clone()).collect();
        let handle = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            for (folder, change) in &folders {
                if event.need_rescan()
                    || (tells_of_a_change(&event.kind)
                        && event
                            .paths
                            .iter()
                            .any(|path| concerns(path, folder, *change)))
                {
                    hint(*change);
                }
            }
        };
        let trouble = |error: notify::Error| FolderError::Unsuitable {
            path: self.root.clone(),
            reason: format!("it cannot be watched ({error}); set worker.watch to \"poll\""),
        };
        let mut watcher = notify::recommended_watcher(handle).map_err(trouble)?;
        for path in paths {
            watcher
                .watch(&path, RecursiveMode::NonRecursive)
                .map_err(trouble)?;
        }
        Ok(Watch {
            _events: Some(watcher),
            poll: None,
        })
    }

    fn watch_by_polling(self: &Arc<Self>, hint: impl Fn(Change) + Send + 'static) -> Watch {
        let (stop, stopped) = channel();
        let folder = self.clone();
        let look = move || {
            let state = || {
                (
                    folder.index_stamp(),
                    sorted(folder.dirs.cancel.names().unwrap_or_default()),
                    folder.catalog_stamp().unwrap_or_default(),
                )
            };
            let mut before = state();
            while stopped.recv_timeout(Duration::from_millis(500)) == Err(RecvTimeoutError::Timeout)
            {
                let after = state();
                let changes = [
                    (before.0 != after.0, Change::Queue),
                    (before.1 != after.1, Change::Cancel),
                    (before.2 != after.2, Change::Catalog),
                ];
                changes
                    .into_iter()
                    .filter(|(changed, _)| *changed)
                    .for_each(|(_, change)| hint(change));
                before = after;
            }
        };
        let thread = std::thread::Builder::new().name("watch".into()).spawn(look);
        let thread = thread.expect("a thread can be started while the process starts");
        Watch {
            _events: None,
            poll: Some((stop, thread)),
        }
    }

    fn index_stamp(&self) -> Option<Stamp> {
        let file = self.dirs.request.open_file(INDEX).ok().flatten()?;
        Stamp::of(&file).ok()
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.poll.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

/// Reading a file raises events as well; only those of a change count, or a reader would wake itself for ever.
fn tells_of_a_change(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Create(CreateKind::File | CreateKind::Any)
            | EventKind::Remove(_)
            | EventKind::Access(AccessKind::Close(AccessMode::Write))
    )
}

fn concerns(path: &Path, folder: &Path, change: Change) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    path.parent() == Some(folder)
        && match change {
            Change::Queue => name == INDEX,
            Change::Cancel => true,
            Change::Catalog => !name.starts_with('.'),
        }
}
