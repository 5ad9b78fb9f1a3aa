//! The command `bcrl-worker`: one enum of what it can be, one match.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use boot::{Clock, Parts, Settings};
use clap::{Parser, Subcommand};
use job_core::ids::ApiName;
use worker::commands::{check, new, prepare, try_app};
use worker::{Config, Service, Until};

/// The worker on the APP server: takes jobs from the shared folder and runs the main.py of their API.
///
/// Without a command it runs until SIGTERM or Ctrl-C, then gives its running jobs back to the queue.
/// Settings come from bcrl.toml and BCRL_… variables.
#[derive(Parser)]
#[command(version, name = "bcrl-worker")]
#[command(after_help = "\
Examples:
  bcrl-worker                    run until Ctrl-C
  bcrl-worker --once             run what waits, then end (for a cron of your own)
  bcrl-worker new fit            an app folder to start from
  bcrl-worker try fit            run it on its example, without any queue
  bcrl-worker check              is everything in order on this host?

Exit codes: 0 well, 1 trouble (a line on standard error says which), 78 settings that cannot be used.")]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    /// The settings' file [default: bcrl.toml, where it exists]
    #[arg(long, global = true, env = "BCRL_CONFIG")]
    config: Option<PathBuf>,
    /// Run what waits in the queue, then end
    ///
    /// A job that waits for its retry (30 s, 2 min, then 10 min after a failure of its script) is left for a later
    /// call. Exit code 1 where what waits could not be claimed or run here.
    #[arg(long)]
    once: bool,
    /// Print the settings that are in force, and end
    #[arg(long)]
    print_config: bool,
}

#[derive(Subcommand)]
enum Role {
    /// Is everything in order here? Folder, locks, Python, apps
    Check,
    /// Install what each app's requirements.txt asks for, into its .venv
    Prepare {
        /// Only these apps
        apps: Vec<ApiName>,
    },
    /// Run an app on its example, exactly as a job would be run, without any queue
    Try {
        /// The app
        app: ApiName,
        /// A request to try instead of the example
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Make an app folder to start from
    New {
        /// The API's name, which is its folder's
        name: ApiName,
    },
    /// The supervisor of one run
    #[command(hide = true)]
    Exec { order: PathBuf },
    /// The second process of the folder's self-test
    #[command(hide = true)]
    LockProbe { path: PathBuf },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let file = cli.config.as_deref();
    match cli.role {
        Some(Role::Exec { order }) => worker::exec::run(&order),
        Some(Role::LockProbe { path }) => shared_folder::self_test::probe(&path),
        Some(Role::Check) => with_config(file, |config, parts| Ok(check::check(&config, &parts))),
        Some(Role::Prepare { apps }) => {
            with_config(file, |config, _| Ok(prepare::prepare(&config, &apps)))
        }
        Some(Role::New { name }) => with_config(file, |config, _| {
            new::new(&config.apps_dir, &name).map(|()| ExitCode::SUCCESS)
        }),
        Some(Role::Try { app, file: request }) => with_config(file, |config, parts| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(try_app::try_app(&config, &parts, &app, request.as_deref()))
        }),
        None if cli.print_config => boot::run::print_config(file, |_| {}),
        None => {
            let until = if cli.once {
                Until::Drained
            } else {
                Until::Shutdown
            };
            boot::main(
                file,
                |_| {},
                async |settings, clock, shutdown| {
                    let parts = Parts::of_this_process(clock);
                    let service = Service::start(Config::new(&settings)?, parts).await;
                    service?.run(shutdown, until).await
                },
            )
        }
    }
}

fn with_config(
    file: Option<&Path>,
    work: impl FnOnce(Config, Parts) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    let settings = match boot::run::settings(file, |_| {}) {
        Ok(settings) => settings,
        Err(error) => return boot::run::told(&error.to_string(), boot::run::EX_CONFIG),
    };
    let done = |settings: &Settings| {
        work(
            Config::new(settings)?,
            Parts::of_this_process(Clock::new(settings.timezone)),
        )
    };
    done(&settings).unwrap_or_else(|error| boot::run::failed(&error))
}
