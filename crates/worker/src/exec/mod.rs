//! `bcrl-worker exec ORDER_FILE`: the supervisor of one script, one process per job.
//!
//! It starts the script, holds the order's limits over the whole tree of processes below it,
//! and reports when nothing of that tree is left. It knows no queue, no shared folder and no
//! retries, and it outlives every polite signal: only the worker decides.
//!
//! | module | owns |
//! |---|---|
//! | [`order`] | the order that comes in, the lines that go out |
//! | `control` | the pipes to and from the worker |
//! | `script` | the start of the script |
//! | [`containment`] | what holds it apart from its host: the words |
//! | `init` | the process between supervisor and script, which is contained and becomes or starts it |
//! | `hold` | what it takes upon itself: `user`, `namespace`, `writes` and `limits`, one part each |
//! | `exits` | how the supervisor hears of the script's exit |
//! | `watch` | from its start to its end: time, memory, processes, output, the worker's wish |
//! | `disk` | what it holds in its folder, and in memory without having it in a process |
//! | `drain` | its stdout and stderr, on their way into files |
//! | `tree` | all processes below: list, signal, reap |
//! | `proc` | what `/proc` says of them |
//! | `judge` | whether what it printed is a result |
//!
//! The worker holds the supervisor's stdin. A line `terminate` is a SIGTERM to the tree; its
//! end means that the worker is dead, and kills the tree at once. On stdout come at most two
//! lines of JSON, [`Started`] and [`Report`]. Where the supervisor itself fails (the order or
//! a file of the worker's cannot be opened or written, the host has no room for a process),
//! there is no report, but a line on stderr and exit code 74: nothing is said against the
//! script then.
//!
//! Between the two stands the init, the same command with `-` for its order: it takes upon itself
//! whatever is to hold the script, and becomes it, or starts it in a PID namespace of its own.

pub mod containment;
mod control;
mod disk;
mod drain;
mod exits;
mod hold;
mod init;
mod judge;
mod limits;
mod namespace;
pub mod order;
mod proc;
mod script;
mod tree;
mod user;
mod watch;
mod writes;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use self::containment::{InForce, Missing};
use self::control::{Worker, complain, tell};
use self::disk::Disk;
use self::drain::{Drain, Log, Printed};
use self::namespace::Namespaces;
pub use self::order::{Ending, Order, Report, Started};
use self::script::{Files, Script};
use self::tree::Exit;
pub(crate) use self::tree::{adopt_orphans, end_orphans};
use self::watch::{Over, Watch};
use crate::trouble::with_reasons;

/// `EX_IOERR` of sysexits.h: the supervisor's own failure, not the script's.
pub(crate) const OWN_FAILURE: u8 = 74;

/// What stands for the order's file where the process is to be the init.
const INIT: &str = "-";

/// Why the supervisor could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The order file is no order.
    #[error("{} is no order", path.display())]
    Order {
        /// The order file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file that the worker named failed.
    #[error("cannot {verb} {}", path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The system refused something that a supervisor needs.
    #[error("cannot {verb}")]
    System {
        /// What was tried.
        verb: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The init failed.
    #[error("{0}")]
    Init(String),
    /// The script could not be started; becomes [`Ending::SpawnError`].
    #[error("{0}")]
    Spawn(String),
    /// It was not started without a part of its containment; becomes [`Ending::NotContained`].
    #[error("{0}")]
    NotContained(Missing),
}

impl ExecError {
    fn file(verb: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::File { verb, path, source }
    }

    fn system(verb: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { verb, source }
    }
}

/// Runs the script that the order file describes, from its start to its report; with `-`, is the init of a run.
pub fn run(order_file: &Path) -> ExitCode {
    if order_file == Path::new(INIT) {
        return init::run();
    }
    match run_order(order_file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(with_reasons(&error));
            ExitCode::from(OWN_FAILURE)
        }
    }
}

fn run_order(order_file: &Path) -> Result<(), ExecError> {
    let order = Order::read(order_file)?;
    let namespaces = order.containment.pid_namespace.then(Namespaces::prepare);
    let namespaces = match namespaces.transpose() {
        Err(ExecError::NotContained(missing)) => {
            return say(&never_started(not_contained(missing)));
        }
        namespaces => namespaces?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ExecError::system("start the runtime"))?;
    let outcome = match runtime.block_on(supervise(&order, namespaces)) {
        Err(ExecError::Spawn(message)) => {
            let spawn_error = Ending::SpawnError { message };
            Ok(Some(never_started((spawn_error, InForce::default()))))
        }
        Err(ExecError::NotContained(missing)) => Ok(Some(never_started(not_contained(missing)))),
        other => other,
    };
    // A write that hangs on a dead disk must not hold the exit.
    runtime.shutdown_background();
    outcome?.as_ref().map_or(Ok(()), say)
}

fn say(report: &Report) -> Result<(), ExecError> {
    tell(report).map_err(ExecError::system("write the report"))
}

/// Starts the script and stays until its tree is gone. No report if the worker died before.
async fn supervise(
    order: &Order,
    namespaces: Option<Namespaces>,
) -> Result<Option<Report>, ExecError> {
    outlive_signals().map_err(ExecError::system("catch signals"))?;
    tree::adopt_orphans().map_err(ExecError::system("become a subreaper"))?;
    let child_exits =
        signal(SignalKind::child()).map_err(ExecError::system("hear of a child's exit"))?;
    let worker = Worker::listen();

    let files = Files::open(order)?;
    let (mut script, exits) = Script::start(order, namespaces, child_exits)?;
    // A worker that cannot be told is dead, and its pipe says so.
    let _ = tell(&script.started());

    let tree = script.tree;
    let watch = Watch::new(order, tree, exits);
    let outcome = tokio::select! {
        biased;
        () = worker.gone.cancelled() => Ok(None),
        report = until_report(order, &mut script, files, watch, &worker) => report.map(Some),
    };
    if !matches!(outcome, Ok(Some(_))) {
        tree.clear().await;
    }
    script.bury();
    outcome
}

/// From the start to the report: the run, the end of what it left, what it came to.
async fn until_report(
    order: &Order,
    script: &mut Script,
    files: Files,
    mut watch: Watch,
    worker: &Worker,
) -> Result<Report, ExecError> {
    let (stdout, stderr) = script.pipes()?;
    let output_lost = Arc::new(Notify::new());
    let printed = Printed::new(files.stdout, order.stdout_limit, Arc::clone(&output_lost));
    let printed = Drain::begin(stdout, printed);
    let log = Drain::begin(stderr, Log::new(files.log, order.log_limit));
    let pipes_closed = async || {
        printed.closed().await;
        log.closed().await;
    };

    let disk = Disk::watch(order, script.tree);
    let over = watch
        .until_over(worker, &output_lost, &disk, pipes_closed)
        .await;
    let undead = script.tree.clear().await;
    if undead > 0 {
        complain(format_args!(
            "{undead} processes of the job cannot be killed"
        ));
    }

    let printed = printed.finish().await;
    let log = log.finish().await;
    if let Some(error) = &log.failure {
        complain(format_args!("the log is not whole: {error}"));
    }
    Ok(Report {
        run_ms: u64::try_from(watch.ran.as_millis()).unwrap_or(u64::MAX),
        max_memory: watch.max_memory,
        stdout_bytes: printed.bytes,
        stderr_tail: log.last_words(),
        containment: script.in_force.clone(),
        ending: conclude(over, printed, order)?,
    })
}

/// What the run came to: the supervisor's own reason first, then what the script did.
fn conclude(over: Over, printed: Printed, order: &Order) -> Result<Ending, ExecError> {
    if let Some(source) = printed.failure {
        return Err(ExecError::file("write", &order.stdout, source));
    }
    match over {
        Over::Cut(ending) => Ok(ending),
        Over::Exited(_) if printed.too_large() => Ok(Ending::OutputTooLarge),
        Over::Exited(Exit::Code(0)) => {
            let bytes = printed
                .read_back()
                .map_err(|source| ExecError::file("read", &order.stdout, source))?;
            Ok(judge::judge(&bytes))
        }
        Over::Exited(Exit::Code(code)) => Ok(Ending::Exited { code }),
        Over::Exited(Exit::Signal(signal)) => Ok(Ending::Signaled { signal }),
    }
}

fn not_contained(missing: Missing) -> (Ending, InForce) {
    let message = missing.to_string();
    let missing = vec![missing];
    let in_force = InForce {
        missing,
        ..InForce::default()
    };
    (Ending::NotContained { message }, in_force)
}

fn never_started((ending, containment): (Ending, InForce)) -> Report {
    Report {
        ending,
        run_ms: 0,
        max_memory: 0,
        stdout_bytes: 0,
        stderr_tail: String::new(),
        containment,
    }
}

/// systemd sends SIGTERM to every process of the service, a terminal SIGINT to its group.
/// Handlers that do nothing, not `SIG_IGN`: that would be the script's as well.
fn outlive_signals() -> io::Result<()> {
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
        SignalKind::quit(),
    ] {
        // tokio's handler stays for good, also when nobody listens.
        drop(signal(kind)?);
    }
    Ok(())
}
