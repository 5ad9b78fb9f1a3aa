//! The command `bcrl-log-batch`: one enum of what it can be, one match.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use boot::{Clock, Parts, Settings, Shutdown};
use clap::{Parser, Subcommand};
use log_batch::Config;
use log_batch::commands::{self, run, status};

/// Counts the access log of each day into the database.
///
/// Without a command it runs until SIGTERM or Ctrl-C: it counts at its start, every night, and when somebody asks.
/// Settings come from bcrl.toml and BCRL_… variables.
#[derive(Parser)]
#[command(version, name = "bcrl-log-batch")]
#[command(after_help = "\
Examples:
  bcrl-log-batch                             run until Ctrl-C
  bcrl-log-batch run                         count every day that is due, then end
  bcrl-log-batch run --day today --force     count today as far as it goes
  bcrl-log-batch status                      which days are counted?

Exit codes: 0 well, 1 trouble (a line on standard error says which), 78 settings that cannot be used.")]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    /// The settings' file [default: bcrl.toml, where it exists]
    #[arg(long, global = true, env = "BCRL_CONFIG")]
    config: Option<PathBuf>,
    /// Print the settings that are in force, and end
    #[arg(long)]
    print_config: bool,
}

#[derive(Subcommand)]
enum Role {
    /// Count days now: all that are due, or one
    Run(run::RunArgs),
    /// Which days are counted, which are due, and what was wrong with them
    Status(status::StatusArgs),
    /// Bring the database's tables up to date; every other command does so, too
    Migrate,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let file = cli.config.as_deref();
    match cli.role {
        Some(Role::Run(args)) => count(file, &args),
        Some(Role::Status(args)) => ask(file, async |config, parts| {
            status::status(&config, &parts, &args).await
        }),
        Some(Role::Migrate) => ask(file, async |config, parts| {
            commands::migrate(&config, &parts).await
        }),
        None if cli.print_config => boot::run::print_config(file, |_| {}),
        None => boot::main(
            file,
            |_| {},
            async |settings, clock, shutdown| {
                let parts = Parts::of_this_process(clock);
                log_batch::run(Config::new(&settings)?, parts, shutdown).await
            },
        ),
    }
}

/// Counts now; what came of it stands in the log.
fn count(file: Option<&Path>, args: &run::RunArgs) -> ExitCode {
    // The command's own; trouble has another.
    let mut code = ExitCode::SUCCESS;
    let work = async |settings: Settings, clock: Clock, shutdown: Shutdown| {
        let (config, parts) = (Config::new(&settings)?, Parts::of_this_process(clock));
        tokio::select! {
            counted = run::run(&config, &parts, args) => code = counted?,
            () = shutdown.cancelled() => anyhow::bail!("interrupted; the next run counts what is missing"),
        }
        Ok(())
    };
    let outcome = boot::main(file, |_| {}, work);
    if outcome == ExitCode::SUCCESS {
        code
    } else {
        outcome
    }
}

/// Asks or changes the database, without a log: standard output is the answer's.
fn ask(
    file: Option<&Path>,
    work: impl AsyncFnOnce(Config, Parts) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    let settings = match boot::run::settings(file, |_| {}) {
        Ok(settings) => settings,
        Err(error) => return boot::run::told(&error.to_string(), boot::run::EX_CONFIG),
    };
    let done = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let parts = Parts::of_this_process(Clock::new(settings.timezone));
        runtime.block_on(work(Config::new(&settings)?, parts))
    };
    done().unwrap_or_else(|error| boot::run::failed(&error))
}
