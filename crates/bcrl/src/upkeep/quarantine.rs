//! `bcrl quarantine`: what was put aside, and why.

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use clap::Subcommand;
use shared_folder::{Quarantined, SharedFolder};

use super::{Place, Site, open, print, shown, with_site};

/// What `bcrl quarantine` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What cannot be used, such as a damaged index or a result that came after its job had ended, is
put aside with its reason, never thrown away. The worker removes it after 30 days.

Exit codes: 0 done, 1 there is nothing of that name, 2 the call was wrong, 8 the folder could not
be worked on, 78 the settings cannot be used.

Examples:
  bcrl quarantine ls
  bcrl quarantine show 20261120T120000.000-1f2e3d-status.json
  bcrl quarantine drop --older-than 7days")]
pub struct QuarantineArgs {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what was put aside, the oldest first
    Ls {
        /// Print one JSON document a line
        #[arg(long)]
        json: bool,
    },
    /// Print one thing as it is
    Show {
        /// Its name, as `ls` prints it
        name: String,
    },
    /// Throw things away for good
    Drop {
        /// Their names, as `ls` prints them
        #[arg(required_unless_present_any = ["older_than", "all"])]
        names: Vec<String>,
        /// All that were put aside longer ago than this, such as 7days
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with_all = ["names", "all"])]
        older_than: Option<Duration>,
        /// Everything
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
}

/// Lists, shows or empties the quarantine.
pub fn main(args: &QuarantineArgs) -> ExitCode {
    with_site(&args.place, |site| {
        let folder = open(site)?;
        match &args.command {
            Command::Ls { json } => list(&folder, *json),
            Command::Show { name } => show(&folder, name),
            Command::Drop {
                names,
                older_than,
                all,
            } => {
                let chosen = if *all {
                    older(site, &folder, Duration::ZERO)?
                } else if let Some(age) = older_than {
                    older(site, &folder, *age)?
                } else {
                    names.clone()
                };
                drop_all(&folder, &chosen)
            }
        }
    })
}

fn list(folder: &SharedFolder, json: bool) -> anyhow::Result<ExitCode> {
    let things = folder.quarantined()?;
    let line = |thing: &Quarantined| -> anyhow::Result<String> {
        if json {
            return Ok(format!("{}\n", serde_json::to_string(thing)?));
        }
        let reason = thing.reason.as_deref().unwrap_or("no reason was noted");
        let size = thing
            .size
            .map_or("no file".to_owned(), |size| format!("{size} bytes"));
        Ok(format!(
            "{}  {size}\n    {}\n",
            shown(&thing.name),
            shown(reason)
        ))
    };
    let lines: Vec<_> = things.iter().map(line).collect::<Result<_, _>>()?;
    match (lines.is_empty(), json) {
        (true, false) => print(b"nothing was put aside\n")?,
        _ => print(lines.concat().as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(folder: &SharedFolder, name: &str) -> anyhow::Result<ExitCode> {
    let Some(mut file) = folder.open_quarantined(name)? else {
        return Ok(missing(name));
    };
    let mut block = vec![0; 1 << 16];
    loop {
        let read = file
            .read(&mut block)
            .with_context(|| format!("read {name}"))?;
        if read == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        print(&block[..read])?;
    }
}

fn older(site: &Site, folder: &SharedFolder, age: Duration) -> anyhow::Result<Vec<String>> {
    let (now, age) = (site.clock.now(), TimeDelta::from_std(age)?);
    let things = folder.quarantined()?.into_iter();
    let old = |thing: &Quarantined| thing.date.is_none_or(|date| now.since(date) >= age);
    Ok(things.filter(old).map(|thing| thing.name).collect())
}

fn drop_all(folder: &SharedFolder, names: &[String]) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    let mut dropped = 0;
    for name in names {
        if folder.drop_quarantined(name)? {
            dropped += 1;
        } else {
            code = missing(name);
        }
    }
    print(format!("{dropped} thrown away\n").as_bytes())?;
    Ok(code)
}

fn missing(name: &str) -> ExitCode {
    boot::run::told(
        &format!(
            "the quarantine has nothing called {}; see bcrl quarantine ls",
            shown(name)
        ),
        1,
    )
}
