//! `bcrl submit`: hands a job in, and with `--wait` sees it through to its result.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use job_core::ids::ApiName;
use job_core::status::Status;
use reqwest::header::HeaderValue;

use super::apis::ApiSummary;
use super::body::{self, Pair};
use super::error::Error;
use super::exit::Exit;
use super::follow::{Pauses, follow};
use super::job::Job;
use super::progress::JobLine;
use super::settings::Format;
use super::{Client, close_names, result, show, wait};

/// How often a submission is sent at most.
const TRIES: usize = 3;

/// What `bcrl submit` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A value is taken as JSON if it is JSON, else as a string: n=12 is a number, n='\"12\"' and name=Ada are strings.
Without --file and pairs the body is read from stdin, unless that is a terminal; an empty one is {}.
A connection that fails is tried 3 times; the job is made once, however often it was sent.

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

    /// Wait until the job has ended, and print its result
    #[arg(long, short)]
    wait: bool,

    /// Longest time to wait, such as 90s, 10m or 1h30m; without it as long as it takes
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = wait::parse_time)]
    timeout: Option<Duration>,

    /// Key by which the server knows this submission again, also from another run of this command; by default a new one
    #[arg(long, value_name = "KEY", value_parser = quoted_key)]
    idempotency_key: Option<HeaderValue>,
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
    let key = args.idempotency_key.clone().unwrap_or_else(new_key);
    client.if_interrupted(format!(
        "the server may have taken the job before it could say so; look with: {} ls",
        client.settings.command
    ));
    match send(&api, body, &key, client).await {
        Err(Error::Problem(problem)) if problem.status == 404 => {
            Err(with_close_names(Error::Problem(problem), &args.api, client).await)
        }
        other => other,
    }
}

/// Sends the submission, again where the connection fails. Then nobody knows whether the server has taken the job:
/// the key, the same each time, lets it answer with the job that it made at first. A server that does not know the
/// header ignores it, which is no worse than having none.
async fn send(
    api: &ApiName,
    body: String,
    key: &HeaderValue,
    client: &Client,
) -> Result<Job, Error> {
    let mut pauses = Pauses::new(Duration::from_millis(200), Duration::from_secs(1));
    let mut tries = 1;
    loop {
        match client.server.submit(api, body.clone(), key).await {
            Err(error) if tries < TRIES && is_worth_another_try(&error) => pauses.next().await,
            Err(error @ Error::Lost { .. }) => return Err(Error::Unanswered(Box::new(error))),
            other => return other,
        }
        tries += 1;
    }
}

fn is_worth_another_try(error: &Error) -> bool {
    match error {
        // The first try is not through yet.
        Error::Problem(problem) => problem.name() == "idempotency-in-progress",
        other => other.is_connection(),
    }
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

/// A key that nobody else has: a random UUID (RFC 9562 section 5.4).
fn new_key() -> HeaderValue {
    let mut random = [0; 16];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut random)
        .expect("the system has random bits");
    let hex = format!("{:032x}", u128::from_be_bytes(random));
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..],
    );
    quoted_key(&format!("{a}-{b}-4{c}-8{d}-{e}")).expect("a UUID can stand in a header")
}

/// The key as the header holds it: a string of structured fields (RFC 9651 section 3.3.3).
fn quoted_key(key: &str) -> Result<HeaderValue, String> {
    if key.is_empty() || !key.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("printable ASCII characters are due".into());
    }
    let escaped = key.replace('\\', "\\\\").replace('"', "\\\"");
    HeaderValue::try_from(format!("\"{escaped}\"")).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_quoted_for_its_header() {
        assert_eq!(quoted_key("order 7").unwrap(), r#""order 7""#);
        assert_eq!(quoted_key(r#"a"b\c"#).unwrap(), r#""a\"b\\c""#);
        for bad in ["", "a\nb", "鍵"] {
            assert!(quoted_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_two_keys_are_the_same() {
        let (one, other) = (new_key(), new_key());
        assert_ne!(one, other);
        assert_eq!(one.len(), 38);
    }
}
