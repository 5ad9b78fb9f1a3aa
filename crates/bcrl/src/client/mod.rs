//! The client: submits jobs, waits for them and fetches what they made, for people and for programs.
//!
//! It talks to the API server over HTTP alone and knows nothing of the shared folder. What is asked for goes to stdout,
//! everything around it to stderr; how it went is the exit code.
//!
//! In reading order:
//! - `submit`, `wait`, `status`, `result`, `log`, `cancel`, `ls`, `apis`: the commands, one file each.
//! - `body`, `ids`: what is read from a command line, from files and stdin.
//! - `follow`, `progress`: waiting for a job, and how that looks.
//! - `http`, `job`, `download`: the server, and what it tells.
//! - `error`, `problem`, `exit`: what can go wrong, in words and as a code.
//! - `settings`, `terminal`: options, environment, outputs.
//! - `show`, `api_page`, `json_text`, `close_names`: how things look.

use std::cell::RefCell;
use std::process::ExitCode;

use job_core::ids::JobId;

use error::Error;
use exit::Exit;
use http::Server;
use job::Job;
use settings::{Format, Settings};
use terminal::Terminal;

mod api_page;
mod apis;
mod body;
mod cancel;
mod close_names;
mod download;
mod error;
mod exit;
mod follow;
mod http;
mod ids;
mod job;
mod json_text;
mod log;
mod ls;
mod problem;
mod progress;
mod result;
mod settings;
mod show;
mod status;
mod submit;
mod terminal;
mod wait;

pub use settings::Options;

/// What the client can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Submit a job for an API
    Submit(submit::SubmitArgs),
    /// Wait until jobs have ended
    Wait(wait::WaitArgs),
    /// Show where jobs stand
    Status(status::StatusArgs),
    /// Fetch what a job printed
    Result(result::ResultArgs),
    /// Fetch what a job's script wrote to stderr
    Log(log::LogArgs),
    /// Ask for the end of jobs
    Cancel(cancel::CancelArgs),
    /// List jobs, newest first
    Ls(ls::LsArgs),
    /// List the APIs, or describe one
    Apis(apis::ApisArgs),
}

impl Command {
    async fn run(&self, client: &Client) -> Result<Exit, Error> {
        match self {
            Command::Submit(args) => submit::run(args, client).await,
            Command::Wait(args) => wait::run(args, client).await,
            Command::Status(args) => status::run(args, client).await,
            Command::Result(args) => result::run(args, client).await,
            Command::Log(args) => log::run(args, client).await,
            Command::Cancel(args) => cancel::run(args, client).await,
            Command::Ls(args) => ls::run(args, client).await,
            Command::Apis(args) => apis::run(args, client).await,
        }
    }
}

/// Runs one command to its end, or to Ctrl-C.
///
/// # Errors
/// Where the process gets no runtime from the system.
pub fn run(command: &Command, options: &Options) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(options.format());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let exit = runtime.block_on(run_until_interrupted(command, options, terminal));
    // A thread may still read stdin, and nobody waits for that.
    runtime.shutdown_background();
    Ok(exit.into())
}

async fn run_until_interrupted(command: &Command, options: &Options, terminal: Terminal) -> Exit {
    let client = match Client::new(options, terminal) {
        Ok(client) => client,
        Err((error, terminal)) => return report(&terminal, &error, "bcrl"),
    };
    tokio::select! {
        outcome = command.run(&client) => outcome.unwrap_or_else(|error| client.report(&error)),
        // The command's bars and unfinished files are gone by then. A process without signal handling dies at once.
        Ok(()) = tokio::signal::ctrl_c() => client.interrupted(),
    }
}

/// What every command works with.
struct Client {
    server: Server,
    settings: Settings,
    terminal: Terminal,
    /// What to tell a person who presses Ctrl-C now; empty where there is nothing to tell.
    last_words: RefCell<String>,
}

impl Client {
    fn new(options: &Options, terminal: Terminal) -> Result<Client, (Error, Terminal)> {
        let settings = Settings::new(options);
        let server = settings.and_then(|settings| Ok((Server::new(&settings)?, settings)));
        match server {
            Ok((server, settings)) => Ok(Client {
                server,
                settings,
                terminal,
                last_words: RefCell::default(),
            }),
            Err(error) => Err((error, terminal)),
        }
    }

    /// Shows an error with its hint; what the command ends with.
    fn report(&self, error: &Error) -> Exit {
        report(&self.terminal, error, &self.settings.command)
    }

    /// Prints a job in the form that was asked for: the server's JSON, its id, or `words` for a person.
    fn print_job(&self, job: &Job, words: &str) -> Result<(), Error> {
        match self.terminal.format {
            Format::Json => self.terminal.print(&json_text::compact(&job.json)),
            Format::Quiet => self.terminal.print(&job.uuid.to_string()),
            Format::Human => self.terminal.print(words),
        }
    }

    /// Does something for each job, one after the other; one job's trouble does not keep the others from their turn.
    async fn for_each(&self, ids: &[JobId], act: impl AsyncFn(JobId) -> Result<(), Error>) -> Exit {
        let mut worst = Exit::Done;
        for id in ids {
            if let Err(error) = act(*id).await {
                worst = worst.max(self.report(&error));
            }
        }
        worst
    }

    /// Sets what a person is told who presses Ctrl-C from now on.
    fn if_interrupted(&self, words: String) {
        self.last_words.replace(words);
    }

    fn interrupted(&self) -> Exit {
        let words = self.last_words.borrow();
        if !words.is_empty() {
            self.terminal.warn(&words);
        }
        Exit::Interrupted
    }
}

fn report(terminal: &Terminal, error: &Error, bcrl: &str) -> Exit {
    terminal.warn(&format!("error: {error}"));
    if let Some(hint) = error.hint(bcrl) {
        terminal.warn(&format!("hint: {hint}"));
    }
    error.exit()
}
