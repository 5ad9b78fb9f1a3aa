//! `bcrl-log-batch status`: which days are counted, and what is due.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::ExitCode;

use boot::Parts;
use job_core::day::Day;
use log_db::run::{Run, RunResult};
use serde::Serialize;

use super::print;
use crate::batch::{Batch, State};
use crate::config::Config;
use crate::due;

/// What `status` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct StatusArgs {
    /// As JSON, with everything that is known of each day
    #[arg(long)]
    json: bool,
}

/// Everything that is known, newest day first.
#[derive(Debug, Serialize)]
struct Status {
    log_dir: String,
    days: Vec<DayStatus>,
    /// Days that somebody wants counted again.
    requested: Vec<Day>,
}

#[derive(Debug, Serialize)]
struct DayStatus {
    day: Day,
    /// The bytes of its files, where it has some.
    bytes: Option<u64>,
    /// Whether the next run counts it.
    is_due: bool,
    /// Whether its rows are in the database.
    is_stored: bool,
    /// Its last run.
    run: Option<Run>,
}

/// Prints which days there are, which of them are counted, and what is due.
///
/// # Errors
/// Where the database is away or has no tables, or the folder cannot be read.
pub async fn status(config: &Config, parts: &Parts, args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let batch = Batch::new(config, parts.clock);
    batch.db().migrate().await?;
    let state = batch.state().await?;
    let requests = batch.db().open_requests().await?;
    batch.db().close().await;
    let status = Status {
        log_dir: config.log_dir.display().to_string(),
        days: days(&state, Day::of(parts.clock.now())),
        requested: requests.iter().map(|request| request.day).collect(),
    };
    if args.json {
        let mut text = serde_json::to_string_pretty(&status)?;
        text.push('\n');
        print(&text);
    } else {
        print(&table(&status, parts));
    }
    Ok(ExitCode::SUCCESS)
}

fn days(state: &State, today: Day) -> Vec<DayStatus> {
    let due: BTreeSet<Day> = due::due(&state.days, &state.counted, today)
        .into_iter()
        .filter(|(_, why)| *why != due::Why::Recent)
        .map(|(day, _)| day)
        .collect();
    let known: BTreeSet<Day> = state
        .days
        .keys()
        .chain(state.last.keys())
        .copied()
        .collect();
    let status = |day: &Day| DayStatus {
        day: *day,
        bytes: state
            .days
            .get(day)
            .map(|files| files.iter().map(|file| file.size).sum()),
        is_due: due.contains(day),
        is_stored: state.counted.contains_key(day),
        run: state.last.get(day).cloned(),
    };
    known.iter().rev().map(status).collect()
}

/// A line a day.
fn table(status: &Status, parts: &Parts) -> String {
    let mut text = String::new();
    if status.days.is_empty() {
        writeln!(
            text,
            "no log file in {} yet, and nothing is counted",
            status.log_dir
        )
        .expect("text grows");
    } else {
        line(
            &mut text,
            [
                "day",
                "bytes",
                "result",
                "lines",
                "bad",
                "rows",
                "counted at",
            ],
        );
    }
    for day in &status.days {
        let bytes = day.bytes.map_or("-".into(), |bytes| bytes.to_string());
        let mut of_run = ["-".to_owned(), "-".into(), "-".into(), "-".into()];
        let mut result = "not counted";
        if let Some(run) = &day.run {
            let lines: u64 = run.files.iter().map(|file| file.lines).sum();
            let bad: u64 = run.files.iter().map(|file| file.bad_lines).sum();
            let at = run.started.moment().with_timezone(&parts.clock.zone());
            of_run = [
                lines.to_string(),
                bad.to_string(),
                run.rows.to_string(),
                at.format("%Y-%m-%d %H:%M:%S").to_string(),
            ];
            result = match run.result {
                RunResult::Done if day.is_due => "changed since",
                RunResult::Done => "done",
                RunResult::NoFile => "no file",
                RunResult::Failed => "failed",
            };
        }
        let [lines, bad, rows, at] = &of_run;
        line(
            &mut text,
            [&day.day.to_string(), &bytes, result, lines, bad, rows, at],
        );
        if let Some(message) = day.run.as_ref().and_then(|run| run.message.as_ref()) {
            writeln!(text, "            {message}").expect("text grows");
        }
        for file in day.run.iter().flat_map(|run| &run.files) {
            if let Some(refused) = &file.refused {
                writeln!(text, "            {}: not counted, {refused}", file.name)
                    .expect("text grows");
            }
        }
    }
    let due = status.days.iter().filter(|day| day.is_due).count();
    if due > 0 {
        writeln!(
            text,
            "\n{due} due at the next run; bcrl-log-batch run does it now"
        )
        .expect("text grows");
    }
    for day in &status.requested {
        writeln!(text, "{day} is to be counted again, as somebody asked").expect("text grows");
    }
    text
}

fn line(text: &mut String, columns: [&str; 7]) {
    let [day, bytes, result, lines, bad, rows, at] = columns;
    writeln!(
        text,
        "{day:<10}  {bytes:>14}  {result:<13}  {lines:>12}  {bad:>8}  {rows:>6}  {at}"
    )
    .expect("text grows");
}
