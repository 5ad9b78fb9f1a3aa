//! What of the containment this host gives: found out by running something harmless that is held by it.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use app_folder::App;
use boot::Unmet;
use job_core::ids::JobId;

use crate::attempt::{Attempt, RunLimits};
use crate::config::Config;
use crate::exec::containment::{Containment, InForce, Missing, Part, ScriptUser};
use crate::exec::{Ending, Report};
use crate::python::Interpreter;
use crate::scratch;
use crate::supervisor::{Supervisor, Supervisors};

/// What holds the scripts of a worker.
#[derive(Debug, Clone, Default)]
pub struct Contained {
    /// What runs are ordered to have.
    pub wanted: Containment,
    /// What a run has then, and what it cannot have here.
    pub in_force: InForce,
    /// Why the worker's Python cannot be run here, whatever holds it. It says nothing about what scripts can have.
    pub no_python: Option<String>,
}

/// Runs something harmless as scripts are run, with what the settings want, then with what there is of it.
///
/// # Errors
/// [`Unmet`] where the settings allow no less; others where nothing can be run here now.
pub async fn find_out(
    config: &Config,
    python: &Interpreter,
    supervisors: &Supervisors,
    nobody: JobId,
) -> anyhow::Result<Contained> {
    let mut wanted = config.containment.clone();
    let mut missing = Vec::new();
    let mut no_python = None;
    let mut in_force = loop {
        let asked = Rehearsal {
            config,
            wanted: &wanted,
            supervisors,
            nobody,
        };
        let report = asked.run(python, Vec::new()).await?;
        let without = match asked.short_of(python, &report).await? {
            Some(Short::Of(without)) => without,
            Some(Short::OfPython(why)) => {
                no_python = Some(why);
                break report.containment;
            }
            None => break report.containment,
        };
        if wanted.required {
            return Err(unmet(format_args!(
                "worker.containment is \"required\", but {without}; no script is run without it (\"best\" would do as \
                 this host allows)"
            )));
        }
        if without.part == Part::User && matches!(wanted.user, Some(ScriptUser::This(_))) {
            return Err(unmet(format_args!(
                "worker.user is set, but {without}; no script is run as another one"
            )));
        }
        wanted.give_up(without.part);
        missing.push(without);
    };
    for without in &in_force.missing {
        wanted.give_up(without.part);
    }
    in_force.missing.extend(missing);
    Ok(Contained {
        wanted,
        in_force,
        no_python,
    })
}

/// What of an app is out of reach for the user that scripts have here, if anything.
///
/// # Errors
/// Where nothing can be run here now.
pub async fn out_of_reach(
    app: &App,
    config: &Config,
    contained: &Contained,
    python: &Interpreter,
    supervisors: &Supervisors,
    nobody: JobId,
) -> anyhow::Result<Option<String>> {
    let needs = app.python.iter().cloned().chain([app.main()]).collect();
    let asked = Rehearsal {
        config,
        wanted: &contained.wanted,
        supervisors,
        nobody,
    };
    let nothing = Interpreter {
        version: None,
        ..python.clone()
    };
    let report = asked.run(&nothing, needs).await?;
    Ok(match report.ending {
        Ending::SpawnError { message } => Some(message),
        _ => report
            .containment
            .why_missing(Part::User)
            .map(str::to_owned),
    })
}

fn unmet(why: std::fmt::Arguments<'_>) -> anyhow::Error {
    Unmet(why.to_string()).into()
}

/// What kept the harmless thing from being run.
enum Short {
    /// A part of what is wanted cannot be had.
    Of(Missing),
    /// Python fails, whatever holds it.
    OfPython(String),
}

/// Why Python failed, where it did.
fn failed(report: &Report) -> Option<String> {
    let words = report.stderr_tail.trim();
    match &report.ending {
        Ending::SpawnError { message } => Some(message.clone()),
        Ending::Exited { code } => Some(format!("Python ends with {code} there: {words}")),
        Ending::Signaled { signal } => Some(format!("signal {signal} ends Python there: {words}")),
        _ => None,
    }
}

/// Whether it ended well. What it printed is no matter here.
fn is_well(report: &Report) -> bool {
    matches!(
        report.ending,
        Ending::Printed | Ending::NoResult | Ending::InvalidOutput { .. }
    )
}

/// A run that does nothing.
struct Rehearsal<'a> {
    config: &'a Config,
    wanted: &'a Containment,
    supervisors: &'a Supervisors,
    nobody: JobId,
}

impl Rehearsal<'_> {
    async fn run(&self, python: &Interpreter, needs: Vec<PathBuf>) -> anyhow::Result<Report> {
        let scratch = &self.config.scratch_dir;
        scratch::make(scratch, self.wanted)?;
        let attempt = Attempt::make(scratch, self.nobody, 0)?;
        let limits = RunLimits::of(self.config, self.wanted);
        let report = async {
            let order = attempt.rehearsal(python, needs, &limits)?;
            let supervisor = self.supervisors.start(&order);
            report_of(supervisor.context("start a supervisor")?).await
        };
        let report = report.await;
        attempt.remove().await;
        report
    }

    /// What kept it from being run, if anything did. A user of its own is to blame only where Python can be run without
    /// one; a user that was set is not given up: what it cannot reach shows in the jobs.
    async fn short_of(
        &self,
        python: &Interpreter,
        report: &Report,
    ) -> anyhow::Result<Option<Short>> {
        if let Ending::NotContained { .. } = report.ending {
            let missing = report.containment.missing.first();
            return Ok(missing.cloned().map(Short::Of));
        }
        let Some(why) = failed(report) else {
            return Ok(None);
        };
        if let Some(ScriptUser::OneOf { .. }) = self.wanted.user {
            let mut wanted = self.wanted.clone();
            wanted.give_up(Part::User);
            let without = Rehearsal {
                wanted: &wanted,
                ..*self
            };
            if is_well(&without.run(python, Vec::new()).await?) {
                let part = Part::User;
                return Ok(Some(Short::Of(Missing { part, why })));
            }
        }
        Ok(Some(Short::OfPython(why)))
    }
}

async fn report_of(mut supervisor: Supervisor) -> anyhow::Result<Report> {
    match supervisor.report().await {
        Some(report) => Ok(report),
        None => {
            supervisor.end_what_is_left().await;
            Err(anyhow!(
                "a supervisor could not do its work; its line in this process's log says why"
            ))
        }
    }
}
