//! `bcrl wait`: until jobs have ended. The exit code tells how.

use std::cell::RefCell;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use job_core::ids::JobId;
use job_core::status::Status;
use tokio::time::Instant;

use super::error::Error;
use super::exit::Exit;
use super::follow::follow;
use super::ids::{self, IdArg};
use super::job::Job;
use super::progress::JobLine;
use super::settings::Format;
use super::{Client, show};

/// How many jobs are watched at the same time; a server bears only so many waiting connections.
const AT_ONCE: usize = 8;

/// What `bcrl wait` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A line for each job that has ended is printed as it ends; with --quiet the ids of those that are done.
Ctrl-C ends the waiting, not the jobs. So does a server out of reach for 2 minutes, or for TIME.

Exit codes, of several jobs the worst:
  0 done, 3 canceled, 1 failed, 2 no such job, 4 not ended in time or server in trouble,
  130 Ctrl-C

Examples:
  bcrl wait 0190a6f0-1c2d-7abc-8def-0123456789ab --timeout 10m
  bcrl submit --quiet soc --file request.json | bcrl wait -")]
pub struct WaitArgs {
    /// Job ids; `-` reads them from stdin, one a line
    #[arg(value_name = "UUID", required = true)]
    ids: Vec<IdArg>,

    /// Longest time to wait, such as 90s, 10m or 1h30m; without it as long as it takes
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    timeout: Option<Duration>,
}

pub(super) async fn run(args: &WaitArgs, client: &Client) -> Result<Exit, Error> {
    let ids = ids::read(&args.ids).await?;
    let deadline = deadline(args.timeout);
    let left = RefCell::new(ids.clone());
    client.if_interrupted(again(&ids, client));
    let wait_for_one = async |id: JobId| {
        let exit = wait_for(id, deadline, client)
            .await
            .unwrap_or_else(|error| client.report(&error));
        left.borrow_mut().retain(|other| *other != id);
        client.if_interrupted(again(&left.borrow(), client));
        exit
    };
    let exits: Vec<Exit> = stream::iter(ids)
        .map(wait_for_one)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    Ok(Exit::worst(exits))
}

async fn wait_for(id: JobId, deadline: Option<Instant>, client: &Client) -> Result<Exit, Error> {
    let ended = {
        let line = JobLine::new(&client.terminal, id.to_string());
        follow(client, id, &line, deadline).await?
    };
    // A program that takes ids from here goes on with `bcrl result`, which only a done job has.
    if client.terminal.format != Format::Quiet || ended.status == Status::Done {
        client.print_job(&ended, &outcome(&ended))?;
    }
    Ok(Exit::of_job(ended.status))
}

fn outcome(job: &Job) -> String {
    // What a script said last may be long; `bcrl status` shows all of it.
    let standing = job.standing();
    let standing = show::plain(standing.lines().next().unwrap_or_default());
    match job.took().filter(|_| job.status == Status::Done) {
        Some(took) => format!("{} {standing} in {}", job.uuid, show::time(took)),
        None => format!("{} {standing}", job.uuid),
    }
}

/// How to wait for these jobs again.
pub(super) fn again(ids: &[JobId], client: &Client) -> String {
    let words: Vec<String> = ids.iter().map(JobId::to_string).collect();
    let what = match ids {
        [_] => "the job goes on; wait for it again with",
        _ => "the jobs go on; wait for them again with",
    };
    format!(
        "{what}: {} wait {}",
        client.settings.command,
        words.join(" ")
    )
}

/// When a time that begins now is over.
pub(super) fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// A time such as `90s`, `10m` or `1h30m`; a bare number is seconds.
pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text)
            .map_err(|error| format!("{error}; a time such as 90s, 10m or 1h30m is due")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_a_bare_number_is_seconds() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400)] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in ["", "-1", "soon", "10 parsecs"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_beyond_the_clock_is_no_deadline() {
        assert!(deadline(Some(Duration::MAX)).is_none());
        assert!(deadline(None).is_none());
    }
}
