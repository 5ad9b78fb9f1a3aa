//! The index as readers see it, without a lock.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use job_core::date::Date;

use crate::error::{Because, FolderError};
use crate::folder::SharedFolder;
use crate::index::{Document, INDEX, SIZE_LIMIT};

/// One state of the index, and the file that it was read from. The file stays open, so that its inode is not given to
/// another while this is remembered.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) stamp: Stamp,
    pub(crate) document: Document,
    pub(crate) _file: File,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Whether nobody touched the file for at least `age` before `now`.
    pub(crate) fn is_older_than(&self, age: TimeDelta, now: Date) -> bool {
        now.unix_millis() - self.changed.0 * 1000 > age.num_milliseconds() + 1000
    }
}

/// What stands in the place of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexFile {
    /// Nothing that can be opened.
    Missing,
    /// A file in this state.
    There(Stamp),
}

/// How long a reader that cannot make anything of the index waits for its writers.
const READER_PATIENCE: Duration = Duration::from_millis(100);

impl SharedFolder {
    /// The index as it is now, without a lock; nothing where there is no file.
    pub(crate) fn snapshot(&self) -> Result<Option<Arc<Generation>>, FolderError> {
        let trouble = match self.read_index() {
            Ok(generation) => return Ok(generation),
            Err(trouble) => trouble,
        };
        let before = self.index_file();
        // What was given up already is not waited for again until somebody changes it.
        if *self.broken() != Some(before) {
            if let Some(generation) = self.read_index_patiently() {
                return Ok(generation);
            }
            let after = self.index_file();
            *self.broken() = (after == before).then_some(after);
        }
        match self.cached() {
            Some(last) => Ok(Some(last)),
            None => Err(trouble),
        }
    }

    /// The index once it can be read: whoever edits in place is seen half-way now and then, and whoever does so under
    /// the lock is waited for.
    fn read_index_patiently(&self) -> Option<Option<Arc<Generation>>> {
        for pause in [10, 50, 200].map(Duration::from_millis) {
            std::thread::sleep(pause);
            if let Ok(generation) = self.read_index() {
                return Some(generation);
            }
        }
        let _nobody_writes = self.lock.share(&self.dirs.request, READER_PATIENCE);
        self.read_index().ok()
    }

    fn index_file(&self) -> IndexFile {
        let file = self.dirs.request.open_file(INDEX).ok().flatten();
        match file.and_then(|file| Stamp::of(&file).ok()) {
            Some(stamp) => IndexFile::There(stamp),
            None => IndexFile::Missing,
        }
    }

    fn broken(&self) -> MutexGuard<'_, Option<IndexFile>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_index(&self) -> Result<Option<Arc<Generation>>, FolderError> {
        let path = self.dirs.request.at(INDEX);
        let unreadable = |reason: String| FolderError::Unreadable {
            path: path.clone(),
            reason,
        };
        let file = match self.dirs.request.open_file(INDEX)? {
            Some(file) => file,
            // Before the first job there is none; later it is missing, and whoever has the lock makes it again.
            None if self.cached().is_some() => return Err(unreadable("it is gone".into())),
            None => return Ok(None),
        };
        let stamp = Stamp::of(&file).because("look at", &path)?;
        let cached = self.cached();
        if let Some(generation) = cached
            .as_ref()
            .filter(|generation| generation.stamp == stamp)
        {
            return Ok(Some(generation.clone()));
        }
        let text = read_all(&file).because("read", &path)?;
        let parsed = Document::parse(
            &text,
            cached.as_deref().map(|generation| &generation.document),
        )
        .map_err(|damage| unreadable(damage.to_string()))?;
        if Stamp::of(&file).because("look at", &path)? != stamp {
            return Err(unreadable("it is being changed in place".into()));
        }
        let generation = Arc::new(Generation {
            stamp,
            document: parsed.document,
            _file: file,
        });
        // Where entries were left out, the one who holds the lock must see them too.
        if parsed.bad.is_empty() {
            self.remember(generation.clone());
        }
        Ok(Some(generation))
    }

    /// Whether the index stands on the disk as it should. A reader who finds it broken has the last good copy; only
    /// whoever holds the lock can mend it.
    pub(crate) fn index_is_sound(&self) -> bool {
        let sound = |generation: Option<Arc<Generation>>| {
            let remembered = self.cached();
            generation.is_some_and(|read| remembered.is_some_and(|last| last.stamp == read.stamp))
        };
        self.read_index().is_ok_and(sound)
    }

    pub(crate) fn cached(&self) -> Option<Arc<Generation>> {
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn remember(&self, generation: Arc<Generation>) {
        *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = Some(generation);
    }
}

/// Reads a file from its start, up to the size that an index may have.
pub(crate) fn read_all(file: &File) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::with_capacity(
        usize::try_from(file.metadata()?.len().min(SIZE_LIMIT)).unwrap_or(0) + 1,
    );
    file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            "an index has at most 64 MiB",
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Options;

    #[test]
    fn a_broken_index_is_waited_for_once() {
        let home = tempfile::tempdir().unwrap();
        let folder = SharedFolder::open(home.path(), Options::default()).unwrap();
        let path = folder.dirs.request.at(INDEX);
        let jobs = |folder: &SharedFolder| folder.queue().map(|queue| queue.len());
        std::fs::write(&path, "{\"jobs\":[").unwrap();
        assert!(jobs(&folder).is_err(), "nothing is known of it");
        assert_eq!(*folder.broken(), Some(folder.index_file()));
        assert!(jobs(&folder).is_err(), "it is still so");
        let entry = r#"{"uuid":"f47ac10b-58cc-4372-a567-0e02b2c3d479","api":"soc","status":"pending","request_date":"2023-10-01T00:00:00.000+09:00"}"#;
        std::fs::write(&path, format!("{{\"jobs\":[{entry}]}}")).unwrap();
        assert_eq!(jobs(&folder).unwrap(), 1, "somebody mended it");
        std::fs::write(&path, "").unwrap();
        assert_eq!(jobs(&folder).unwrap(), 1, "the last good copy");
        assert_eq!(*folder.broken(), Some(folder.index_file()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(jobs(&folder).unwrap(), 1);
        assert_eq!(*folder.broken(), Some(IndexFile::Missing));
    }

    #[test]
    fn a_reader_keeps_writers_out_only_while_it_reads() {
        let home = tempfile::tempdir().unwrap();
        let folder = SharedFolder::open(home.path(), Options::default()).unwrap();
        let (request, none) = (&folder.dirs.request, Duration::ZERO);
        let reader = folder.lock.share(request, none).unwrap();
        assert!(folder.lock.take(request, none).is_err());
        assert!(folder.lock.share(request, none).is_ok(), "readers share");
        drop(reader);
        let writer = folder.lock.take(request, none).unwrap();
        assert!(folder.lock.share(request, none).is_err());
        drop(writer);
    }
}
