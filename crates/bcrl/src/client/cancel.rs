//! `bcrl cancel`: asks for the end of jobs. A pending one is canceled at once, a running one when its script has ended.

use job_core::status::Status;

use super::Client;
use super::error::Error;
use super::exit::Exit;
use super::ids::{self, IdArg};
use super::job::Job;
use super::show::plain;

/// What `bcrl cancel` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A pending job is canceled at once. A running one is told to end; `bcrl wait` waits until it has.
A job that has already ended cannot be canceled: exit code 2.

Examples:
  bcrl cancel 0190a6f0-1c2d-7abc-8def-0123456789ab
  bcrl ls --quiet --status pending --api soc | bcrl cancel -")]
pub struct CancelArgs {
    /// Job ids; `-` reads them from stdin, one a line
    #[arg(value_name = "UUID", required = true)]
    ids: Vec<IdArg>,
}

pub(super) async fn run(args: &CancelArgs, client: &Client) -> Result<Exit, Error> {
    let ids = ids::read(&args.ids).await?;
    let cancel_one = async |id| {
        let job = client.server.cancel(id).await?;
        client.print_job(&job, &words(&job))
    };
    Ok(client.for_each(&ids, cancel_one).await)
}

fn words(job: &Job) -> String {
    match job.status {
        Status::Processing => format!("{} processing, its end is requested", job.uuid),
        _ => format!("{} {}", job.uuid, plain(&job.standing())),
    }
}
