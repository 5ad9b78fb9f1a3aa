//! `bcrl-log-batch run`: counts now, and says what came of it.

use std::process::ExitCode;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;
use boot::Parts;
use indicatif::{ProgressBar, ProgressStyle};
use job_core::date::Date;
use job_core::day::{Day, NoDay};
use log_db::run::RunResult;

use crate::batch::{Batch, State, Tell};
use crate::config::Config;
use crate::count::Progress;
use crate::due;

/// What `run` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// Only this day: 2026-11-20, yesterday or today [default: every day that is due]
    #[arg(long)]
    day: Option<WhichDay>,
    /// Count the day although it is counted already, is not over, or has lost a file since
    #[arg(long, requires = "day")]
    force: bool,
}

/// A day as people say it.
#[derive(Debug, Clone, Copy)]
enum WhichDay {
    Today,
    Yesterday,
    This(Day),
}

impl FromStr for WhichDay {
    type Err = NoDay;

    fn from_str(text: &str) -> Result<Self, NoDay> {
        match text {
            "today" => Ok(WhichDay::Today),
            "yesterday" => Ok(WhichDay::Yesterday),
            text => text.parse().map(WhichDay::This),
        }
    }
}

impl WhichDay {
    fn day(self, now: Date) -> Day {
        match self {
            WhichDay::Today => Day::of(now),
            WhichDay::Yesterday => Day::of(now).plus(-1),
            WhichDay::This(day) => day,
        }
    }
}

/// Counts one day, or every day that is due. A day without a file is no failure.
///
/// # Errors
/// Where the database is away, the folder cannot be read, or the day needs `--force`.
pub async fn run(config: &Config, parts: &Parts, args: &RunArgs) -> anyhow::Result<ExitCode> {
    let batch = Batch::new(config, parts.clock);
    batch.db().migrate().await?;
    let tell = bar();
    let failed = match args.day {
        None => !batch.catch_up(&tell).await?.is_empty(),
        Some(day) => {
            let now = parts.clock.now();
            let (day, today) = (day.day(now), Day::of(now));
            if !args.force && !is_wanted(&batch.state().await?, day, today)? {
                tracing::info!(%day, "the day is counted already; --force counts it again");
                return Ok(ExitCode::SUCCESS);
            }
            batch.run_day(day, &tell).await? == RunResult::Failed
        }
    };
    batch.db().close().await;
    Ok(ExitCode::from(u8::from(failed)))
}

/// Whether a day is to be counted without force.
fn is_wanted(state: &State, day: Day, today: Day) -> anyhow::Result<bool> {
    if day >= today && state.days.contains_key(&day) {
        bail!(
            "{day} is not over, and what is counted now would be a part of it; --force counts it"
        );
    }
    let (Some(files), Some(run)) = (state.days.get(&day), state.counted.get(&day)) else {
        return Ok(true);
    };
    if let Some(file) = due::missing(files, run) {
        bail!(
            "{} was counted and is gone: what is stored of it would be lost; --force counts what is there",
            file.name
        );
    }
    let due = due::due(&state.days, &state.counted, today);
    Ok(due.iter().any(|(due, _)| *due == day))
}

/// A bar over the bytes of each day; hidden where standard error is no terminal. It is gone before the log speaks.
fn bar() -> Tell {
    let style = ProgressStyle::with_template(
        "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    )
    .expect("the template is fine");
    let shown = Mutex::new(ProgressBar::hidden());
    Arc::new(move |progress| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Begins { day, bytes } => {
                let bar = ProgressBar::new(bytes).with_style(style.clone());
                *shown = bar.with_message(day.to_string());
            }
            Progress::Read(bytes) => shown.inc(bytes),
            Progress::Ends => shown.finish_and_clear(),
        }
    })
}
