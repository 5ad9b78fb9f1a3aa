//! `bcrl submit`: hands a job in, and with `--wait` sees it through to its result.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use job_core::ids::ApiName;
use job_core::status::Status;
use tokio::time::sleep;
use uuid::Uuid;

use super::apis::ApiSummary;
use super::body::{self, Pair};
use super::error::Error;
use super::exit::Exit;
use super::follow::{Pauses, follow};
use super::job::Job;
use super::problem::Problem;
use super::progress::JobLine;
use super::settings::Format;
use super::{Client, close_names, result, show, wait};

/// How often a submission is tried at most.
const TRIES: usize = 3;
/// Longest pause between two tries; where the server asks for a longer one, the user is the one to come back.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What `bcrl submit` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A value is taken as JSON if it is JSON, else as a string: n=12 is a number, n='\"12\"' and name=Ada are strings.
Without --file and pairs the body is read from stdin, unless that is a terminal; an empty one is {}.
Where no connection comes about or it breaks, or the server is busy (429, 503), it is tried 3 times in all, under one
Idempotency-Key: however many of them arrive, they make one job.

Examples:
  bcrl submit add num1=12 num2=23
  bcrl submit add num1=12 num2=23 --wait
  bcrl submit soc --file request.json temperature=25 --wait --timeout 10m > result.json
  make-request | bcrl submit soc
  bcrl submit --quiet soc --file request.json | bcrl wait -")]
pub struct SubmitArgs {
    /// Name of the API; `bcrl apis` lists them
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    api: String,

    /// Member of the body; key=@FILE reads its JSON from a file
    #[arg(value_name = "KEY=VALUE", value_parser = Pair::parse)]
    pairs: Vec<Pair>,

    /// File with the body, `-` for stdin; pairs are merged over it
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Have the server tell this URL when the job has ended
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    webhook: Option<String>,

    /// Wait until the job has ended, and print its result
    #[arg(long, short)]
    wait: bool,

    /// Longest time to wait, such as 90s, 10m or 1h30m; without it as long as it takes
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = wait::parse_time)]
    timeout: Option<Duration>,
}

pub(super) async fn run(args: &SubmitArgs, client: &Client) -> Result<Exit, Error> {
    let body = body::read(args.file.as_deref(), &args.pairs).await?;
    let job = submit(args, body, client).await?;
    if args.wait {
        return see_through(job, args.timeout, client).await;
    }
    client.print_job(&job, &format!("{} {}", job.uuid, job.status))?;
    client.terminal.note(&format!(
        "wait for it with: {} wait {}",
        client.settings.command, job.uuid
    ));
    Ok(Exit::Done)
}

async fn submit(args: &SubmitArgs, body: String, client: &Client) -> Result<Job, Error> {
    let Ok(api) = args.api.parse() else {
        let unknown = Error::UnknownApi {
            name: args.api.clone(),
            offered: Vec::new(),
        };
        return Err(with_close_names(unknown, &args.api, client).await);
    };
    match send(&api, body, args.webhook.as_deref(), client).await {
        Err(Error::Problem(problem)) if problem.status == 404 => {
            Err(with_close_names(Error::Problem(problem), &args.api, client).await)
        }
        other => other,
    }
}

/// Sends the submission, and again where nothing is known to have come of it: by its key the server knows it for the
/// same.
async fn send(
    api: &ApiName,
    body: String,
    webhook: Option<&str>,
    client: &Client,
) -> Result<Job, Error> {
    let key = Uuid::new_v4();
    let mut pauses = usual_pauses();
    for _ in 1..TRIES {
        let error = match send_once(api, body.clone(), webhook, key, client).await {
            Ok(job) => return Ok(job),
            Err(error) => error,
        };
        let Some(pause) = pause_before_next_try(&error, &mut pauses) else {
            return Err(error);
        };
        match &error {
            Error::Problem(problem) => tell_of_pause(problem, client),
            Error::Undecided(error) => client.terminal.warn(&format!("{error}; trying again")),
            _ => {}
        }
        if !matches!(error, Error::Undecided(_)) {
            client.if_interrupted("the job was not submitted".to_owned());
        }
        sleep(pause).await;
    }
    send_once(api, body, webhook, key, client).await
}

async fn send_once(
    api: &ApiName,
    body: String,
    webhook: Option<&str>,
    key: Uuid,
    client: &Client,
) -> Result<Job, Error> {
    client.if_interrupted(format!(
        "the job may have been taken; look with `{} ls` before submitting again",
        client.settings.command
    ));
    let sent = client.server.submit(api, body, webhook, key).await;
    sent.map_err(|error| match is_undecided(&error) {
        true => Error::Undecided(Box::new(error)),
        false => error,
    })
}

/// Whether the server may have taken the job although this came of it.
fn is_undecided(error: &Error) -> bool {
    match error {
        Error::Lost { .. } => true,
        // The server broke off in the middle, or a proxy did not get its answer.
        Error::Problem(problem) => matches!(problem.status, 500 | 502 | 504),
        _ => false,
    }
}

/// How long to wait before the submission is sent again; none where it must not be, or not that soon.
fn pause_before_next_try(error: &Error, pauses: &mut Pauses) -> Option<Duration> {
    match error {
        Error::Unreachable { .. } | Error::Undecided(_) => Some(pauses.step()),
        // Both say that nothing was done.
        Error::Problem(problem) if matches!(problem.status, 429 | 503) => {
            let due = Duration::from_secs(problem.retry_after.unwrap_or_default());
            Some(due.max(pauses.step())).filter(|pause| *pause <= LONGEST_PAUSE)
        }
        _ => None,
    }
}

fn usual_pauses() -> Pauses {
    Pauses::new(Duration::from_millis(200), Duration::from_secs(1))
}

fn tell_of_pause(problem: &Problem, client: &Client) {
    let when = match problem.retry_after {
        Some(seconds @ 1..) => format!(" in {seconds} s"),
        _ => String::new(),
    };
    client
        .terminal
        .warn(&format!("{problem}; trying again{when}"));
}

/// The same trouble with the names that may have been meant, where the server tells its APIs.
async fn with_close_names(error: Error, name: &str, client: &Client) -> Error {
    let Ok(apis) = ApiSummary::fetch_all(client).await else {
        return error;
    };
    let names = apis.iter().map(|api| api.name.as_str());
    if names.clone().any(|offered| offered == name) {
        return error;
    }
    Error::UnknownApi {
        name: name.to_owned(),
        offered: close_names::closest(name, names),
    }
}

async fn see_through(job: Job, timeout: Option<Duration>, client: &Client) -> Result<Exit, Error> {
    let id = job.uuid;
    client.if_interrupted(wait::again(&[id], client));
    let ended = {
        let line = line_of(&job, client);
        line.show(&job);
        follow(client, id, &line, wait::deadline(timeout)).await?
    };
    if ended.status != Status::Done {
        if client.terminal.format == Format::Json {
            client.print_job(&ended, "")?;
        }
        return Err(Error::NoResult(Box::new(ended)));
    }
    if let Some(took) = ended.took() {
        client
            .terminal
            .note(&format!("{id} done in {}", show::time(took)));
    }
    client.if_interrupted(format!(
        "fetch the result again with: {} result {id}",
        client.settings.command
    ));
    result::print(id, client).await?;
    Ok(Exit::Done)
}

/// Beside a bar there is room for the API's name; the id stands above, where it stays.
fn line_of<'a>(job: &Job, client: &'a Client) -> JobLine<'a> {
    let id = job.uuid.to_string();
    if client.terminal.shows_bars() {
        client.terminal.note(&format!("{id} submitted"));
        JobLine::new(&client.terminal, job.api.clone())
    } else {
        JobLine::new(&client.terminal, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(error: &Error) -> Option<Duration> {
        pause_before_next_try(error, &mut usual_pauses())
    }

    fn problem(status: u16, retry_after: Option<u64>) -> Error {
        Problem {
            status,
            retry_after,
            ..Problem::default()
        }
        .into()
    }

    #[test]
    fn what_may_come_to_something_is_tried_again() {
        let (url, cause) = ("http://a".to_owned(), "refused".to_owned());
        let soon = usual_pauses().step();
        for (error, expected) in [
            (
                Error::Unreachable {
                    url: url.clone(),
                    cause: cause.clone(),
                },
                Some(soon),
            ),
            (
                Error::Undecided(Box::new(Error::Lost { url, cause })),
                Some(soon),
            ),
            (problem(503, None), Some(soon)),
            (problem(503, Some(0)), Some(soon)),
            (problem(503, Some(15)), Some(Duration::from_secs(15))),
            (problem(429, Some(60)), Some(Duration::from_secs(60))),
            (problem(429, Some(61)), None),
            (problem(408, None), None),
            (problem(409, None), None),
            (problem(422, None), None),
            (problem(500, None), None),
            (problem(502, None), None),
            (problem(504, Some(1)), None),
            (problem(507, Some(1)), None),
        ] {
            assert_eq!(pause(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn only_what_leaves_it_open_lets_a_job_be_looked_for() {
        for (status, expected) in [
            (422, false),
            (429, false),
            (500, true),
            (502, true),
            (503, false),
            (504, true),
            (507, false),
        ] {
            assert_eq!(is_undecided(&problem(status, None)), expected, "{status}");
        }
    }
}
