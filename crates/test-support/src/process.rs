//! One service that runs, killed when it is dropped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::site::Site;
use crate::until;

/// How long a service may take to start.
const START: Duration = Duration::from_secs(30);

/// A service of a site.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    /// Where it listens, once it does.
    address: Option<String>,
}

impl Process {
    /// Starts a program of this workspace with the site's settings.
    pub fn start(site: &Site, program: &str, arguments: &[&str]) -> Self {
        let log = site.log(program);
        let out = std::fs::File::create(&log).unwrap();
        let child = Command::new(bin(program))
            .args(arguments)
            .envs(site.environment())
            .current_dir(site.path(""))
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Process {
            child,
            log,
            address: None,
        }
    }

    pub(crate) fn listening(mut self) -> Self {
        let address = self.says("the API listens")["address"]
            .as_str()
            .unwrap()
            .to_owned();
        self.address = Some(address);
        self
    }

    pub(crate) fn ready(mut self) -> Self {
        self.says("the worker is ready");
        self
    }

    /// Waits until it writes a line with this message, and returns its fields.
    #[track_caller]
    pub fn says(&mut self, message: &str) -> serde_json::Value {
        let log = self.log.clone();
        let mut ended = None;
        until(
            &format!("{message:?} in the log:\n{}", self.log()),
            START,
            || {
                let line = lines(&log).find(|line| line["message"] == message);
                if line.is_none() {
                    assert!(
                        ended.is_none(),
                        "the process ended with {ended:?}:\n{}",
                        self.log()
                    );
                    ended = self.child.try_wait().unwrap();
                }
                line
            },
        )
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Plain HTTP to it.
    pub fn client(&self) -> Client {
        Client::new(&self.url())
    }

    /// Where it listens, such as `http://127.0.0.1:4711`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address.as_deref().expect("it listens"))
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Kills it at once, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and waits for it.
    #[track_caller]
    pub fn stop(mut self, patience: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(patience)
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        until("the end of a process", patience, || {
            self.child.try_wait().unwrap()
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "log of the process:\n{}", self.log());
        }
    }
}

fn lines(log: &Path) -> impl Iterator<Item = serde_json::Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    lines.into_iter()
}

/// A program of this workspace, built beside the test that asks.
pub fn bin(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(
        path.is_file(),
        "{} is missing: run the tests with scripts/test, which builds all programs",
        path.display()
    );
    path
}

/// The processes whose environment has this variable with this value.
pub fn processes_with(variable: &str, value: &str) -> Vec<i32> {
    let mark = format!("{variable}={value}").into_bytes();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let marked = pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark)
    });
    marked.collect()
}
