//! `bcrl status`: everything that is known about jobs.

use job_core::date::Date;

use super::error::Error;
use super::exit::Exit;
use super::ids::{self, IdArg};
use super::job::{Job, Spread};
use super::settings::Format;
use super::{Client, show};

/// What `bcrl status` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Dates are in the local time zone. Labels are Japanese where the locale (LC_ALL, LC_MESSAGES, LANG) is, else English.
The exit code is 0 whatever the status; `bcrl wait` tells it by its exit code.

Examples:
  bcrl status 0190a6f0-1c2d-7abc-8def-0123456789ab
  bcrl status --json 0190a6f0-1c2d-7abc-8def-0123456789ab | jq .progress")]
pub struct StatusArgs {
    /// Job ids; `-` reads them from stdin, one a line
    #[arg(value_name = "UUID", required = true)]
    ids: Vec<IdArg>,
}

pub(super) async fn run(args: &StatusArgs, client: &Client) -> Result<Exit, Error> {
    let ids = ids::read(&args.ids).await?;
    let show_one = async |id| {
        let job = client.server.job(id).await?.job;
        if client.terminal.format == Format::Human && id != ids[0] {
            client.terminal.print("")?;
        }
        client.print_job(&job, &show::fields(&describe(&job)))
    };
    Ok(client.for_each(&ids, show_one).await)
}

fn describe(job: &Job) -> Vec<(&'static str, String)> {
    let date = |date: Option<Date>| date.map(show::local);
    let api = match &job.label {
        Some(label) if *label != job.api => format!("{} ({label})", job.api),
        _ => job.api.clone(),
    };
    let run = match (job.attempt, &job.worker) {
        (Some(attempt), Some(worker)) => Some(format!("{attempt} on {worker}")),
        (Some(attempt), None) => Some(attempt.to_string()),
        (None, worker) => worker.as_ref().map(|worker| format!("on {worker}")),
    };
    let finished = date(job.finished_date).map(|date| match job.took() {
        Some(took) => format!("{date} ({} after the request)", show::time(took)),
        None => date,
    });
    let start = job.estimate.and_then(|estimate| estimate.start);
    let finish = job.estimate.map(|estimate| estimate.finish);
    let files: Vec<String> = job
        .files
        .iter()
        .map(|file| format!("{} ({})", file.name, show::size(file.size)))
        .collect();
    let known = [
        ("id", Some(job.uuid.to_string())),
        ("api", Some(api)),
        ("status", Some(job.standing())),
        (
            "cancel",
            job.cancel_requested.then(|| "requested".to_owned()),
        ),
        ("attempt", run),
        ("requested", date(job.request_date)),
        ("starts", start.map(expected)),
        ("started", date(job.started_date)),
        ("finishes", finish.map(expected)),
        ("finished", finished),
        ("retrieved", date(job.retrieved_date)),
        ("kept until", date(job.expires_date)),
        ("files", (!files.is_empty()).then(|| files.join("\n"))),
    ];
    known
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn expected(spread: Spread) -> String {
    let (median, late) = (show::local(spread.p50), show::local(spread.p90));
    format!("about {median}, in 9 of 10 cases by {late}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_has_no_line() {
        let json = r#"{"uuid":"0190a6f0-1c2d-7abc-8def-0123456789ab","api":"soc","label":"State of charge",
            "status":"failed","failure":{"reason":"exit_code","message":"exit code 1\nValueError: x"},
            "attempt":1,"worker":"app1","files":[{"name":"plot.pdf","size":12000}]}"#;
        let job = Job::parse(json.to_owned()).unwrap();
        assert_eq!(
            show::fields(&describe(&job)),
            "id       0190a6f0-1c2d-7abc-8def-0123456789ab\n\
             api      soc (State of charge)\n\
             status   failed: exit_code: exit code 1\n\
             \x20        ValueError: x\n\
             attempt  1 on app1\n\
             files    plot.pdf (12 kB)"
        );
    }
}
