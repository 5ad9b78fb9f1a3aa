//! `bcrl-worker prepare`: installs what each app's `requirements.txt` asks for into the app's own `.venv`.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use app_folder::{App, Apps};
use job_core::ids::ApiName;
use sha2::{Digest, Sha256};

use super::{note, say};
use crate::config::Config;
use crate::python;

/// Notes which requirements a `.venv` was made for.
const MADE_FOR: &str = ".venv/made-for";

/// Prepares the named apps, or all. Exit code 1 where one could not be prepared; the others are all the same.
pub fn prepare(config: &Config, names: &[ApiName]) -> ExitCode {
    let apps = Apps::read(&config.apps_dir);
    let python = python::find(&config.python);
    let mut failed = 0;
    for problem in &apps.problems {
        note(format_args!("left out: {problem}"));
    }
    for name in names.iter().filter(|name| !apps.apps.contains_key(name)) {
        failed += 1;
        note(format_args!(
            "{name}: there is no app of this name in {}",
            config.apps_dir.display()
        ));
    }
    for app in apps
        .apps
        .values()
        .filter(|app| names.is_empty() || names.contains(&app.api.name))
    {
        if let Err(error) = prepare_app(app, &python.path) {
            failed += 1;
            note(format_args!("{}: {error:#}", app.api.name));
        }
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn prepare_app(app: &App, python: &Path) -> anyhow::Result<()> {
    let (name, requirements) = (&app.api.name, app.folder.join("requirements.txt"));
    let wanted = match std::fs::read(&requirements) {
        Ok(text) => Sha256::digest(&text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            say(format_args!("{name}: it needs nothing"));
            return Ok(());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("read {}", requirements.display()));
        }
    };
    if std::fs::read_to_string(app.folder.join(MADE_FOR)).is_ok_and(|made_for| made_for == wanted) {
        say(format_args!("{name}: its .venv is up to date"));
        return Ok(());
    }
    say(format_args!(
        "{name}: installing {}",
        requirements.display()
    ));
    let venv = app.folder.join(".venv");
    run(Command::new(python)
        .args(["-m", "venv", "--clear"])
        .arg(&venv))
    .context("make the .venv (Debian: install python3-venv)")?;
    let mut install = Command::new(venv.join("bin/python"));
    install
        .args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(&requirements)
        // Paths in it are relative to it, as its author sees them.
        .current_dir(&app.folder);
    if let Err(error) = run(&mut install) {
        // Half of what it asks for would be taken for all of it.
        let _ = std::fs::remove_dir_all(&venv);
        return Err(error.context("install the requirements"));
    }
    std::fs::write(app.folder.join(MADE_FOR), wanted)
        .context("note what the .venv was made for")?;
    say(format_args!("{name}: ready"));
    Ok(())
}

/// Runs a command whose own words go to the terminal.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("it ended with {status}");
    }
    Ok(())
}
