//! Plays the clients: submits jobs at a rate, follows each to its end, and tells how long all took. It knows nothing of
//! the shared folder.
//!
//! The load is open: when a job is sent does not depend on how the server answered those before it, and its latency
//! is measured from the moment at which it was to be sent. Otherwise a server that stalls would hold up the measuring
//! as well, and hide its stalls from it (coordinated omission).
//!
//! In reading order:
//! - [`args`], [`rate`], [`body`]: what it is told.
//! - `load`: the jobs, each at its time; `server`: the one place that talks HTTP.
//! - `tally`, `report`: what was seen, and how it is told.

use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use boot::run::told;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, interval};

use load::{Load, Looks};
use report::Report;
use server::{Broken, Server};
use tally::Tally;

pub mod args;
pub mod body;
mod load;
pub mod rate;
mod report;
mod server;
mod tally;

pub use args::ClientArgs;

/// The exit code of a call that makes no sense.
const USAGE: u8 = 2;
/// The exit code where the server cannot be reached.
const UNREACHABLE: u8 = 4;
/// Between two looks of the progress bar at the numbers.
const BAR: Duration = Duration::from_millis(100);

/// Plays the clients until something became of every job, or until SIGTERM or Ctrl-C, and prints the summary.
pub fn main(args: &ClientArgs) -> ExitCode {
    // It may be there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let load = match load(args) {
        Ok(load) => Arc::new(load),
        Err(error) => return told(&format!("{error:#}"), USAGE),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return told(&format!("the runtime cannot be started: {error}"), 1),
    };
    if let Err(Broken(why)) = runtime.block_on(load.server.reach()) {
        let reason = format!("no connection to {}: {why}", load.server.url());
        return told(&reason, UNREACHABLE);
    }
    let report = match runtime.block_on(watch(&load, args.json)) {
        Ok(report) => report,
        Err(error) => return told(&format!("{error:#}"), 1),
    };
    // Whoever still waits for an answer is not waited for.
    runtime.shutdown_background();
    let text = match args.json {
        true => format!("{}\n", report.json()),
        false => report.text(),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::from(report.exit_code()),
        Err(error) => told(&format!("the summary cannot be written: {error}"), 1),
    }
}

fn load(args: &ClientArgs) -> anyhow::Result<Load> {
    Ok(Load {
        server: Server::new(&args.url, key().as_deref())?,
        api: args.api.clone(),
        body: body::read(args.body.as_deref(), &args.pairs)?,
        rate: args.rate,
        jobs: args.jobs,
        concurrency: args.concurrency.map(|limit| limit.get()),
        looks: Looks {
            every: args.poll,
            ignore_retry_after: args.ignore_retry_after,
        },
        timeout: args.timeout,
        tally: Mutex::new(Tally::new()),
    })
}

/// The key that is sent to the server; an option would stand in a command line that others can read.
fn key() -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the client has no settings file; this is its one reader"
    )]
    let key = std::env::var("BCRL_KEY").ok()?;
    Some(key).filter(|key| !key.is_empty())
}

/// Carries the load, and shows on stderr how far it is.
async fn watch(load: &Arc<Load>, is_for_program: bool) -> anyhow::Result<Report> {
    let begin = Instant::now();
    let signals = "signals cannot be waited for";
    let mut terminate = signal(SignalKind::terminate()).context(signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).context(signals)?;
    let bar = bar(load, is_for_program);
    let mut running = std::pin::pin!(load::run(load));
    let mut ticks = interval(BAR);
    let interrupted = loop {
        tokio::select! {
            () = &mut running => break false,
            _ = terminate.recv() => break true,
            _ = interrupt.recv() => break true,
            _ = ticks.tick() => move_bar(&bar, &load.tally()),
        }
    };
    bar.finish_and_clear();
    Ok(Report::new(load, begin.elapsed(), interrupted))
}

/// A bar where stderr is a terminal and a person looks at it.
fn bar(load: &Load, is_for_program: bool) -> ProgressBar {
    let target = match is_for_program {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr(),
    };
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {elapsed_precise} {msg}");
    let style = style.expect("the template is well formed");
    ProgressBar::with_draw_target(Some(load.jobs.into()), target)
        .with_style(style.progress_chars("━╸─"))
}

fn move_bar(bar: &ProgressBar, tally: &Tally) {
    let gone_wrong = tally.ended() - tally.done;
    bar.set_position(tally.ended());
    bar.set_message(format!(
        "{} done, {gone_wrong} not, {} under way",
        tally.done,
        tally.under_way()
    ));
}
