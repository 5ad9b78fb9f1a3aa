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
    let mut in_force = loop {
        let asked = Rehearsal {
            config,
            wanted: &wanted,
            supervisors,
            nobody,
        };
        let report = asked.run(python, Vec::new()).await?;
        let Some(without) = short_of(&report, &wanted) else {
            break report.containment;
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
        give_up(&mut wanted, without.part);
        missing.push(without);
    };
    for without in &in_force.missing {
        give_up(&mut wanted, without.part);
    }
    in_force.missing.extend(missing);
    Ok(Contained { wanted, in_force })
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

/// The part that kept the harmless thing from being run, if one did.
fn short_of(report: &Report, wanted: &Containment) -> Option<Missing> {
    let for_user = |why: String| {
        // A user that was set is not given up: what it cannot reach shows in the jobs.
        let chosen = matches!(wanted.user, Some(ScriptUser::OneOf { .. }));
        chosen.then_some(Missing {
            part: Part::User,
            why,
        })
    };
    match &report.ending {
        Ending::NotContained { .. } => report.containment.missing.first().cloned(),
        Ending::SpawnError { message } => for_user(message.clone()),
        Ending::Exited { code } => {
            let words = report.stderr_tail.trim();
            for_user(format!("Python ends with {code} there: {words}"))
        }
        _ => None,
    }
}

fn give_up(wanted: &mut Containment, part: Part) {
    match part {
        Part::User => wanted.user = None,
        Part::PidNamespace => wanted.pid_namespace = false,
        Part::Landlock => wanted.landlock = false,
    }
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
