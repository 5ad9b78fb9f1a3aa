//! The start of the script: its files, its user, its namespace, and the init that becomes or starts it.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use rustix::fs::OFlags;
use rustix::process::Pid;
use tokio::process::{ChildStderr, ChildStdout};
use tokio::signal::unix::Signal;

use super::containment::{InForce, Missing, ScriptUser};
use super::exits::{Exits, Init};
use super::init::{Brief, Word};
use super::namespace::{self, Namespaces};
use super::tree::{Root, Tree};
use super::user::Claim;
use super::{ExecError, INIT, Order, Started};

/// This very program, also when its file was replaced by a newer one.
const MYSELF: &str = "/proc/self/exe";

/// The worker's files that a run reads and writes.
pub(super) struct Files {
    /// Takes its stdout; read again at the end.
    pub(super) stdout: File,
    /// Takes its stderr.
    pub(super) log: File,
}

impl Files {
    /// Opens them before anything is started. What takes the script's stdout has no name from then on: it stands in a
    /// folder of the script's own, and what it prints comes through the pipe, where it is counted.
    pub(super) fn open(order: &Order) -> Result<Self, ExecError> {
        let (mut stdout, mut log) = (File::options(), File::options());
        stdout.read(true).write(true).truncate(true);
        log.append(true).create(true);
        // The log stands where others can put things, and a pipe would be waited for.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        log.custom_flags(flags.bits().cast_signed());
        let open = |options: &OpenOptions, path| {
            options
                .open(path)
                .map_err(|source| ExecError::file("open", path, source))
        };
        let files = Self {
            stdout: open(&stdout, &order.stdout)?,
            log: open(&log, &order.log)?,
        };
        std::fs::remove_file(&order.stdout)
            .map_err(|source| ExecError::file("remove", &order.stdout, source))?;
        Ok(files)
    }
}

/// The script, started and not yet reaped.
pub(super) struct Script {
    child: Child,
    /// All processes that come of it.
    pub(super) tree: Tree,
    /// What holds it.
    pub(super) in_force: InForce,
    /// Keeps its user from other runs.
    _claim: Option<Claim>,
}

impl Script {
    /// Starts it; returns it with what tells of its exit. `child_exits` must listen since before.
    pub(super) fn start(
        order: &Order,
        namespaces: Option<Namespaces>,
        child_exits: Signal,
    ) -> Result<(Self, Exits), ExecError> {
        let mut start = Start {
            order,
            claim: None,
            missing: Vec::new(),
        };
        start.claim_user()?;
        let mut namespace = match namespaces {
            Some(Namespaces::Impossible(missing)) => start.without(missing).map(|()| false)?,
            Some(Namespaces::Possible) => true,
            None => false,
        };
        if namespace {
            match start.start(true) {
                Err(Failure::Without(missing)) => {
                    start.without(missing)?;
                    namespace = false;
                }
                Err(Failure::Of(error)) => return Err(error),
                Ok((child, init, in_force)) => {
                    let exits = init.beside();
                    let exits = exits.map_err(ExecError::system("listen to the init"))?;
                    return Ok((start.done(child, Root::Init, in_force), exits));
                }
            }
        }
        match start.start(namespace) {
            Ok((child, _, in_force)) => {
                let script = start.done(child, Root::Script, in_force);
                Ok((script, Exits::Child(child_exits)))
            }
            Err(Failure::Without(missing)) => Err(ExecError::NotContained(missing)),
            Err(Failure::Of(error)) => Err(error),
        }
    }

    /// What the worker is told of the start.
    pub(super) fn started(&self) -> Started {
        Started {
            started: self.tree.root.as_raw_nonzero().get(),
        }
    }

    /// The reading ends of its stdout and stderr; there is only one of each.
    pub(super) fn pipes(&mut self) -> Result<(ChildStdout, ChildStderr), ExecError> {
        let stdout = self
            .child
            .stdout
            .take()
            .expect("stdout was asked for and is taken once");
        let stderr = self
            .child
            .stderr
            .take()
            .expect("stderr was asked for and is taken once");
        ChildStdout::from_std(stdout)
            .and_then(|stdout| Ok((stdout, ChildStderr::from_std(stderr)?)))
            .map_err(ExecError::system("read the script's pipes"))
    }

    /// Reaps it, when nothing asks for its process group any more.
    pub(super) fn bury(mut self) {
        // Still alive only if it cannot be killed: init inherits it then.
        let _ = self.child.try_wait();
    }
}

/// A start that is under way.
struct Start<'a> {
    order: &'a Order,
    claim: Option<Claim>,
    missing: Vec<Missing>,
}

/// Why there is no script.
enum Failure {
    /// It cannot have this part; the rest may do.
    Without(Missing),
    /// Nothing would help.
    Of(ExecError),
}

impl Start<'_> {
    /// Goes on without a part, where that is allowed.
    fn without(&mut self, missing: Missing) -> Result<(), ExecError> {
        if self.order.containment.required {
            return Err(ExecError::NotContained(missing));
        }
        self.missing.push(missing);
        Ok(())
    }

    fn claim_user(&mut self) -> Result<(), ExecError> {
        let Some(user) = &self.order.containment.user else {
            return Ok(());
        };
        let claim =
            Claim::find(user).and_then(|claim| claim.own(&self.order.scratch).map(|()| claim));
        match claim {
            Ok(claim) => self.claim = Some(claim),
            // A user that was set is not given up.
            Err(ExecError::NotContained(missing)) if matches!(user, ScriptUser::OneOf { .. }) => {
                self.without(missing)?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Starts the init, and waits until the script runs.
    fn start(&self, namespace: bool) -> Result<(Child, Init, InForce), Failure> {
        let (mut child, socket) = spawn(namespace)?;
        let brief = Brief {
            order: self.order.clone(),
            ids: self.claim.as_ref().map(|claim| claim.ids.clone()),
            namespace,
        };
        let heard = Init::brief(socket, &brief)
            .map_err(ExecError::system("brief the init"))
            .map_err(Failure::Of)
            .and_then(|init| until_started(init, namespace));
        match heard {
            Ok((init, in_force)) => Ok((child, init, in_force)),
            Err(failure) => {
                // It has ended, or must: nothing has come of it.
                let _ = child.kill();
                let _ = child.wait();
                Err(failure)
            }
        }
    }

    fn done(self, child: Child, root: Root, mut in_force: InForce) -> Script {
        in_force.missing.extend(self.missing);
        Script {
            tree: Tree::of(Pid::from_child(&child), root),
            child,
            in_force,
            _claim: self.claim,
        }
    }
}

fn spawn(namespace: bool) -> Result<(Child, UnixStream), Failure> {
    let failed = ExecError::system("start a process");
    let (ours, its) = UnixStream::pair().map_err(|error| Failure::Of(failed(error)))?;
    let mut command = Command::new(MYSELF);
    command
        .args(["exec", INIT])
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(its)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let spawned = match namespace {
        true => namespace::spawn(command),
        // The command must not outlive this: it holds the other end.
        false => { command }.spawn().map(Ok),
    };
    match spawned {
        Ok(Ok(child)) => Ok((child, ours)),
        Ok(Err(missing)) => Err(Failure::Without(missing)),
        Err(error) => Err(Failure::Of(failed(error))),
    }
}

/// Listens to the init until it has started the script, or become it.
fn until_started(mut init: Init, namespace: bool) -> Result<(Init, InForce), Failure> {
    let mut in_force = None;
    loop {
        let over = match (init.word(), in_force.take()) {
            (Some(Word::Contained(held)), None) => {
                in_force = Some(held);
                continue;
            }
            (Some(Word::Started), Some(held)) => return Ok((init, held)),
            (None, Some(held)) if !namespace => return Ok((init, held)),
            (Some(Word::Missing(missing)), _) => return Err(Failure::Without(missing)),
            (Some(Word::Refused(message)), _) => ExecError::Spawn(message),
            (Some(Word::Failed(message)), _) => ExecError::Init(message),
            _ => ExecError::Init("the init ended before the script began".to_owned()),
        };
        return Err(Failure::Of(over));
    }
}
