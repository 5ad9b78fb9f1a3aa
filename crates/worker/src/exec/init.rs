//! The process between supervisor and script. It contains itself, and with that all that comes of it, and becomes the
//! script; in a PID namespace of its own it stays, as the namespace's init: it starts the script, reaps what loses its
//! parent, and the namespace ends with it.
//!
//! Its stdin is the socket to the supervisor ([`super::start`]): one line comes in, a few go out. When the supervisor is
//! gone, so is the namespace.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, getpriority_process, setpriority_process, setsid, wait};
use rustix::stdio::{dup2_stderr, dup2_stdout};
use serde::{Deserialize, Serialize};

use super::containment::{Ids, InForce, Missing};
use super::hold::Hold;
use super::tree::Exit;
use super::{ExecError, Order};
use crate::trouble::with_reasons;

/// How much nicer a job is than its supervisor, which must get its turn beside a fork bomb.
const NICER: i32 = 10;

/// What the supervisor says, once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Brief {
    /// What is to be run.
    pub(super) order: Order,
    /// The user that it is to run as, where it is not this process's.
    pub(super) ids: Option<Ids>,
    /// Whether this is the first process of a PID namespace.
    pub(super) namespace: bool,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// The script is about to start, held by this. Nothing more comes where this process becomes the script.
    Contained(InForce),
    /// The script runs.
    Started,
    /// It cannot be started, and that is its own fault.
    Refused(String),
    /// It cannot be started, and that is the host's.
    Failed(String),
    /// It is not started without this part.
    Missing(Missing),
    /// It has ended.
    Exited(Exit),
}

/// Why there will be no script.
pub(super) enum Refusal {
    /// Something failed.
    Failed(ExecError),
    /// It would have to do without this part.
    Missing(Missing),
    /// The supervisor is gone.
    Alone,
}

/// As the process that the supervisor started.
pub(super) fn run() -> ExitCode {
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::from(super::OWN_FAILURE);
    };
    let mut socket = UnixStream::from(socket);
    let word = match begin(&mut socket) {
        Ok(()) | Err(Refusal::Alone) => return ExitCode::SUCCESS,
        Err(Refusal::Missing(missing)) => Word::Missing(missing),
        Err(Refusal::Failed(ExecError::Spawn(message))) => Word::Refused(message),
        Err(Refusal::Failed(error)) => Word::Failed(with_reasons(&error)),
    };
    match say(&mut socket, &word) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(super::OWN_FAILURE),
    }
}

/// Returns only where nothing of the script is left, or it never was.
fn begin(socket: &mut UnixStream) -> Result<(), Refusal> {
    // With a session goes its terminal, which is the operator's: whoever has it can type there (`TIOCSTI`).
    setsid().map_err(|error| ExecError::system("begin a session")(error.into()))?;
    let mut line = String::new();
    let heard = BufReader::new(&*socket).read_line(&mut line);
    let Ok(brief) = heard.and_then(|_| Ok(serde_json::from_str::<Brief>(&line)?)) else {
        return Err(Refusal::Alone);
    };
    let order = &brief.order;
    let stdin =
        File::open(&order.stdin).map_err(|source| ExecError::file("open", &order.stdin, source))?;
    let in_force = Hold::take(&brief)?;
    say(socket, &Word::Contained(in_force)).map_err(|_| Refusal::Alone)?;
    let mut script = script(order, stdin)?;
    if !brief.namespace {
        nice(None);
        return Err(start_failed(order, script.exec()).into());
    }
    watch_the_supervisor(socket)?;
    let child = script.process_group(0).spawn();
    let child = child.map_err(|error| start_failed(order, error))?;
    drop(script);
    let child = Pid::from_child(&child);
    nice(Some(child));
    let_go_of_the_pipes();
    say(socket, &Word::Started).map_err(|_| Refusal::Alone)?;
    reap(child, socket);
    Ok(())
}

/// Its program missing, no program, or its directory missing is [`ExecError::Spawn`].
fn script(order: &Order, stdin: File) -> Result<Command, ExecError> {
    // The system's answer to a missing directory would read like a missing program.
    if let Err(error) = std::fs::metadata(order.working_dir.join(".")) {
        let what = format!("in {}", order.working_dir.display());
        return Err(ExecError::Spawn(format!("cannot start {what}: {error}")));
    }
    let mut command = Command::new(&order.program);
    command
        .args(order.args.iter().map(OsStr::new))
        .current_dir(&order.working_dir)
        .env_clear()
        .envs(&order.environment)
        .stdin(Stdio::from(stdin));
    Ok(command)
}

/// A host that has no room for a process is not the script's fault.
fn start_failed(order: &Order, error: io::Error) -> ExecError {
    match Errno::from_io_error(&error) {
        Some(Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOMEM) => {
            ExecError::system("start a process")(error)
        }
        _ => {
            let program = order.program.display();
            ExecError::Spawn(format!("cannot start {program}: {error}"))
        }
    }
}

/// Best effort, and in time: an interpreter takes longer to begin.
fn nice(process: Option<Pid>) {
    let _ = getpriority_process(None).and_then(|nice| setpriority_process(process, nice + NICER));
}

/// Ends the namespace when nobody holds the other end of the socket any more.
fn watch_the_supervisor(socket: &UnixStream) -> Result<(), ExecError> {
    let failed = ExecError::system("watch the supervisor");
    let socket = socket.try_clone().map_err(&failed)?;
    let watch = move || {
        // It has said all that it has to say: whatever comes now is its end.
        let _ = BufReader::new(socket).read_line(&mut String::new());
        end();
    };
    thread::Builder::new().spawn(watch).map_err(failed)?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the init's end is the namespace's, and its first thread waits for the script"
)]
fn end() {
    std::process::exit(0);
}

/// They are the script's, and are to close with it.
fn let_go_of_the_pipes() {
    if let Ok(nothing) = File::open("/dev/null") {
        let _ = dup2_stdout(&nothing);
        let _ = dup2_stderr(&nothing);
    }
}

/// Buries whoever ends in the namespace, until nobody is left.
fn reap(script: Pid, socket: &mut UnixStream) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == script => {
                let by_itself = status.exit_status().map(Exit::Code);
                let exit = by_itself.or_else(|| status.terminating_signal().map(Exit::Signal));
                if let Some(exit) = exit
                    && say(socket, &Word::Exited(exit)).is_err()
                {
                    return;
                }
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn say(socket: &mut UnixStream, word: &Word) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    socket.write_all(&line)
}

impl From<ExecError> for Refusal {
    fn from(error: ExecError) -> Self {
        match error {
            ExecError::NotContained(missing) => Refusal::Missing(missing),
            error => Refusal::Failed(error),
        }
    }
}
