//! The command `bcrl-sim`: one enum of what it can be, one match.

use std::path::PathBuf;
use std::process::ExitCode;

use boot::Parts;
use clap::{Parser, Subcommand};
use simulator::app_server::{self, AppServerArgs, Config};
use simulator::client::{self, ClientArgs};

/// Plays the APP server or the clients, for whoever has only one of the two sides yet.
#[derive(Parser)]
#[command(version, name = "bcrl-sim", disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  bcrl-sim app-server --takes 2s --jitter 50      answer every job after 1 to 3 s
  bcrl-sim app-server --fail 10 --hang 1          and let some of them go wrong
  bcrl-sim client --api add num1=12 num2=23       submit 100 jobs, 10 a second, and measure

`bcrl-sim app-server --help` and `bcrl-sim client --help` say the rest.")]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

/// What a process of this command is.
#[derive(Subcommand)]
enum Role {
    /// Play the APP server: claim jobs and end them without running any script
    AppServer(AppServerArgs),
    /// Play the clients: submit jobs at a rate, follow them, and tell how long all took
    Client(ClientArgs),
    /// The second process of the folder's self-test
    #[command(hide = true)]
    LockProbe { path: PathBuf },
}

fn main() -> ExitCode {
    match &Cli::parse().role {
        Role::LockProbe { path } => shared_folder::self_test::probe(path),
        Role::Client(args) => client::main(args),
        Role::AppServer(args) => boot::main(
            args.config.as_deref(),
            |_| {},
            |settings, clock, shutdown| async move {
                let config = Config::new(&settings, args)?;
                app_server::run(config, Parts::of_this_process(clock), shutdown).await
            },
        ),
    }
}
