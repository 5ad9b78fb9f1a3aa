//! What `bcrl-sim client` is told.

use std::num::NonZeroUsize;
use std::time::Duration;

use job_core::ids::ApiName;

use super::body::Pair;
use super::rate::Rate;

/// What `bcrl-sim client` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each job is submitted when its turn comes, whatever became of those before it, and every latency is \
measured from the moment at which the job was to be sent. So a server that stalls does not slow the \
submitting down, and the stall shows in the latencies of all jobs that fell into it. With --concurrency \
a job may have to wait after its turn has come; that wait counts.

  submit          until the server's 202
  submit to done  until it was seen here that the job is done
  by the dates    from the job's request_date to its finished_date, by the clocks of the two servers

A job is looked at as seldom as the server asks for (Retry-After), which is up to 30 s while many wait. \
`submit to done` holds that pause; with --ignore-retry-after it does not. A server in trouble (429, 5xx) \
is always heard, and given up after 30 s.

Of each job that is done the result is fetched, and has to be JSON. No job is submitted twice.

The summary is on stdout; a progress bar is on stderr where that is a terminal. Ctrl-C ends submitting \
and looking, not the jobs, and the summary tells what was so far.

Exit codes: 0 all jobs are done; 1 some are not (refused, failed, canceled, or with an error); 2 the \
call was wrong; 4 the server could not be reached, or a connection to it broke; 130 Ctrl-C.

Environment:
  BCRL_URL  address of the API server, as --url
  BCRL_KEY  key that is sent to it; no option, because others can read a command line

Examples:
  bcrl-sim client --api add num1=12 num2=23
  bcrl-sim client --api soc --body apps/soc/example.json --rate 2/s --jobs 20
  bcrl-sim client --api add num1=1 num2=2 --rate 50/s --jobs 10000 --json > load.json")]
pub struct ClientArgs {
    /// Address of the API server
    #[arg(
        long,
        env = "BCRL_URL",
        default_value = "http://127.0.0.1:8080",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub url: String,

    /// The API that all jobs are for
    #[arg(long, value_name = "NAME")]
    pub api: ApiName,

    /// How many jobs are submitted in which time, such as 10/s, 90/m or 20/h
    #[arg(long, value_name = "RATE", default_value = "10/s")]
    pub rate: Rate,

    /// How many jobs are submitted in all
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: u32,

    /// Most jobs under way at once, from being submitted to their end [default: no limit]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<NonZeroUsize>,

    /// File with the body, `-` for stdin; pairs are merged over it [default: {}]
    #[arg(long, value_name = "FILE")]
    pub body: Option<String>,

    /// Member of the body: JSON, or else a string
    #[arg(value_name = "KEY=VALUE", value_parser = Pair::parse)]
    pub pairs: Vec<Pair>,

    /// Least time between two looks at a job
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = humantime::parse_duration)]
    pub poll: Duration,

    /// Look every --poll, also where the server asks to be left alone for longer
    #[arg(long)]
    pub ignore_retry_after: bool,

    /// Longest time to wait for the end of a job that was accepted [default: as long as it takes]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,

    /// Print the summary as one JSON document, and no progress
    #[arg(long)]
    pub json: bool,
}
