//! What an operator types.

pub mod run;
pub mod status;

use std::io::Write;
use std::process::ExitCode;

use boot::Parts;

use crate::batch::Batch;
use crate::config::Config;

/// Brings the database's tables up to date, and says so.
///
/// # Errors
/// Where the database is away, or of a newer version.
pub async fn migrate(config: &Config, parts: &Parts) -> anyhow::Result<ExitCode> {
    let batch = Batch::new(config, parts.clock);
    batch.db().migrate().await?;
    batch.db().close().await;
    print("the database's tables are up to date\n");
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output; whoever closed it has read enough.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
