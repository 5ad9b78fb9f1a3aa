//! What a script says of its progress while it runs.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use claimant::blocking;
use job_core::date::Date;
use job_core::files::Progress;
use job_core::ids::JobId;

use crate::service::Worker;
use crate::trouble::with_reasons;

/// Only so much of new progress is read at one look, in bytes.
const PROGRESS_BYTES: u64 = 64 << 10;

/// The script's progress file, as far as it was read.
#[derive(Debug, Clone)]
pub struct ProgressTail {
    file: PathBuf,
    /// Bytes that need no second look.
    read: u64,
    uuid: JobId,
    attempt: u32,
}

impl ProgressTail {
    /// Follows this file, for this run of the job, from its beginning.
    pub(crate) fn new(file: PathBuf, uuid: JobId, attempt: u32) -> Self {
        ProgressTail {
            file,
            read: 0,
            uuid,
            attempt,
        }
    }

    /// The latest complete line since the last look, where there is one that says something.
    pub fn latest(&mut self, now: Date) -> Option<Progress> {
        let mut file = open_plain(&self.file)?;
        let size = file.metadata().ok()?.len();
        // Whoever writes more than is read at one look is heard from the end.
        self.read = self.read.max(size.saturating_sub(PROGRESS_BYTES));
        file.seek(SeekFrom::Start(self.read)).ok()?;
        let mut bytes = Vec::new();
        file.take(PROGRESS_BYTES).read_to_end(&mut bytes).ok()?;
        let complete = bytes.iter().rposition(|byte| *byte == b'\n')? + 1;
        self.read += complete as u64;
        let text = String::from_utf8_lossy(&bytes[..complete]);
        text.lines()
            .rev()
            .find_map(|line| Progress::parse(line, self.attempt, now))
    }

    /// Shows what is new of it in the shared folder.
    pub(crate) async fn publish(&mut self, worker: &Arc<Worker>) {
        let (mut tail, shared) = (self.clone(), worker.clone());
        let published = blocking(move || {
            let latest = tail.latest(shared.claimant.clock.now());
            let shown = latest.map_or(Ok(()), |progress| {
                shared.claimant.folder.show_progress(tail.uuid, &progress)
            });
            (tail.read, shown)
        });
        match published.await {
            Ok((read, shown)) => {
                self.read = read;
                if let Err(error) = shown {
                    tracing::warn!(job.id = %self.uuid, error = with_reasons(&error), "progress cannot be shown");
                }
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "reading progress panicked")
            }
        }
    }
}

/// Opens a file of the script's. It may be anything by now, and a pipe would be waited for.
fn open_plain(path: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    file.metadata().ok()?.is_file().then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn progress_is_read_line_by_line_as_it_comes() {
        let scratch = tempfile::tempdir().unwrap();
        let now = "2026-11-20T12:00:00+09:00".parse().unwrap();
        let uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap();
        let mut tail = ProgressTail::new(scratch.path().join("progress"), uuid, 1);
        assert_eq!(tail.latest(now), None);
        let mut file = File::create(&tail.file).unwrap();
        write!(
            file,
            "{{\"percent\":1}}\n{{\"percent\":2}}\nnonsense\n{{\"perc"
        )
        .unwrap();
        assert_eq!(tail.latest(now).unwrap().percent, Some(2.0));
        assert_eq!(tail.latest(now), None);
        writeln!(file, "ent\":3}}").unwrap();
        assert_eq!(tail.latest(now).unwrap().percent, Some(3.0));
        file.write_all(&vec![b'x'; 200_000]).unwrap();
        write!(file, "\n{{\"percent\":4}}\n").unwrap();
        assert_eq!(tail.latest(now).unwrap().percent, Some(4.0));
    }
}
