//! What `bcrl-sim app-server` is told by whoever types it.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;
use job_core::ids::{ApiName, WorkerId};

use super::scenario::Percent;

/// What `bcrl-sim app-server` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It uses the site's settings, as the services do: shared folder, lease, heartbeat, watching and log come \
from bcrl.toml and BCRL_… variables (BCRL_SHARED_DIR, BCRL_WORKER__LEASE, …). The log is on stdout; on \
stderr there is a line every 5 s in which something happened, and a summary at the end.

What becomes of a job depends on the seed and the job's id alone, at every run of the job and on every \
simulated APP server with this seed. So a job that is to kill its server does so again where it is \
rescued by one with the same seed, until its API allows no more losses. Without --seed each start has \
another one, which the log names.

Limits of the APIs are kept where they concern claiming (concurrency) and rescue (attempts). Time, \
memory and retries are not looked at, as no script runs. Old jobs are left to a real worker to remove.

Ctrl-C and SIGTERM give running jobs back to the queue. The APIs stay known afterwards, like those of a \
real worker that is down, and jobs for them wait. With --withdraw they go.

Exit codes: 0 well, whatever became of the jobs; 1 trouble; 2 the call was wrong; 78 settings that \
cannot be used.

Examples:
  bcrl-sim app-server                           offer soc and add, answer after 2 s
  bcrl-sim app-server --apps-dir apps           offer what a real one would, routes and schemas too
  bcrl-sim app-server --api fit --takes 10s --answer fit.json
  bcrl-sim app-server --takes 5s --die 100      take a job and die over it
  bcrl-sim app-server --once --takes 0s         empty the queue")]
pub struct AppServerArgs {
    /// An API to offer; may be repeated [default: soc and add]
    #[arg(long = "api", value_name = "NAME", action = ArgAction::Append)]
    pub apis: Vec<ApiName>,

    /// Offer the APIs of this folder of apps instead; it is read once
    #[arg(long, value_name = "DIR", conflicts_with = "apis")]
    pub apps_dir: Option<PathBuf>,

    /// How long a job takes
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    pub takes: Duration,

    /// How far the time of a single job may be off, in percent of --takes, either way
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    pub jitter: Percent,

    /// The JSON document that every job that is done answers with [default: an echo of the request]
    #[arg(long, value_name = "FILE")]
    pub answer: Option<PathBuf>,

    /// How many jobs run at once [default: worker.concurrency, else the number of cores]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<NonZeroU32>,

    /// So many of a hundred jobs fail, as if their script exited with 1
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    pub fail: Percent,

    /// So many of a hundred jobs never end by themselves, while the heartbeat goes on
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    pub hang: Percent,

    /// So many of a hundred jobs make this process kill itself (SIGKILL) half-way through them
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    pub die: Percent,

    /// What all chance comes from, so that a run can be repeated [default: another one at each start]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,

    /// Run what waits in the queue, then end
    #[arg(long)]
    pub once: bool,

    /// End after so many jobs have ended here
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub jobs: Option<u64>,

    /// The name under which it stands beside real workers
    #[arg(long, default_value = "sim", value_parser = worker_name)]
    pub name: String,

    /// Take the APIs off the list at the end
    #[arg(long)]
    pub withdraw: bool,

    /// The settings' file [default: bcrl.toml, where it exists]
    #[arg(long, value_name = "FILE", env = "BCRL_CONFIG")]
    pub config: Option<PathBuf>,
}

fn worker_name(text: &str) -> Result<String, job_core::ids::InvalidName> {
    WorkerId::new(text, uuid::Uuid::nil()).map(|_| text.to_owned())
}
