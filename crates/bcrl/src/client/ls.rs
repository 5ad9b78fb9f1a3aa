//! `bcrl ls`: the list of jobs.

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use job_core::status::Status;

use super::error::Error;
use super::exit::Exit;
use super::job::Job;
use super::settings::Format;
use super::{Client, show};

/// Most jobs that the server sends at once.
const PAGE: usize = 1000;

/// What `bcrl ls` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Dates are in the local time zone. `took` is the time from the request to the end.

Examples:
  bcrl ls --status failed --limit 5
  bcrl ls --api soc --json | jq -r .uuid
  bcrl ls --quiet --status pending | bcrl cancel -")]
pub struct LsArgs {
    /// Only jobs of this status
    #[arg(long, value_parser = PossibleValuesParser::new(Status::ALL.map(Status::as_str)))]
    status: Option<String>,

    /// Only jobs of this API
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    api: Option<String>,

    /// Most jobs to list
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub(super) async fn run(args: &LsArgs, client: &Client) -> Result<Exit, Error> {
    let mut left = args.limit as usize;
    let mut cursor = None;
    let mut rows = Vec::new();
    while left > 0 && !client.terminal.is_closed() {
        let page = client.server.jobs(&query(args, left, cursor)).await?;
        for job in page.jobs.iter().take(left) {
            match client.terminal.format {
                Format::Human => rows.push(row(job)),
                Format::Json | Format::Quiet => client.print_job(job, "")?,
            }
        }
        left = left.saturating_sub(page.jobs.len());
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if client.terminal.format == Format::Human {
        print_table(&rows, client)?;
    }
    Ok(Exit::Done)
}

fn query(args: &LsArgs, left: usize, cursor: Option<String>) -> Vec<(&'static str, String)> {
    let parts = [
        ("status", args.status.clone()),
        ("api", args.api.clone()),
        ("limit", Some(left.min(PAGE).to_string())),
        ("cursor", cursor),
    ];
    parts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn row(job: &Job) -> [String; 5] {
    [
        job.uuid.to_string(),
        job.api.clone(),
        job.status.to_string(),
        job.request_date.map(show::local).unwrap_or_default(),
        job.took().map(show::time).unwrap_or_default(),
    ]
}

fn print_table(rows: &[[String; 5]], client: &Client) -> Result<(), Error> {
    if rows.is_empty() {
        client.terminal.note("no jobs");
        return Ok(());
    }
    let head = ["id", "api", "status", "requested", "took"];
    client.terminal.print(&show::table(head, rows))
}
