//! `bcrl-worker exec`, black box: small Python scripts, good and bad, and what is reported.

mod contained;
mod limits;
mod pipes;
mod report;
mod tree;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use worker::exec::containment::Containment;
use worker::exec::{Ending, Order, Report, Started};

/// Far more than anything here takes on a busy machine: reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);
const MB: u64 = 1_000_000;

/// What every script may use.
const PRELUDE: &str = r#"
import json, os, signal, subprocess, sys, time

def leave(name, text=""):
    with open(name + ".tmp", "w") as file:
        file.write(str(text))
    os.rename(name + ".tmp", name)

def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.005)

def daemon(name, hold_pipes=False):
    """Double fork and setsid; returns when the daemon runs and has left its number."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if not hold_pipes:
                os.closerange(0, 3)
            leave(name, os.getpid())
            time.sleep(600)
        os._exit(0)
    os.wait()
    wait_for(name)
"#;

static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .expect("python3 is installed");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
});

/// A script in a folder of its own, and the order to run it once.
struct Job {
    folder: TempDir,
    /// What takes its output; the name of it goes when the script starts.
    printed: File,
    order: Order,
}

impl Job {
    fn of(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("main.py"), format!("{PRELUDE}{script}")).unwrap();
        fs::write(path("stdin"), "{}").unwrap();
        let mut printed = File::options();
        let printed = printed.read(true).write(true).create_new(true);
        let printed = printed.open(path("stdout")).unwrap();
        let order = Order {
            program: PYTHON.clone(),
            args: vec!["main.py".to_owned()],
            needs: vec![path("main.py")],
            working_dir: folder.path().to_owned(),
            environment: BTreeMap::new(),
            stdin: path("stdin"),
            stdout: path("stdout"),
            stdout_limit: MB,
            log: path("log"),
            log_limit: MB,
            timeout_ms: 60_000,
            grace_ms: 10_000,
            memory: 2_000 * MB,
            processes: 256,
            scratch: folder.path().to_owned(),
            scratch_limit: 1_000 * MB,
            writable: Vec::new(),
            hidden: Vec::new(),
            containment: Containment::default(),
        };
        Self {
            folder,
            printed,
            order,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Order)) -> Self {
        change(&mut self.order);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// What it printed.
    fn printed(&self) -> String {
        let mut text = String::new();
        let mut printed = &self.printed;
        printed.rewind().unwrap();
        printed.read_to_string(&mut text).unwrap();
        text
    }

    /// A number that the script left.
    fn number(&self, name: &str) -> i32 {
        self.text(name).trim().parse().unwrap()
    }

    fn supervisor(&self) -> Supervisor {
        let order = self.path("order");
        fs::write(&order, serde_json::to_vec(&self.order).unwrap()).unwrap();
        Supervisor::of(&order)
    }

    /// Starts it, and waits until the script has left a file of this name.
    fn supervisor_until(&self, name: &str) -> Supervisor {
        let supervisor = self.supervisor();
        eventually(name, || self.path(name).exists());
        supervisor
    }

    fn report(&self) -> Report {
        self.supervisor().report()
    }

    fn ending(&self) -> Ending {
        self.report().ending
    }
}

/// A running `bcrl-worker exec`, held as a worker holds it.
struct Supervisor {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Supervisor {
    fn of(order: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bcrl-worker"))
            .arg("exec")
            .arg(order)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                let _ = sender.send(line.unwrap());
            }
        });
        Self {
            child,
            stdin,
            lines,
        }
    }

    fn say(&mut self, word: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(word.as_bytes()).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn started(&self) -> i32 {
        let line = self.lines.recv_timeout(PATIENCE).unwrap();
        serde_json::from_str::<Started>(&line).unwrap().started
    }

    /// The report; everything of the job is gone by now.
    fn report(mut self) -> Report {
        let mut lines = Vec::new();
        let report = loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("a report comes");
            if let Ok(report) = serde_json::from_str(&line) {
                break report;
            }
            lines.push(line);
        };
        assert!(lines.len() <= 1, "only the start comes before: {lines:?}");
        let end = self.lines.recv_timeout(PATIENCE);
        assert_eq!(end, Err(RecvTimeoutError::Disconnected));
        assert!(self.child.wait().unwrap().success());
        report
    }

    /// The most memory it ever had, in bytes.
    fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes * 1024
    }
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Running or a zombie.
fn exists(process: i32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

fn message_of(ending: Ending) -> String {
    match ending {
        Ending::InvalidOutput { message } | Ending::SpawnError { message } => message,
        other => panic!("no message in {other:?}"),
    }
}
