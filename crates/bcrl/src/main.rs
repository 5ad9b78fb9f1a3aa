//! The command `bcrl`: one enum of what it can be, one match.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use bcrl::upkeep::{fsck, quarantine, webhooks};
use bcrl::{client, up};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::{Generator, Shell};

/// Heavy computations as jobs: submit them, follow them, fetch what they made.
///
/// Exit codes: 0 done, 1 the job failed, 2 the call was wrong or the server refused the request, 3 the job was
/// canceled, 4 the server is not reachable or in trouble, 130 Ctrl-C (the job goes on).
#[derive(Parser)]
#[command(version, disable_help_subcommand = true)]
#[command(after_help = "\
Environment:
  BCRL_URL  address of the API server, as --url
  BCRL_KEY  key that is sent to it; no option, because others can read a command line

Examples:
  bcrl apis                                  which APIs there are
  bcrl apis add                              what one takes, with an example
  bcrl submit add num1=12 num2=23 --wait     submit, wait, print the result
  bcrl ls --status failed                    what went wrong lately")]
struct Cli {
    #[command(subcommand)]
    role: Role,
    #[command(flatten)]
    options: client::Options,
}

/// What a process of this command is. Roles that the services start as their own children are hidden ones.
#[derive(Subcommand)]
enum Role {
    /// Run all services in this process
    Up(up::UpArgs),
    #[command(flatten)]
    Client(client::Command),
    /// Check the shared folder, and mend it
    Fsck(fsck::FsckArgs),
    /// List, show or throw away what was put aside in the shared folder
    Quarantine(quarantine::QuarantineArgs),
    /// List, show or send anew what receivers are told of jobs' ends, or make a secret
    Webhooks(webhooks::WebhooksArgs),
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  bcrl completions bash > ~/.local/share/bash-completion/completions/bcrl"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// The supervisor of one run
    #[command(hide = true)]
    Exec {
        /// Its order
        order: PathBuf,
    },
    /// The second process of the folder's self-test
    #[command(hide = true)]
    LockProbe {
        /// The locked file
        path: PathBuf,
    },
}

/// The exit code of a command that the system did not let begin; 1 would say that a job failed.
const TROUBLE: u8 = 4;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.role {
        Role::Up(args) => return up::main(&args),
        Role::Exec { order } => return worker::exec::run(&order),
        Role::LockProbe { path } => return shared_folder::self_test::probe(&path),
        Role::Fsck(args) => return fsck::main(&args),
        Role::Quarantine(args) => return quarantine::main(&args),
        Role::Webhooks(args) => return webhooks::main(&args),
        Role::Client(command) => run_client(&command, &cli.options),
        Role::Completions { shell } => print_completions(shell),
    };
    outcome.unwrap_or_else(|error| {
        // Where stderr is gone, there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
        ExitCode::from(TROUBLE)
    })
}

fn run_client(command: &client::Command, options: &client::Options) -> anyhow::Result<ExitCode> {
    // It may be there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    client::run(command, options)
}

fn print_completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut command = Cli::command().bin_name("bcrl");
    command.build();
    let mut text = Vec::new();
    shell.try_generate(&command, &mut text)?;
    // A reader who has gone has read enough.
    let _ = std::io::stdout().write_all(&text);
    Ok(ExitCode::SUCCESS)
}
