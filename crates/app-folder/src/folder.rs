//! The files of `apps/`: which folders there are, what they hold, and whether that changed.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::app::Problem;

/// An app's own Python, where it was prepared.
pub(crate) const VENV_PYTHON: &str = ".venv/bin/python";

/// Larger files count by size and time instead of content: a model of gigabytes is not read again and again.
const HASHED_WHOLE: u64 = 16 << 20;

/// Tells one state of all apps from another, without reading any file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp(BTreeMap<PathBuf, FolderStamp>);

/// The files of one app, each with its size and the time of its last change, be it of content, rights or name.
type FolderStamp = BTreeMap<PathBuf, (u64, (i64, i64))>;

impl Stamp {
    /// The present state.
    pub fn of(apps_dir: &Path) -> Self {
        // What cannot be listed now shows as a change once it can.
        let entries = std::fs::read_dir(apps_dir).into_iter().flatten().flatten();
        let folders = entries.map(|entry| entry.path());
        let folders = folders.filter(|path| !is_hidden(path) && path.is_dir());
        Stamp(
            folders
                .map(|folder| (folder.clone(), stamp(&folder)))
                .collect(),
        )
    }

    /// Whether one app's folder is the same in both states.
    pub fn has_same(&self, other: &Stamp, folder: &Path) -> bool {
        self.0.get(folder) == other.0.get(folder)
    }
}

fn stamp(folder: &Path) -> FolderStamp {
    let mut files = FolderStamp::new();
    let mut note = |path: PathBuf, metadata: &Metadata| {
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        files.insert(path, (metadata.len(), changed));
    };
    let _ = walk(folder, &mut |path, metadata| note(path, &metadata));
    // Hidden from the rest, but it decides which Python runs the app. Itself, not what it links to.
    let python = folder.join(VENV_PYTHON);
    if let Ok(metadata) = std::fs::symlink_metadata(&python) {
        note(python, &metadata);
    }
    files
}

/// The folders of `apps_dir` that hold one of these files, in the order of their names.
pub(crate) fn candidates(
    apps_dir: &Path,
    files: &[&str],
    problems: &mut Vec<Problem>,
) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(apps_dir) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("the folder of the apps cannot be listed: {error}");
            problems.push(Problem {
                file: apps_dir.to_owned(),
                line: None,
                message,
            });
            return Vec::new();
        }
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders: Vec<_> = paths
        .filter(|path| !is_hidden(path) && files.iter().any(|file| path.join(file).is_file()))
        .collect();
    folders.sort();
    folders
}

/// SHA-256 over names and contents of an app's files, as hexadecimal digits.
pub(crate) fn digest(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    walk(folder, &mut |path, metadata| {
        files.push((path, metadata.len(), metadata.modified().ok()))
    })?;
    files.sort();
    let mut digest = Sha256::new();
    for (path, size, modified) in files {
        let name = path
            .strip_prefix(folder)
            .unwrap_or(&path)
            .as_os_str()
            .as_encoded_bytes();
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(name);
        digest.update(size.to_le_bytes());
        if size > HASHED_WHOLE {
            let age =
                modified.and_then(|modified| modified.duration_since(SystemTime::UNIX_EPOCH).ok());
            digest.update(age.unwrap_or_default().as_nanos().to_le_bytes());
        } else {
            let mut content = Vec::new();
            File::open(&path)?
                .take(HASHED_WHOLE)
                .read_to_end(&mut content)?;
            digest.update(content);
        }
    }
    Ok(digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Calls `visit` with every plain file, hidden ones (such as `.venv`) and `__pycache__` left out. Links to files count
/// as files, links to folders are not followed.
fn walk(folder: &Path, visit: &mut impl FnMut(PathBuf, std::fs::Metadata)) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let (path, kind) = {
            let entry = entry?;
            (entry.path(), entry.file_type()?)
        };
        if is_hidden(&path) {
            continue;
        }
        if kind.is_dir() {
            walk(&path, visit)?;
        } else if let Ok(metadata) = std::fs::metadata(&path).and_then(|m| {
            if m.is_file() {
                Ok(m)
            } else {
                Err(io::ErrorKind::Other.into())
            }
        }) {
            visit(path, metadata);
        }
    }
    Ok(())
}

fn is_hidden(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or(".");
    name.starts_with('.') || name == "__pycache__"
}
