//! `bcrl-worker check`: folder, locks, Python and apps, each with a line.

use std::process::ExitCode;

use app_folder::Apps;
use boot::Parts;
use shared_folder::SharedFolder;
use shared_folder::self_test::self_test;

use super::say;
use crate::attempt;
use crate::config::Config;
use crate::python;

/// Looks at everything that a worker needs, and tells what is not in order. Exit code 1 where something is not.
pub fn check(config: &Config, parts: &Parts) -> ExitCode {
    let mut troubles = 0;
    let mut tell = |subject: &str, outcome: Result<String, String>| match outcome {
        Ok(text) => say(format_args!("ok       {subject}: {text}")),
        Err(text) => {
            troubles += 1;
            say(format_args!("PROBLEM  {subject}: {text}"));
        }
    };
    match SharedFolder::open(&config.shared_dir, config.options.clone()) {
        Ok(folder) => {
            tell("folder", Ok(config.shared_dir.display().to_string()));
            let locks = self_test(&folder, parts.lock_probe());
            tell(
                "locks",
                locks
                    .map(|advice| advice.unwrap_or_else(|| "one process keeps another out".into()))
                    .map_err(|e| e.to_string()),
            );
            let queue = folder
                .queue()
                .map(|queue| format!("{} jobs in the index", queue.len()));
            tell("index", queue.map_err(|error| error.to_string()));
        }
        Err(error) => tell("folder", Err(with_reason(&error))),
    }
    let python = python::find(&config.python);
    let found = python
        .version
        .map(|version| format!("{version} at {}", python.path.display()));
    tell("python", found.ok_or(python.problem.unwrap_or_default()));
    let scratch = attempt::make_scratch(&config.scratch_dir);
    let scratch = scratch.map(|()| config.scratch_dir.display().to_string());
    tell("scratch", scratch.map_err(|error| format!("{error:#}")));
    let apps = Apps::read(&config.apps_dir);
    for app in apps.apps.values() {
        let routes: Vec<_> = app
            .api
            .routes
            .iter()
            .map(|route| format!("{} {}", route.method, route.pattern))
            .collect();
        let needs_venv = app.folder.join("requirements.txt").is_file() && app.python.is_none();
        let text = format!("{} {}", app.api.label.en, routes.join(", "));
        let unprepared =
            || "it has a requirements.txt and no .venv: run `bcrl-worker prepare`".to_owned();
        tell(
            &format!("app {}", app.api.name),
            if needs_venv {
                Err(unprepared())
            } else {
                Ok(text.trim_end().to_owned())
            },
        );
    }
    for problem in &apps.problems {
        tell("app", Err(problem.to_string()));
    }
    match troubles {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn with_reason(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
