//! The folder of one run: what the script is given, and where it may leave things while it runs.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use app_folder::App;
use job_core::files::{Progress, Request};
use job_core::ids::JobId;
use shared_folder::claim::ClaimedJob;

use crate::exec::Order;
use crate::service::{Worker, blocking};

/// Only so much of new progress is read at one look.
const PROGRESS_BYTES: u64 = 64 << 10;
/// What the script prints, in the run's folder.
const PRINTED: &str = "stdout";

/// One run's folder, on this host's own disk. Removed with [`Attempt::remove`]; what a killed process left goes with a
/// sweep.
#[derive(Debug, Clone)]
pub struct Attempt {
    folder: PathBuf,
    /// Takes what the script prints. It stays open: the script may remove or replace whatever has a name.
    printed: Arc<File>,
    /// The folder itself, locked.
    _lock: Arc<File>,
}

/// What a run may take, besides what its API says.
#[derive(Debug, Clone)]
pub struct RunLimits {
    /// Largest result, in bytes.
    pub result: u64,
    /// Largest log, in bytes.
    pub log: u64,
    /// Between SIGTERM and SIGKILL, in milliseconds.
    pub grace_ms: u64,
}

/// Makes the folder for all runs' folders. What clients send passes through it, so it is this user's alone.
///
/// # Errors
/// Where it cannot be made.
pub fn make_scratch(folder: &Path) -> anyhow::Result<()> {
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("make the scratch folder {}", folder.display()))
}

impl Attempt {
    /// Makes the folder of a claimed job's run; returns it with the file of the supervisor's order.
    pub(crate) async fn prepare(
        worker: &std::sync::Arc<Worker>,
        job: &std::sync::Arc<ClaimedJob>,
        app: &App,
    ) -> anyhow::Result<(Self, PathBuf)> {
        let (worker, job, app) = (worker.clone(), job.clone(), app.clone());
        blocking(move || {
            let attempt = Attempt::make(&worker.config.scratch_dir, job.uuid, job.lease.attempt)?;
            let limits = RunLimits {
                result: worker.config.result_limit,
                log: worker.config.log_limit,
                grace_ms: u64::try_from(worker.config.grace.as_millis()).unwrap_or(u64::MAX),
            };
            let log = worker.folder.log_file(job.uuid)?;
            let log = std::path::absolute(&log).with_context(|| format!("{}", log.display()))?;
            let order = attempt.order(
                &app,
                &worker.python.path,
                &job.request,
                job.lease.attempt,
                &limits,
                &log,
            )?;
            Ok((attempt, order))
        })
        .await?
    }

    /// Makes the folder of a run.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn make(scratch: &Path, uuid: JobId, attempt: u32) -> anyhow::Result<Self> {
        let name = format!("{uuid}-{attempt}");
        let (folder, unlocked) = (scratch.join(&name), scratch.join(format!(".{name}")));
        for left in [&folder, &unlocked] {
            // Left by a worker that was killed in this very run.
            let _ = std::fs::remove_dir_all(left);
        }
        let make = || -> std::io::Result<Attempt> {
            std::fs::create_dir_all(unlocked.join("tmp"))?;
            let lock = File::open(&unlocked)?;
            // A disk without locks is cleared away by nobody, which is its only loss.
            let _ = lock.try_lock();
            let mut printed = File::options();
            let printed = printed.read(true).write(true).create_new(true);
            let printed = printed.open(unlocked.join(PRINTED))?;
            // It gets its name when it is locked, so that it never looks as if nobody held it.
            std::fs::rename(&unlocked, &folder)?;
            Ok(Attempt {
                folder: folder.clone(),
                printed: Arc::new(printed),
                _lock: Arc::new(lock),
            })
        };
        make().with_context(|| format!("make folder {}", folder.display()))
    }

    /// Writes what the script is given, and the order for its supervisor, whose file is returned.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn order(
        &self,
        app: &App,
        python: &Path,
        request: &Request,
        attempt: u32,
        limits: &RunLimits,
        log: &Path,
    ) -> anyhow::Result<PathBuf> {
        let write = |name: &str, text: &[u8]| -> anyhow::Result<PathBuf> {
            let path = self.folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
            Ok(path)
        };
        let copy = write("request.json", &serde_json::to_vec(request)?)?;
        let stdin = write("stdin.json", request.params.get().as_bytes())?;
        let progress = write("progress", b"")?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let tmp = text(&self.folder.join("tmp"));
        let mut environment: BTreeMap<String, String> = [
            (
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
            ("LANG", "C.UTF-8"),
            ("HOME", &tmp),
            ("TMPDIR", &tmp),
            // The app's folder is not the script's to write into, not even with compiled modules.
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONNOUSERSITE", "1"),
            ("PYTHONUTF8", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        environment.extend(app.environment.clone());
        environment.extend(
            [
                ("BCRL_JOB", request.uuid.to_string()),
                ("BCRL_API", request.api.to_string()),
                ("BCRL_ATTEMPT", attempt.to_string()),
                ("BCRL_PROGRESS", text(&progress)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let order = Order {
            program: app.python.clone().unwrap_or_else(|| python.to_owned()),
            args: vec![text(&app.main()), text(&copy)],
            working_dir: app.folder.clone(),
            environment,
            stdin,
            stdout: self.folder.join(PRINTED),
            stdout_limit: limits.result,
            log: log.to_owned(),
            log_limit: limits.log,
            timeout_ms: app.api.limits.timeout_s.saturating_mul(1000),
            grace_ms: limits.grace_ms,
            memory: app.api.limits.memory,
        };
        write("order.json", &serde_json::to_vec(&order)?)
    }

    /// The file that takes what the script prints, whatever became of its name.
    pub fn printed(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.printed.as_raw_fd()).into()
    }

    /// A file that takes what the script writes to stderr, where no job has one.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Follows what the script says of its progress.
    pub fn progress(&self, uuid: JobId, attempt: u32) -> ProgressTail {
        ProgressTail {
            file: self.folder.join("progress"),
            read: 0,
            uuid,
            attempt,
        }
    }

    /// Removes the folder with all that the script left there.
    pub async fn remove(self) {
        let folder = self.folder.clone();
        let removed = blocking(move || std::fs::remove_dir_all(&folder)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(folder = %self.folder.display(), error = %error, "the folder of a run cannot be removed");
        }
    }
}

/// Removes the folders of runs whose process was killed. Others that may be in the same place are left alone.
pub(crate) fn clear_away(scratch: &Path) {
    for entry in std::fs::read_dir(scratch).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let run = name.to_str().and_then(|name| name.rsplit_once('-'));
        let is_run = run.is_some_and(|(uuid, attempt)| {
            uuid.parse::<JobId>().is_ok() && attempt.parse::<u32>().is_ok()
        });
        if !is_run || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let folder = entry.path();
        let Ok(lock) = File::open(&folder) else {
            continue;
        };
        if lock.try_lock().is_ok()
            && let Err(error) = std::fs::remove_dir_all(&folder)
        {
            tracing::warn!(folder = %folder.display(), error = %error, "what a killed run left cannot be removed");
        }
    }
}

/// The script's progress file, as far as it was read.
#[derive(Debug, Clone)]
pub struct ProgressTail {
    file: PathBuf,
    read: u64,
    uuid: JobId,
    attempt: u32,
}

impl ProgressTail {
    /// The latest complete line since the last look, where there is one that says something.
    pub fn latest(&mut self, now: job_core::date::Date) -> Option<Progress> {
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

    pub(crate) async fn publish(&mut self, worker: &std::sync::Arc<Worker>) {
        let (mut tail, shared) = (self.clone(), worker.clone());
        let published = blocking(move || {
            let latest = tail.latest(shared.clock.now());
            let shown = latest.map_or(Ok(()), |progress| {
                shared.folder.show_progress(tail.uuid, &progress)
            });
            (tail.read, shown)
        });
        match published.await {
            Ok((read, shown)) => {
                self.read = read;
                if let Err(error) = shown {
                    tracing::warn!(job.id = %self.uuid, error = %error, "progress cannot be shown");
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
        let attempt = Attempt::make(scratch.path(), uuid, 1).unwrap();
        let mut tail = attempt.progress(uuid, 1);
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

    #[test]
    fn only_folders_of_runs_that_nobody_holds_are_cleared_away() {
        let scratch = tempfile::tempdir().unwrap();
        let uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap();
        let held = Attempt::make(scratch.path(), uuid, 2).unwrap();
        // Killed: its locks are gone, and so is whoever would remove it.
        let killed = Attempt::make(scratch.path(), uuid, 1).unwrap();
        let left = killed.folder.clone();
        std::fs::write(left.join("tmp/half"), "x").unwrap();
        drop(killed);
        for stranger in ["lab", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "soc-1"] {
            std::fs::create_dir(scratch.path().join(stranger)).unwrap();
        }
        std::fs::write(scratch.path().join(format!("{uuid}-3")), "a file").unwrap();
        clear_away(scratch.path());
        assert!(!left.exists() && held.folder.join("stdout").exists());
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 5);
        clear_away(Path::new("/no/such/folder"));
    }

    #[test]
    fn what_was_printed_is_read_whatever_became_of_its_name() {
        let scratch = tempfile::tempdir().unwrap();
        let uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap();
        let attempt = Attempt::make(scratch.path(), uuid, 1).unwrap();
        std::fs::write(attempt.folder.join("stdout"), "printed").unwrap();
        std::fs::remove_dir_all(&attempt.folder).unwrap();
        assert_eq!(std::fs::read(attempt.printed()).unwrap(), b"printed");
    }
}
