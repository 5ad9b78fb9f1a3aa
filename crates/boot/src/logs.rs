//! The process's own log, on standard output.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::FormatTime;

use crate::clock::Clock;
use crate::settings::{Log, LogFormat};

/// Libraries that are heard only when something is wrong; of the HTTP parser, to which any stranger's garbage is an
/// error, nothing.
const QUIET: &str = "actix_http=off,actix_server=warn,tokio_cron_scheduler=warn";

/// Sends the log where the settings say. Called once, before anything else speaks.
///
/// # Errors
/// Where `log.level` cannot be read.
pub fn start(log: &Log, clock: Clock) -> Result<(), String> {
    // What libraries say of their own start is of no use to operators; a level for them can still be named.
    let level = format!("{QUIET},{}", log.level);
    let filter = EnvFilter::try_new(level).map_err(|error| format!("log.level: {error}"))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(InZone(clock))
        .with_target(false);
    let started = match log.format {
        LogFormat::Lines => lines.with_ansi(std::io::stdout().is_terminal()).try_init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_target(true)
            .try_init(),
    };
    started.map_err(|error| error.to_string())
}

/// Times in the log are in the site's zone, like all others.
struct InZone(Clock);

impl FormatTime for InZone {
    fn format_time(
        &self,
        writer: &mut tracing_subscriber::fmt::format::Writer<'_>,
    ) -> std::fmt::Result {
        write!(writer, "{}", self.0.now())
    }
}
