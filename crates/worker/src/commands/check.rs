//! `bcrl-worker check`: folder, locks, Python, what holds scripts, and apps, each with a line.

use std::fmt::Display;
use std::process::ExitCode;

use app_folder::{App, Apps};
use boot::Parts;
use job_core::ids::ApiName;
use rustix::process::geteuid;
use shared_folder::SharedFolder;
use shared_folder::self_test::self_test;

use super::say;
use crate::config::Config;
use crate::contained::{self, Contained};
use crate::exec::containment::{InForce, Part, ScriptUser};
use crate::python::{self, Interpreter};
use crate::scratch;
use crate::supervisor::Supervisors;
use crate::trouble::with_reasons;

/// Looks at everything that a worker needs, and tells what is not in order. Exit code 1 where something is not.
pub fn check(config: &Config, parts: &Parts) -> ExitCode {
    let mut findings = Findings::default();
    look_at_folder(config, parts, &mut findings);
    let python = python::find(&config.python);
    let found = python.version.as_ref();
    let found = found.map(|version| format!("{version} at {}", python.path.display()));
    findings.tell(
        "python",
        found.ok_or(python.problem.clone().unwrap_or_default()),
    );
    let scratch = scratch::make(&config.scratch_dir, &config.containment);
    let scratch = scratch.map(|()| config.scratch_dir.display().to_string());
    findings.tell("scratch", scratch.map_err(|error| format!("{error:#}")));
    let apps = Apps::read(&config.apps_dir);
    look_at_containment(config, parts, &python, &apps, &mut findings);
    look_at_apps(&apps, &mut findings);
    match findings.problems {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// What was told so far.
#[derive(Default)]
struct Findings {
    problems: u32,
}

impl Findings {
    fn tell(&mut self, subject: &str, outcome: Result<String, String>) {
        match outcome {
            Ok(text) => say(format_args!("ok       {subject}: {text}")),
            Err(text) => {
                self.problems += 1;
                say(format_args!("PROBLEM  {subject}: {text}"));
            }
        }
    }

    /// What could be better, and is allowed to be as it is.
    fn could_be_better(subject: impl Display, text: impl Display) {
        say(format_args!("weaker   {subject}: {text}"));
    }
}

fn look_at_folder(config: &Config, parts: &Parts, findings: &mut Findings) {
    let folder = match SharedFolder::open(&config.shared_dir, config.options.clone()) {
        Ok(folder) => folder,
        Err(error) => return findings.tell("folder", Err(with_reasons(&error))),
    };
    findings.tell("folder", Ok(config.shared_dir.display().to_string()));
    let locks = self_test(&folder, parts.lock_probe());
    let locks =
        locks.map(|advice| advice.unwrap_or_else(|| "one process keeps another out".into()));
    findings.tell("locks", locks.map_err(|error| with_reasons(&error)));
    let queue = folder.queue();
    let queue = queue.map(|queue| format!("{} jobs in the index", queue.len()));
    findings.tell("index", queue.map_err(|error| with_reasons(&error)));
}

fn look_at_containment(
    config: &Config,
    parts: &Parts,
    python: &Interpreter,
    apps: &Apps,
    findings: &mut Findings,
) {
    for path in config.writable.iter().filter(|path| !path.exists()) {
        let text = format!("{} is not there", path.display());
        findings.tell("worker.writable", Err(text));
    }
    match find_out(config, parts, python, apps) {
        Ok((contained, out_of_reach)) => {
            tell_parts(&contained.in_force, findings);
            tell_shared_folder(&contained.in_force, findings);
            if let Some(why) = contained.no_python {
                findings.tell("python", Err(why));
            }
            for (api, why) in out_of_reach {
                if config.containment.required {
                    findings.tell(&format!("app {api}"), Err(why));
                } else {
                    let text = format_args!("its script runs as root, because {why}");
                    Findings::could_be_better(format_args!("app {api}"), text);
                }
            }
        }
        Err(error) => findings.tell("containment", Err(format!("{error:#}"))),
    }
}

fn tell_parts(in_force: &InForce, findings: &mut Findings) {
    let user = in_force.user.as_ref();
    let held = [
        user.map(|user| format!("scripts run as {user}, or a user like it")),
        in_force.pid_namespace.then(|| "in force".to_owned()),
        in_force
            .landlock_abi
            .map(|abi| format!("in force, version {abi}")),
    ];
    for (part, held) in Part::ALL.into_iter().zip(held) {
        match (held, in_force.why_missing(part)) {
            (Some(text), _) => findings.tell(&part.to_string(), Ok(text)),
            (None, Some(why)) => {
                Findings::could_be_better(part, format_args!("not available: {why}"));
            }
            (None, None) if part == Part::User && !geteuid().is_root() => {
                let text = "scripts run as the worker's own, which is not root".into();
                findings.tell("user", Ok(text));
            }
            (None, None) => Findings::could_be_better(part, "off by the settings"),
        }
    }
}

/// Whoever can read a file can lock it, and change its mode where it is its own.
fn tell_shared_folder(in_force: &InForce, findings: &mut Findings) {
    if in_force.hidden.is_empty() {
        let text = "scripts see it; one whose user may read it can hold its locks, and with them the queue";
        Findings::could_be_better("shared folder", text);
    } else {
        findings.tell("shared folder", Ok("scripts do not see it".into()));
    }
}

/// What holds scripts, and which apps go without something of it.
fn find_out(
    config: &Config,
    parts: &Parts,
    python: &Interpreter,
    apps: &Apps,
) -> anyhow::Result<(Contained, Vec<(ApiName, String)>)> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(async {
        let supervisors = Supervisors::new(parts.executable.clone())?;
        let nobody = shared_folder::job_id(parts.clock.now());
        let contained = contained::find_out(config, python, &supervisors, nobody).await?;
        let mut out_of_reach = Vec::new();
        let chosen = matches!(contained.wanted.user, Some(ScriptUser::OneOf { .. }));
        for app in apps.apps.values().filter(|_| chosen) {
            let why =
                contained::out_of_reach(app, config, &contained, python, &supervisors, nobody);
            out_of_reach.extend(why.await?.map(|why| (app.api.name.clone(), why)));
        }
        Ok((contained, out_of_reach))
    })
}

fn look_at_apps(apps: &Apps, findings: &mut Findings) {
    for app in apps.apps.values() {
        let needs_venv = app.folder.join("requirements.txt").is_file() && app.python.is_none();
        let found = if needs_venv {
            Err("it has a requirements.txt and no .venv: run `bcrl-worker prepare`".into())
        } else {
            Ok(label_and_routes(app))
        };
        findings.tell(&format!("app {}", app.api.name), found);
    }
    for problem in &apps.problems {
        findings.tell("app", Err(problem.to_string()));
    }
}

fn label_and_routes(app: &App) -> String {
    let routes = app.api.routes.iter();
    let routes: Vec<_> = routes
        .map(|route| format!("{} {}", route.method, route.pattern))
        .collect();
    let text = format!("{} {}", app.api.label.en, routes.join(", "));
    text.trim_end().to_owned()
}
