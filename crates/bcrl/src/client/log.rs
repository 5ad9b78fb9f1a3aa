//! `bcrl log`: what a job's script wrote to stderr.

use job_core::ids::JobId;

use super::error::Error;
use super::exit::Exit;
use super::{Client, result};

/// What `bcrl log` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The log can be fetched while the job runs; it is what has been written until now.

Example:
  bcrl log 0190a6f0-1c2d-7abc-8def-0123456789ab | tail")]
pub struct LogArgs {
    /// Job id
    #[arg(value_name = "UUID")]
    id: JobId,
}

pub(super) async fn run(args: &LogArgs, client: &Client) -> Result<Exit, Error> {
    let mut download = client.server.log(args.id).await?;
    result::print_as_it_comes(&mut download, client).await?;
    Ok(Exit::Done)
}
