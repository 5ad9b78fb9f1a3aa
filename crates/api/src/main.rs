//! The command `bcrl-api`: one enum of what it can be, one match.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use api::Config;
use api::endpoint::Endpoint;
use api::openapi::{self, Offered};
use boot::Parts;
use clap::{Parser, Subcommand};
use job_core::catalog::Catalog;

/// The HTTP job API: accepts jobs, shows how they stand, hands out what they made.
///
/// It runs until SIGTERM or Ctrl-C; requests that are under way are answered.
/// Settings come from bcrl.toml and BCRL_… variables.
#[derive(Parser)]
#[command(version, name = "bcrl-api")]
#[command(
    after_help = "Exit codes: 0 well, 1 trouble (a line on standard error says which), 78 settings that cannot be used."
)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    /// The settings' file [default: bcrl.toml, where it exists]
    #[arg(long, env = "BCRL_CONFIG")]
    config: Option<PathBuf>,
    /// Listen here instead of on api.listen; port 0 takes any free one
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Print the settings that are in force, and end
    #[arg(long)]
    print_config: bool,
    /// Print the description of what is built in as OpenAPI 3.1, and end
    #[arg(long)]
    print_openapi: bool,
}

#[derive(Subcommand)]
enum Role {
    /// The second process of the folder's self-test
    #[command(hide = true)]
    LockProbe { path: PathBuf },
}

/// Prints the description of what is built in.
fn print_openapi() -> ExitCode {
    let document = openapi::document(&Offered {
        catalog: &Catalog::default(),
        routes: &Endpoint::table(),
        webhooks: true,
    });
    let text = serde_json::to_string_pretty(&document).expect("a description always serializes");
    // Whoever closed the pipe has read enough.
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let file = cli.config.as_deref();
    let typed = |settings: &mut boot::Settings| {
        if let Some(listen) = cli.listen {
            settings.api.listen = listen;
        }
    };
    match cli.role {
        Some(Role::LockProbe { path }) => shared_folder::self_test::probe(&path),
        None if cli.print_openapi => print_openapi(),
        None if cli.print_config => boot::run::print_config(file, typed),
        None => boot::main(file, typed, |settings, clock, shutdown| async move {
            api::run(
                Config::new(&settings)?,
                Parts::of_this_process(clock),
                shutdown,
            )
            .await
        }),
    }
}
