//! Puts whole lines behind those that are in a file, also where other processes do the same.
//!
//! The file is opened anew each time, so that one that was moved away or deleted is not written to for ever. Each call
//! is one `write` in append mode, which no other process's lines get into. The file's lock (`flock`) is held for that
//! long, so that what a full disk left of a line can be taken back. Whoever does not get the lock soon writes
//! nevertheless: a process that stands still holds nobody up.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// URLs tell much: owner and group may read them.
const MODE: u32 = 0o640;
/// So often the lock is tried before it is done without.
const TRIES: u32 = 50;
/// Time between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(2);

/// Not all was written.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct NotAll {
    /// So many of the first lines were.
    pub lines: u64,
    /// Why the others were not.
    pub error: io::Error,
}

impl From<io::Error> for NotAll {
    fn from(error: io::Error) -> Self {
        NotAll { lines: 0, error }
    }
}

/// Appends lines, each with its end, to a file, which is made where it is missing; its folder is not. Where the last
/// line that is there has no end, because its writer was killed, it is ended first.
///
/// # Errors
/// Where the file cannot be opened, or has no room. A line is in it whole or not at all.
pub fn append(path: &Path, lines: &[u8]) -> Result<(), NotAll> {
    let mut options = File::options();
    let options = options.read(true).append(true).create(true);
    let mut file = options.mode(MODE).open(path)?;
    let is_locked = lock(&file);
    let end = file.metadata()?.len();
    let mut text = Vec::new();
    if !ends_a_line(&mut file, end)? {
        text.push(b'\n');
    }
    let begin = text.len();
    text.extend_from_slice(lines);
    let (written, error) = match file.write(&text) {
        Ok(written) if written == text.len() => return Ok(()),
        Ok(written) => (written, io::ErrorKind::StorageFull.into()),
        Err(error) => (0, error),
    };
    let whole = text[..written].iter().rposition(|byte| *byte == b'\n');
    let whole = whole.map_or(0, |last| last + 1);
    if is_locked && whole < written {
        // Where even that fails, the next line ends the half one.
        let _ = file.set_len(end + whole as u64);
    }
    Err(NotAll {
        lines: count(text.get(begin..whole).unwrap_or_default()),
        error,
    })
}

/// How many lines end in a text.
pub(crate) fn count(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Whether the lock was had within a tenth of a second. It is released with the file.
fn lock(file: &File) -> bool {
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return true,
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
            Err(std::fs::TryLockError::Error(_)) => return false,
        }
    }
    false
}

/// Whether what is in a file of this length ends with a line's end, or nothing is in it.
fn ends_a_line(file: &mut File, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::Start(length - 1))?;
    let mut last = [0];
    // Where another process has just taken half a line back, nothing is there to be ended.
    Ok(file.read(&mut last)? == 0 || last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_behind_those_that_are_there() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        append(&path, b"one\ntwo\n").unwrap();
        append(&path, b"three\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn half_a_line_is_ended_before_the_next_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        std::fs::write(&path, b"one\nhal").unwrap();
        append(&path, b"two\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\nhal\ntwo\n");
    }

    #[test]
    fn whoever_holds_the_lock_holds_nobody_up() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let other = File::create(&path).unwrap();
        other.lock().unwrap();
        append(&path, b"one\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\n");
    }

    #[test]
    fn a_folder_that_is_missing_stays_missing() {
        let home = tempfile::tempdir().unwrap();
        let trouble = append(&home.path().join("no/log"), b"one\n").unwrap_err();
        assert_eq!(trouble.error.kind(), io::ErrorKind::NotFound);
        assert_eq!(trouble.lines, 0);
        assert!(!home.path().join("no").exists());
        assert!(append(home.path(), b"one\n").is_err());
    }
}
