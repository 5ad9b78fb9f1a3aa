//! The folder of one run: what the script is given, and where it may leave things while it runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use app_folder::App;
use claimant::blocking;
use job_core::files::Request;
use job_core::ids::JobId;
use job_core::trace::is_traceparent;
use shared_folder::claim::ClaimedJob;
use shared_folder::{FolderError, SharedFolder};

use crate::config::Config;
use crate::exec::Order;
use crate::exec::containment::Containment;
use crate::progress::ProgressTail;
use crate::python::Interpreter;
use crate::scratch::{self, make_private, make_way};
use crate::service::Worker;
use crate::trouble::Trouble;

/// What the script prints, in the run's folder.
const PRINTED: &str = "stdout";
/// Where it says how far it is, in the run's folder.
const PROGRESS: &str = "progress";
/// Its folder for temporary files, in the run's folder.
const TMP: &str = "tmp";
/// Where scripts find programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What must fit into scratch for runs to begin, in bytes: as much as any but the largest requests need.
const REHEARSED_BYTES: usize = 1 << 20;

/// This very program, also when its file was replaced by a newer one.
const MYSELF: &str = "/proc/self/exe";
/// Far more than a run takes that does nothing.
const REHEARSAL_MS: u64 = 60_000;
/// The same in bytes.
const REHEARSAL_MEMORY: u64 = 1 << 30;

/// One run's folder, on this host's own disk. Removed with [`Attempt::remove`]; what a killed process left goes with a
/// sweep.
#[derive(Debug, Clone)]
pub struct Attempt {
    folder: PathBuf,
    /// Takes what the script prints. It stays open: its name is gone when the script starts.
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
    /// How many processes it may have.
    pub processes: u32,
    /// What it may hold in its folder, in bytes.
    pub scratch: u64,
    /// Where it may write besides.
    pub writable: Vec<PathBuf>,
    /// Folders that it is not to see.
    pub hidden: Vec<PathBuf>,
    /// What is to hold it apart from the host.
    pub containment: Containment,
}

impl RunLimits {
    /// As the worker's settings say, and with what is to be had of the containment that they want.
    pub fn of(config: &Config, containment: &Containment) -> Self {
        RunLimits {
            result: config.result_limit,
            log: config.log_limit,
            grace_ms: u64::try_from(config.grace.as_millis()).unwrap_or(u64::MAX),
            processes: config.processes,
            scratch: config.scratch_limit,
            writable: config.writable.clone(),
            // Even a descriptor that can only read holds a lock there, and with it the queue.
            hidden: vec![config.shared_dir.clone()],
            containment: containment.clone(),
        }
    }
}

impl Attempt {
    /// Makes the folder of a claimed job's run; returns it with the file of the supervisor's order. Blocks.
    ///
    /// # Errors
    /// The job's trouble where its log has no place, else this worker's.
    pub(crate) fn prepare(
        worker: &Worker,
        job: &ClaimedJob,
        app: &App,
    ) -> Result<(Self, PathBuf), Trouble> {
        let log = log_file(&worker.claimant.folder, job.uuid)?;
        let number = job.lease.attempt;
        let (config, containment) = (&worker.config, worker.contained().wanted);
        scratch::make(&config.scratch_dir, &containment)?;
        let attempt = Attempt::make(&config.scratch_dir, job.uuid, number)?;
        let (python, limits) = (&worker.python.path, RunLimits::of(config, &containment));
        let order = attempt.order(app, python, &job.request, number, &limits, &log);
        match order {
            Ok(order) => Ok((attempt, order)),
            Err(trouble) => {
                attempt.clear();
                Err(trouble)
            }
        }
    }

    /// Makes the folder of a run.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn make(scratch: &Path, uuid: JobId, attempt: u32) -> Result<Self, Trouble> {
        let name = format!("{uuid}-{attempt}");
        let (folder, unlocked) = (scratch.join(&name), scratch.join(format!(".{name}")));
        make_way(&folder);
        make_way(&unlocked);
        let make = || -> io::Result<Attempt> {
            make_private(&unlocked.join(TMP))?;
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
        let made = make().with_context(|| format!("make folder {}", folder.display()));
        if made.is_err() {
            make_way(&unlocked);
        }
        Ok(made?)
    }

    /// Whether a run could begin: makes its folder with a file of some size, as nobody's job, and removes it. Blocks.
    ///
    /// # Errors
    /// Where none could.
    pub(crate) fn rehearse(scratch: &Path, nobody: JobId) -> Result<(), Trouble> {
        let attempt = Attempt::make(scratch, nobody, 0)?;
        let written = attempt.write("rehearsal", &vec![0; REHEARSED_BYTES]);
        attempt.clear();
        written.map(drop)
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
    ) -> Result<PathBuf, Trouble> {
        let copy = serde_json::to_vec(request).expect("a request always serializes");
        let copy = self.write("request.json", &copy)?;
        let stdin = self.write("stdin.json", request.params.get().as_bytes())?;
        let progress = self.write(PROGRESS, b"")?;
        self.write_order(&Order {
            program: app.python.clone().unwrap_or_else(|| python.to_owned()),
            args: vec![text(&app.main()), text(&copy)],
            needs: vec![app.main()],
            working_dir: app.folder.clone(),
            environment: self.environment(app, request, attempt, &progress),
            stdin,
            log: log.to_owned(),
            timeout_ms: app.api.limits.timeout_s.saturating_mul(1000),
            memory: app.api.limits.memory,
            ..self.bare_order(limits)
        })
    }

    /// Writes the order for a run that does nothing, as scripts are run; `needs` is what its user is to reach.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub(crate) fn rehearsal(
        &self,
        python: &Interpreter,
        needs: Vec<PathBuf>,
        limits: &RunLimits,
    ) -> Result<PathBuf, Trouble> {
        let (program, args) = match python.version {
            Some(_) => (python.path.clone(), ["-I", "-S", "-c", "pass"].to_vec()),
            None => (MYSELF.into(), vec!["--version"]),
        };
        self.write_order(&Order {
            program,
            args: args.into_iter().map(str::to_owned).collect(),
            needs,
            stdin: self.write("stdin.json", b"{}")?,
            ..self.bare_order(limits)
        })
    }

    /// What all orders for this folder have in common.
    fn bare_order(&self, limits: &RunLimits) -> Order {
        Order {
            program: PathBuf::new(),
            args: Vec::new(),
            needs: Vec::new(),
            working_dir: self.folder.clone(),
            environment: BTreeMap::new(),
            stdin: PathBuf::new(),
            stdout: self.folder.join(PRINTED),
            stdout_limit: limits.result,
            log: self.log(),
            log_limit: limits.log,
            timeout_ms: REHEARSAL_MS,
            grace_ms: limits.grace_ms,
            memory: REHEARSAL_MEMORY,
            processes: limits.processes,
            scratch: self.folder.clone(),
            scratch_limit: limits.scratch,
            writable: limits.writable.clone(),
            hidden: limits.hidden.clone(),
            containment: limits.containment.clone(),
        }
    }

    fn write_order(&self, order: &Order) -> Result<PathBuf, Trouble> {
        let order = serde_json::to_vec(order).context("write the supervisor's order")?;
        self.write("order.json", &order)
    }

    /// The script's whole environment: ours, over it the app's, over that what nobody but the worker can know.
    fn environment(
        &self,
        app: &App,
        request: &Request,
        attempt: u32,
        progress: &Path,
    ) -> BTreeMap<String, String> {
        let tmp = text(&self.folder.join(TMP));
        let ours = [
            ("PATH", PATH),
            ("LANG", "C.UTF-8"),
            ("HOME", &tmp),
            ("TMPDIR", &tmp),
            // The app's folder is not the script's to write into, not even with compiled modules.
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONNOUSERSITE", "1"),
            ("PYTHONUTF8", "1"),
        ];
        let known = [
            ("BCRL_JOB", request.uuid.to_string()),
            ("BCRL_API", request.api.to_string()),
            ("BCRL_ATTEMPT", attempt.to_string()),
            ("BCRL_PROGRESS", text(progress)),
        ];
        let mut environment: BTreeMap<_, _> =
            ours.map(|(name, value)| (name.into(), value.into())).into();
        environment.extend(app.environment.clone());
        environment.extend(known.map(|(name, value)| (name.into(), value)));
        // Whoever edits the request may have put anything there.
        let trace = request.traceparent.clone();
        let trace = trace.filter(|text| is_traceparent(text));
        environment.extend(trace.map(|trace| ("TRACEPARENT".into(), trace)));
        environment
    }

    /// Writes a file of the run's folder, whose path is returned.
    fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, Trouble> {
        let path = self.folder.join(name);
        std::fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// The file that takes what the script prints, also when it has no name any more.
    pub fn printed(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.printed.as_raw_fd()).into()
    }

    /// A file that takes what the script writes to stderr, where no job has one.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Follows what the script says of its progress.
    pub fn progress(&self, uuid: JobId, attempt: u32) -> ProgressTail {
        ProgressTail::new(self.folder.join(PROGRESS), uuid, attempt)
    }

    /// Removes the folder with all that the script left there.
    pub async fn remove(&self) {
        let attempt = self.clone();
        if let Err(panic) = blocking(move || attempt.clear()).await {
            tracing::error!(
                error = format!("{panic:#}"),
                "removing the folder of a run panicked"
            );
        }
    }

    /// The same as [`Attempt::remove`]; blocks.
    fn clear(&self) {
        let removed = scratch::remove(&self.folder);
        // The script may have been first.
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.folder.display(), error = %error, "the folder of a run cannot be removed");
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Makes the file of a job's log in the shared folder. What else stands there was put there by hand, and only people
/// may take it away.
fn log_file(folder: &SharedFolder, uuid: JobId) -> Result<PathBuf, Trouble> {
    let made = folder.log_file(uuid);
    if let Ok(path) | Err(FolderError::Io { path, .. }) = &made
        && let Some(what) = in_the_way(path, made.as_ref().err())
    {
        return Err(Trouble::OfThisJob(format!(
            "the script could not be started: {what} stands at log/{uuid}.log in the shared folder, where the job's \
             log is due; have it removed, then submit the job again"
        )));
    }
    Ok(made.map_err(anyhow::Error::from)?)
}

/// What stands at a path where a plain file is due that can be written to; nothing where that is no reason for the
/// trouble.
fn in_the_way(path: &Path, trouble: Option<&FolderError>) -> Option<&'static str> {
    let kind = path.symlink_metadata().ok()?.file_type();
    let forbidden = |error: &&FolderError| matches!(error, FolderError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied);
    if kind.is_dir() {
        Some("a folder")
    } else if kind.is_symlink() {
        Some("a link")
    } else if !kind.is_file() {
        Some("no plain file")
    } else {
        trouble
            .filter(forbidden)
            .map(|_| "a file that the worker may not write to")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_printed_is_read_whatever_became_of_its_name() {
        let scratch = tempfile::tempdir().unwrap();
        let uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap();
        let attempt = Attempt::make(scratch.path(), uuid, 1).unwrap();
        std::fs::write(attempt.folder.join("stdout"), "printed").unwrap();
        std::fs::remove_dir_all(&attempt.folder).unwrap();
        assert_eq!(std::fs::read(attempt.printed()).unwrap(), b"printed");
    }

    #[test]
    fn whatever_has_the_name_of_a_run_makes_way_for_it() {
        let scratch = tempfile::tempdir().unwrap();
        let uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap();
        for left in [format!("{uuid}-1"), format!(".{uuid}-1")] {
            let left = scratch.path().join(left);
            std::fs::write(&left, "a file").unwrap();
            Attempt::make(scratch.path(), uuid, 1).unwrap().clear();
            std::fs::create_dir_all(left.join("tmp")).unwrap();
            Attempt::make(scratch.path(), uuid, 1).unwrap().clear();
        }
        Attempt::rehearse(scratch.path(), uuid).unwrap();
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_run_that_cannot_be_made_leaves_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let uuid: JobId = "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap();
        // The longest path that the kernel takes has room for the folder, and not for the file of what is printed.
        let longest = 4095 - format!("/.{uuid}-1/{TMP}").len();
        let mut deep = scratch.path().join("x");
        while let room @ 2.. = longest - deep.as_os_str().len() {
            deep.push("x".repeat((room - 1).min(200)));
        }
        std::fs::create_dir_all(&deep).unwrap();
        let trouble = Attempt::make(&deep, uuid, 1).unwrap_err();
        let told = format!("{:#}", anyhow::Error::from(trouble));
        assert!(told.ends_with("File name too long (os error 36)"), "{told}");
        assert_eq!(std::fs::read_dir(deep).unwrap().count(), 0);
    }

    #[test]
    fn a_log_is_in_the_way_only_where_it_is_the_reason() {
        let home = tempfile::tempdir().unwrap();
        let (file, folder) = (home.path().join("file"), home.path().join("folder"));
        std::fs::write(&file, "").unwrap();
        std::fs::create_dir(&folder).unwrap();
        let missing = home.path().join("missing");
        let [forbidden, descriptors] =
            [rustix::io::Errno::ACCESS, rustix::io::Errno::MFILE].map(|errno| FolderError::Io {
                action: "open",
                path: file.clone(),
                source: errno.into(),
            });
        for (path, trouble, what) in [
            (&file, None, None),
            (
                &file,
                Some(&forbidden),
                Some("a file that the worker may not write to"),
            ),
            (&file, Some(&descriptors), None),
            (&folder, Some(&descriptors), Some("a folder")),
            (&missing, Some(&forbidden), None),
            (&missing, Some(&descriptors), None),
        ] {
            assert_eq!(in_the_way(path, trouble), what, "{path:?} {trouble:?}");
        }
    }
}
