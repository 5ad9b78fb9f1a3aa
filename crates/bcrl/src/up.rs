//! `bcrl up`: all services in one process, for a desk or a small site.
//!
//! The services do not know of each other: they meet in the folder, as they would on two hosts.

use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use boot::{Clock, Parts, Settings, Shutdown};
use tokio::task::JoinSet;
use worker::{Service, Until};

/// What `bcrl up` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Everything is kept under data_dir (default: data). Ctrl-C ends it; jobs that run are given back to the queue.
The first service that fails ends the rest, and the exit code is 1; settings that cannot be used give 78.

Examples:
  bcrl up
  bcrl up --listen 127.0.0.1:9000
  BCRL_DATA_DIR=/srv/bcrl bcrl up")]
pub struct UpArgs {
    /// The settings' file [default: bcrl.toml, where it exists]
    #[arg(long, env = "BCRL_CONFIG")]
    config: Option<PathBuf>,
    /// Let the API listen here instead of on api.listen; port 0 takes any free one
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Print the settings that are in force, and end
    #[arg(long)]
    print_config: bool,
}

/// Runs all services until SIGTERM or Ctrl-C.
pub fn main(args: &UpArgs) -> ExitCode {
    let file = args.config.as_deref();
    let typed = |settings: &mut Settings| {
        if let Some(listen) = args.listen {
            settings.api.listen = listen;
        }
    };
    if args.print_config {
        return boot::run::print_config(file, typed);
    }
    boot::main(file, typed, run)
}

/// Starts every service, says where they are, and waits for the first one to end: then the others are ended too.
async fn run(settings: Settings, clock: Clock, shutdown: Shutdown) -> anyhow::Result<()> {
    let config = api::Config::new(&settings)?;
    let counting = log_batch::Config::new(&settings)?;
    let parts = Parts::of_this_process(clock);
    let for_batch = (parts.clone(), shutdown.clone());
    // The worker first: whoever reaches the API finds its APIs there.
    let service = Service::start(worker::Config::new(&settings)?, parts.clone()).await;
    let service = service.context("worker")?;
    let server =
        match tokio::task::spawn_blocking(move || api::Server::bind(config, &parts)).await? {
            Ok(server) => server,
            Err(error) => {
                service.leave().await.context("worker")?;
                return Err(error.context("API"));
            }
        };
    greet(&settings, server.address()?, &service.apis());

    let mut services = JoinSet::new();
    let (for_api, for_worker) = (shutdown.clone(), shutdown.clone());
    services.spawn(async move { ("API", server.run(for_api).await) });
    services.spawn(async move {
        let (parts, shutdown) = for_batch;
        ("log batch", log_batch::run(counting, parts, shutdown).await)
    });
    services.spawn(async move { ("worker", service.run(for_worker, Until::Shutdown).await) });

    let mut first_failure = None;
    while let Some(ended) = services.join_next().await {
        let outcome = match ended {
            Ok((name, Ok(()))) if shutdown.is_cancelled() => {
                tracing::debug!(service = name, "a service has ended");
                Ok(())
            }
            Ok((name, Ok(()))) => Err(anyhow::anyhow!(
                "{name}: it ended although nobody asked for it"
            )),
            Ok((name, Err(error))) => Err(error.context(name)),
            Err(panic) => Err(anyhow::Error::new(panic).context("a service panicked")),
        };
        if let Err(error) = outcome {
            tracing::error!(
                error = format!("{error:#}"),
                "a service failed; the others are ended"
            );
            first_failure.get_or_insert(error);
        }
        shutdown.cancel();
    }
    first_failure.map_or(Ok(()), Err)
}

/// Says what listens where, and what to try first.
fn greet(settings: &Settings, address: SocketAddr, apis: &[String]) {
    let program = program();
    let elsewhere = if address == SocketAddr::from(([127, 0, 0, 1], 8080)) {
        String::new()
    } else {
        format!(" --url http://{address}")
    };
    let mut text = format!("\nbcrl {} is up\n\n", env!("CARGO_PKG_VERSION"));
    let mut line =
        |name: &str, what: String| writeln!(text, "  {name:<8}{what}").expect("text grows");
    line("API", format!("http://{address}"));
    line("folder", settings.shared_dir().display().to_string());
    line(
        "apps",
        format!(
            "{} ({})",
            settings.apps_dir.display(),
            if apis.is_empty() {
                "none yet".into()
            } else {
                apis.join(", ")
            }
        ),
    );
    let first = if apis.iter().any(|api| api == "add") {
        "submit add num1=12 num2=23 --wait"
    } else {
        "apis"
    };
    write!(
        text,
        "\nTry it in another terminal:\n\n  {program} {first}{elsewhere}\n\nCtrl-C ends it.\n\n"
    )
    .expect("text grows");
    // Whoever closed stdout does not want to be greeted.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// This program, as it was called.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "bcrl".into())
}
