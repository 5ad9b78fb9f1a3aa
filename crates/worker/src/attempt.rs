//! The folder of one run: what the script is given, and where it may leave things while it runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context;
use app_folder::App;
use job_core::files::{Progress, Request};
use job_core::ids::JobId;
use shared_folder::claim::ClaimedJob;

use crate::exec::Order;
use crate::service::{Worker, blocking};

/// Only so much of new progress is read at one look.
const PROGRESS_BYTES: u64 = 64 << 10;

/// One run's folder, on this host's own disk; removed with [`Attempt::remove`].
#[derive(Debug, Clone)]
pub struct Attempt {
    folder: PathBuf,
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
        let folder = scratch.join(format!("{uuid}-{attempt}"));
        // Left by a worker that was killed in this very run.
        let _ = std::fs::remove_dir_all(&folder);
        let tmp = folder.join("tmp");
        std::fs::create_dir_all(&tmp).with_context(|| format!("make folder {}", tmp.display()))?;
        Ok(Attempt { folder })
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
            stdout: self.printed(),
            stdout_limit: limits.result,
            log: log.to_owned(),
            log_limit: limits.log,
            timeout_ms: app.api.limits.timeout_s.saturating_mul(1000),
            grace_ms: limits.grace_ms,
            memory: app.api.limits.memory,
        };
        write("order.json", &serde_json::to_vec(&order)?)
    }

    /// The file that takes what the script prints.
    pub fn printed(&self) -> PathBuf {
        self.folder.join("stdout")
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
        let mut file = File::open(&self.file).ok()?;
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
}
