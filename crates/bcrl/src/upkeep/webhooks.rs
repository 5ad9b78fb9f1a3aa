//! `bcrl webhooks`: whom jobs' ends are told, and what came of it.

use std::process::ExitCode;

use boot::secret::Secret;
use clap::Subcommand;
use job_core::ids::JobId;
use job_core::queue::Queue;
use job_core::status::Status;
use job_core::webhook::{Standing, Webhook};
use serde::Serialize;
use shared_folder::SharedFolder;

use super::{Place, open, print, shown, with_site};

/// What `bcrl webhooks` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A job that was submitted with ?webhook=URL has that URL told when it has ended. What was not taken
is sent again for three days, and then given up.

Exit codes: 0 done, 1 a job has no webhook, 2 the call was wrong, 8 the folder could not be worked
on, 78 the settings cannot be used.

Examples:
  bcrl webhooks ls
  bcrl webhooks show 0190a6f0-1c2d-7abc-8def-0123456789ab
  bcrl webhooks replay 0190a6f0-1c2d-7abc-8def-0123456789ab
  (umask 077; bcrl webhooks secret > /etc/bcrl.webhook)")]
pub struct WebhooksArgs {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List those that were not delivered, the oldest job first
    Ls {
        /// Those that were delivered as well
        #[arg(long)]
        all: bool,
        /// Print one JSON document a line
        #[arg(long)]
        json: bool,
    },
    /// Print what is known of one
    Show {
        /// Its job's id
        uuid: JobId,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Have events sent anew, as the same events, whatever became of them
    Replay {
        /// Their jobs' ids
        #[arg(required = true, value_name = "UUID")]
        uuids: Vec<JobId>,
    },
    /// Print a new secret to sign with, for webhook.secrets or a file of webhook.secret_files
    Secret,
}

/// Lists, shows or sends anew what receivers are told, or makes a secret.
pub fn main(args: &WebhooksArgs) -> ExitCode {
    with_site(&args.place, |site| match &args.command {
        Command::Ls { all, json } => list(&open(site)?, *all, *json),
        Command::Show { uuid, json } => show(&open(site)?, *uuid, *json),
        Command::Replay { uuids } => replay(&open(site)?, uuids),
        Command::Secret => print_secret(),
    })
}

/// A webhook with its job, as it is told.
#[derive(Debug, Serialize)]
struct Told {
    uuid: JobId,
    /// The job's status by the index; absent where that does not know the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    standing: Word,
    #[serde(flatten)]
    webhook: Webhook,
}

/// How an event stands, by the word that programs know it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Waiting,
    Due,
    Delivered,
    GivenUp,
}

impl Told {
    fn new(uuid: JobId, webhook: Webhook, queue: &Queue) -> Self {
        let status = queue.get(uuid).map(|entry| entry.status());
        let has_ended = status.is_some_and(Status::is_final);
        Told {
            uuid,
            status,
            standing: match webhook.standing() {
                Standing::Open(_) if has_ended => Word::Due,
                Standing::Open(_) => Word::Waiting,
                Standing::Delivered(_) => Word::Delivered,
                Standing::GivenUp => Word::GivenUp,
            },
            webhook,
        }
    }

    fn text(&self, json: bool) -> anyhow::Result<String> {
        if json {
            return Ok(format!("{}\n", serde_json::to_string(self)?));
        }
        let webhook = &self.webhook;
        let stands = match (self.standing, webhook.standing()) {
            (Word::Waiting, _) => "waits for the job's end".to_owned(),
            (_, Standing::Open(next)) => format!("is due at {next}{}", self.tries()),
            (_, Standing::Delivered(date)) => format!("was delivered at {date}{}", self.tries()),
            (_, Standing::GivenUp) => format!("was given up{}", self.tries()),
        };
        let status = self.status.map_or("unknown", Status::as_str);
        Ok(format!(
            "{}  {status}: {stands}\n    {}\n",
            self.uuid,
            shown(&webhook.url)
        ))
    }

    /// How often it was tried, and what came of the last time.
    fn tries(&self) -> String {
        let webhook = &self.webhook;
        let last = match (webhook.last_status, &webhook.last_error) {
            (Some(status), _) => format!(", answered with {status}"),
            (None, Some(error)) => format!(", {}", shown(error)),
            (None, None) => String::new(),
        };
        match webhook.tries {
            0 => String::new(),
            1 => format!(" (1 try{last})"),
            tries => format!(" ({tries} tries{last})"),
        }
    }
}

fn list(folder: &SharedFolder, all: bool, json: bool) -> anyhow::Result<ExitCode> {
    let queue = folder.queue()?;
    let mut text = String::new();
    for uuid in folder.webhooks()? {
        // What is gone by now, or cannot be understood, is the deliverer's to look at.
        let Some(webhook) = folder.webhook(uuid)? else {
            continue;
        };
        let told = Told::new(uuid, webhook, &queue);
        if all || told.standing != Word::Delivered {
            text.push_str(&told.text(json)?);
        }
    }
    match (text.is_empty(), json, all) {
        (true, false, true) => print(b"no job has a webhook\n")?,
        (true, false, false) => print(b"no webhook is undelivered\n")?,
        _ => print(text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(folder: &SharedFolder, uuid: JobId, json: bool) -> anyhow::Result<ExitCode> {
    let Some(webhook) = folder.webhook(uuid)? else {
        return Ok(missing(uuid));
    };
    let told = Told::new(uuid, webhook, &folder.queue()?);
    let mut text = told.text(json)?;
    if !json {
        text.push_str(&format!("    event {}\n", shown(&told.webhook.event_id)));
    }
    print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn replay(folder: &SharedFolder, uuids: &[JobId]) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for uuid in uuids {
        if folder.replay_webhook(*uuid)? {
            print(
                format!("{uuid} is sent anew as soon as an API server that delivers sees it\n")
                    .as_bytes(),
            )?;
        } else {
            code = missing(*uuid);
        }
    }
    Ok(code)
}

fn print_secret() -> anyhow::Result<ExitCode> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    print(format!("{}\n", Secret::text_of(&bytes)).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn missing(uuid: JobId) -> ExitCode {
    boot::run::told(
        &format!("{uuid} has no webhook; see bcrl webhooks ls --all"),
        1,
    )
}
