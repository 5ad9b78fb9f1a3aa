//! The files of `apps/`: which folders there are, what they hold, and whether that changed.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::app::Problem;

/// Larger files count by size and time instead of content: a model of gigabytes is not read again and again.
const HASHED_WHOLE: u64 = 16 << 20;

/// Tells one state of all apps from another, without reading any file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp(Vec<(PathBuf, u64, Option<SystemTime>)>);

impl Stamp {
    /// The present state.
    pub fn of(apps_dir: &Path) -> Self {
        let mut files = Vec::new();
        // What cannot be listed now shows as a change once it can.
        let _ = walk(apps_dir, &mut |path, metadata| {
            files.push((path, metadata.len(), metadata.modified().ok()))
        });
        files.sort();
        Stamp(files)
    }
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
