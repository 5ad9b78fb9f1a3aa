//! The runtime, signals, and how a process ends.

use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::check;
use crate::clock::Clock;
use crate::load::{SettingsError, load};
use crate::logs;
use crate::settings::Settings;

/// Tells everybody in a process that it is to end.
pub type Shutdown = CancellationToken;

/// What a service is given besides its settings.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The clock.
    pub clock: Clock,
    /// A program with the hidden commands that services start as their own children: `lock-probe`, and `exec` for
    /// workers.
    pub executable: PathBuf,
}

impl Parts {
    /// The parts of a process that is itself the program with the hidden commands.
    pub fn of_this_process(clock: Clock) -> Self {
        // The link still works when the program's file was replaced by a newer one.
        Parts {
            clock,
            executable: "/proc/self/exe".into(),
        }
    }

    /// The second process of the shared folder's self-test.
    pub fn lock_probe(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg("lock-probe");
        command
    }
}

/// Settings that this host does not give what they demand; the process ends with [`EX_CONFIG`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unmet(pub String);

/// The exit code of settings that cannot be used (sysexits.h).
pub const EX_CONFIG: u8 = 78;
/// What still blocks a thread when the service has ended is waited for so long: a name server that does not answer
/// holds nobody up.
const LEFTOVERS: Duration = Duration::from_secs(1);
/// The exit code of a process that was interrupted twice.
const INTERRUPTED: i32 = 130;

/// Runs a service: reads the settings, starts the log, and ends in order on SIGTERM or Ctrl-C. A second one ends the
/// process at once.
///
/// `overrides` changes what a person typed as flags; `work` is the service. Its error is told on standard error, and
/// the exit code is 1; settings that cannot be used give 78.
pub fn main<F>(
    file: Option<&Path>,
    overrides: impl FnOnce(&mut Settings),
    work: impl FnOnce(Settings, Clock, Shutdown) -> F,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
{
    let settings = match settings(file, overrides) {
        Ok(settings) => settings,
        Err(error) => return told(&error.to_string(), EX_CONFIG),
    };
    allow_many_files();
    let clock = Clock::new(settings.timezone);
    if let Err(reason) = logs::start(&settings.log, clock) {
        return told(&reason, EX_CONFIG);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return told(&format!("the runtime cannot be started: {error}"), 1),
    };
    let outcome = runtime.block_on(async {
        let shutdown = Shutdown::new();
        tokio::spawn(end_on_signals(shutdown.clone()));
        work(settings, clock, shutdown).await
    });
    // Services have waited for what matters to them.
    runtime.shutdown_timeout(LEFTOVERS);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Each connection and each run holds files open, and by default a process may have no more than 1,024; the kernel's
/// own limit is the one to go by. (What a worker's script may have open is set apart.)
fn allow_many_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::debug!(error = %error, "the limit of open files stays as it is");
    }
}

/// The settings of this process: defaults, file, environment, and what was typed.
///
/// # Errors
/// As [`load`].
#[expect(
    clippy::disallowed_methods,
    reason = "this is the place that reads the environment"
)]
pub fn settings(
    file: Option<&Path>,
    overrides: impl FnOnce(&mut Settings),
) -> Result<Settings, SettingsError> {
    let mut settings = load(file, std::env::vars_os())?;
    overrides(&mut settings);
    match check::misfit(&settings) {
        Some(misfit) => Err(SettingsError::impossible(misfit)),
        None => Ok(settings),
    }
}

/// Prints the effective settings as a file that could be read again, but for secrets, which are not shown.
pub fn print_config(file: Option<&Path>, overrides: impl FnOnce(&mut Settings)) -> ExitCode {
    match settings(file, overrides) {
        Ok(settings) => {
            let text = toml::to_string(&settings).expect("settings that were read can be written");
            // Whoever closed the pipe has read enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => told(&error.to_string(), EX_CONFIG),
    }
}

async fn end_on_signals(shutdown: Shutdown) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("signals cannot be waited for: the process can only be killed");
        return;
    };
    for first in [true, false] {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "Ctrl-C",
        };
        if first {
            tracing::info!("{name}: shutting down; once more ends at once");
            shutdown.cancel();
        }
    }
    end_at_once();
}

#[expect(
    clippy::disallowed_methods,
    reason = "asked twice: whoever waits has waited enough, and a kill loses nothing"
)]
fn end_at_once() -> ! {
    std::process::exit(INTERRUPTED)
}

/// Says why a process ends, with the exit code 1, or [`EX_CONFIG`] where it is that settings are [`Unmet`].
pub fn failed(error: &anyhow::Error) -> ExitCode {
    told(
        &format!("{error:#}"),
        if error.is::<Unmet>() { EX_CONFIG } else { 1 },
    )
}

/// Says why a process ends, on standard error.
pub fn told(reason: &str, code: u8) -> ExitCode {
    // Nobody is left to tell where even that fails.
    let _ = writeln!(std::io::stderr(), "error: {reason}");
    ExitCode::from(code)
}
