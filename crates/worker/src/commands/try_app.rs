//! `bcrl-worker try NAME`: runs an app on its example exactly as a job would be run, without any queue.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use app_folder::App;
use boot::Parts;
use job_core::date::Date;
use job_core::files::Request;
use job_core::ids::ApiName;
use serde_json::value::RawValue;
use tokio::signal::unix::{SignalKind, signal};

use super::note;
use crate::attempt::{Attempt, RunLimits};
use crate::config::Config;
use crate::contained;
use crate::exec::{Ending, Report};
use crate::outcome::{Outcome, OwnFailure, outcome};
use crate::progress::ProgressTail;
use crate::python;
use crate::scratch;
use crate::supervisor::Supervisors;

/// How often progress and log are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// More than the line takes that stands for the middle of a long log, in bytes.
const LEFT_OUT: u64 = 100;
/// Bytes of a MiB, in which memory is told.
const MIB: f64 = 1_048_576.0;

/// Runs the app; its result goes to standard output, its log and progress to standard error. Exit code 1 where a job
/// would have failed.
///
/// # Errors
/// Where there is no such app, or its run cannot be set up.
pub async fn try_app(
    config: &Config,
    parts: &Parts,
    name: &ApiName,
    file: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let app = App::read(&config.apps_dir.join(name.as_str()))
        .map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let example = app.example_file();
    let file = file.unwrap_or(&example);
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let params: Box<RawValue> =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))?;
    if let Some(schema) = &app.api.schema {
        let value = serde_json::from_str(params.get())?;
        let errors: Vec<_> = jsonschema_errors(schema, &value);
        if !errors.is_empty() {
            errors
                .iter()
                .for_each(|error| note(format_args!("{}: {error}", file.display())));
            return Ok(ExitCode::FAILURE);
        }
    }
    let now = parts.clock.now();
    let request = Request {
        uuid: shared_folder::job_id(now),
        api: name.clone(),
        request_date: now,
        params,
        idempotency_key: None,
        webhook: None,
        traceparent: None,
    };
    scratch::make(&config.scratch_dir, &config.containment)?;
    let attempt = Attempt::make(&config.scratch_dir, request.uuid, 1)?;
    let report = run(config, parts, &app, &request, &attempt, now).await;
    let printed = std::fs::read(attempt.printed()).unwrap_or_default();
    attempt.remove().await;
    let report = report?.context("the supervisor ended without a report")?;
    Ok(tell(&report, &app, &printed))
}

async fn run(
    config: &Config,
    parts: &Parts,
    app: &App,
    request: &Request,
    attempt: &Attempt,
    now: Date,
) -> anyhow::Result<Option<Report>> {
    let python = python::find(&config.python);
    let supervisors = Supervisors::new(parts.executable.clone())?;
    let nobody = shared_folder::job_id(now);
    let contained = contained::find_out(config, &python, &supervisors, nobody).await?;
    let limits = RunLimits::of(config, &contained.wanted);
    let log = attempt.log();
    let order = attempt.order(app, &python.path, request, 1, &limits, &log)?;
    // Opened as long as nobody else is there: later the script may have put anything in its place.
    let opened = File::options()
        .read(true)
        .append(true)
        .create_new(true)
        .open(&log);
    let mut shown = Shown {
        progress: attempt.progress(request.uuid, 1),
        log: opened.with_context(|| format!("make {}", log.display()))?,
        room: config.log_limit.saturating_add(LEFT_OUT),
    };
    let mut supervisor = supervisors.start(&order).context("start the supervisor")?;
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    loop {
        tokio::select! {
            report = supervisor.report() => {
                shown.catch_up(now);
                if report.is_none() {
                    supervisor.end_what_is_left().await;
                }
                return Ok(report);
            }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = tokio::time::sleep(LOOK) => shown.catch_up(now),
        }
    }
    supervisor.end_what_is_left().await;
    bail!("interrupted")
}

/// Progress and log of the run, as far as they were shown.
struct Shown {
    progress: ProgressTail,
    /// The log, from where it was not shown yet.
    log: File,
    /// How much more of it may be shown, in bytes: the script can write into it past the supervisor.
    room: u64,
}

impl Shown {
    /// Shows what is new.
    fn catch_up(&mut self, now: Date) {
        if let Some(progress) = self.progress.latest(now) {
            note(format_args!(
                "progress {:5.1} %  {}",
                progress.percent.unwrap_or(0.0),
                progress.message.unwrap_or_default()
            ));
        }
        let mut new = (&self.log).take(self.room);
        // Whoever closed the pipe has read enough.
        let _ = std::io::copy(&mut new, &mut std::io::stderr());
        self.room = new.limit();
    }
}

fn tell(report: &Report, app: &App, printed: &[u8]) -> ExitCode {
    let seconds = Duration::from_millis(report.run_ms).as_secs_f64();
    note(format_args!(
        "{}: {seconds:.3} s, {:.1} MiB of memory",
        app.api.name,
        report.max_memory as f64 / MIB
    ));
    if report.ending == Ending::Printed {
        let _ = std::io::stdout().write_all(printed.trim_ascii_end());
        let _ = std::io::stdout().write_all(b"\n");
        return ExitCode::SUCCESS;
    }
    if let Ending::SpawnError { message } | Ending::NotContained { message } = &report.ending {
        note(message);
    }
    match outcome(Some(report), None, OwnFailure::Final, &app.api.limits) {
        Outcome::Failed(failure) => note(format_args!(
            "failed ({}): {}",
            failure.reason.as_str(),
            failure.message
        )),
        other => note(other.word()),
    }
    ExitCode::FAILURE
}

fn jsonschema_errors(schema: &serde_json::Value, value: &serde_json::Value) -> Vec<String> {
    let Ok(validator) = jsonschema::draft202012::new(schema) else {
        return vec!["the schema is broken".into()];
    };
    validator
        .iter_errors(value)
        .map(|error| format!("at {:?}: {error}", error.instance_path().to_string()))
        .collect()
}
