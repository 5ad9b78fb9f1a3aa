//! Scripts that talk to their test through files, and what a worker leaves for others to see.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use test_support::{Client, Process, Site, bin, processes_with, until};

/// Far more than anything here takes on a busy machine: reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A cron that does not tick while a test runs (29 February, and only then).
pub(crate) const NEVER: &str = "0 0 29 2 *";

/// What every script of [`app`] may use. `GATE` is a folder that test and script share.
const PRELUDE: &str = r#"
import json, os, signal, subprocess, sys, time

GATE = os.environ["GATE"]
FIRST = os.environ["BCRL_ATTEMPT"] == "1"

def leave(name, text=""):
    """A note for the test; it appears whole."""
    path = os.path.join(GATE, name)
    with open(path + ".tmp", "w") as file:
        file.write(str(text))
    os.rename(path + ".tmp", path)

def wait_for(name):
    while not os.path.exists(os.path.join(GATE, name)):
        time.sleep(0.005)

ME = "' '.join([os.readlink('/proc/self/ns/pid'), *open('/proc/self/stat').read().split(' ')[::21]])"

def me():
    """This process as the test can find it: its PID namespace, its number there, when it began."""
    return eval(ME)

def outlive_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

def daemon(name, environment=None):
    """A process that left its parent and its session; returns when it has left its number."""
    sleep = "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " \
        f"open(sys.argv[1] + '.tmp', 'w').write({ME}); " \
        "os.rename(sys.argv[1] + '.tmp', sys.argv[1]); time.sleep(600)"
    if os.fork() == 0:
        os.setsid()
        subprocess.Popen([sys.executable, "-c", sleep, os.path.join(GATE, name)], env=environment,
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os._exit(0)
    os.wait()
    wait_for(name)
"#;

/// Makes an app whose script begins with the prelude; `manifest` is the rest of its `api.toml`.
pub(crate) fn app(site: &Site, name: &str, manifest: &str, main: &str) {
    let gate = site.path("gate");
    std::fs::create_dir_all(&gate).unwrap();
    // Scripts may have a user of their own.
    std::fs::set_permissions(&gate, Permissions::from_mode(0o777)).unwrap();
    // Whatever else a site sets comes as variables.
    site.put("bcrl.toml", &format!("[worker]\nwritable = [{gate:?}]\n"));
    // The script comes last: until then nobody offers the folder half-way.
    site.put(
        &format!("apps/{name}/api.toml"),
        &format!("{manifest}\n[environment]\nGATE = {gate:?}\n"),
    );
    site.app(name, &format!("{PRELUDE}\n{main}"));
}

/// A note that the test leaves for scripts.
pub(crate) fn leave(site: &Site, name: &str) {
    site.put(&format!("gate/{name}"), "");
}

/// A note that a script leaves for the test, once it is there.
#[track_caller]
pub(crate) fn note(site: &Site, name: &str) -> String {
    let path = site.path(&format!("gate/{name}"));
    until(&format!("note {name}"), PATIENCE, || {
        std::fs::read_to_string(&path).ok()
    })
}

/// A process of a script. Numbers of namespaces and processes are given to others later, hence the third.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    namespace: PathBuf,
    /// Its number there.
    pid: String,
    /// When it began, in the kernel's ticks.
    began: String,
}

/// A process that a script left a note of.
#[track_caller]
pub(crate) fn process(site: &Site, name: &str) -> Member {
    let note = note(site, name);
    let words: Vec<_> = note.split(' ').collect();
    Member {
        namespace: words[0].into(),
        pid: words[1].to_owned(),
        began: words[2].to_owned(),
    }
}

/// Whether a process runs; a zombie does not.
pub(crate) fn runs(member: &Member) -> bool {
    let is_it = |process: &Path| {
        let namespace = std::fs::read_link(process.join("ns/pid")).ok()?;
        let status = std::fs::read_to_string(process.join("status")).ok()?;
        let stat = std::fs::read_to_string(process.join("stat")).ok()?;
        let numbers = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        // After the name, which may hold anything, comes the third field.
        let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let is_it = namespace == member.namespace
            && numbers.split_whitespace().last() == Some(&member.pid)
            && fields[19] == member.began;
        (is_it && fields[0] != "Z").then_some(())
    };
    let mut processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.any(|process| is_it(&process.path()).is_some())
}

/// All processes below one, zombies included.
pub(crate) fn descendants(process: &Process) -> Vec<i32> {
    let mut found = vec![process.pid().as_raw_nonzero().get()];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        let tasks = format!("/proc/{parent}/task");
        for thread in names(tasks.as_ref()) {
            let children = std::fs::read_to_string(format!("{tasks}/{thread}/children"));
            let children = children.unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .map(|child| child.parse::<i32>().unwrap()),
            );
        }
        next += 1;
    }
    found.split_off(1)
}

/// The most memory that a process ever had, in bytes.
pub(crate) fn peak_memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

/// An API server and a worker of one site.
pub(crate) struct Pair {
    pub(crate) worker: Process,
    pub(crate) client: Client,
    pub(crate) api: Process,
}

/// Starts both, and waits until the API server knows an API of the worker.
#[track_caller]
pub(crate) fn start(site: &Site, api: &str) -> Pair {
    let worker = site.worker();
    let server = site.api();
    let client = server.client();
    client.until_api(api, PATIENCE);
    Pair {
        worker,
        client,
        api: server,
    }
}

/// Publishes a site's catalog, and leaves nobody who would run a job.
#[track_caller]
pub(crate) fn without_worker(site: &Site, api: &str) -> (Process, Client) {
    assert!(site.worker().stop(PATIENCE).success());
    let server = site.api();
    let client = server.client();
    client.until_api(api, PATIENCE);
    (server, client)
}

/// What a job's script printed, once the job is done.
#[track_caller]
pub(crate) fn result(client: &Client, uuid: &str) -> Value {
    let job = client.until_ended(uuid, PATIENCE);
    assert_eq!(job["status"], "done", "{job}");
    client.get(&format!("/api/v1/jobs/{uuid}/result")).json()
}

/// Submits a job, and returns its result.
#[track_caller]
pub(crate) fn answer(client: &Client, api: &str, body: &str) -> Value {
    result(client, &client.submit(api, body))
}

/// A document of the shared folder, where it is there.
pub(crate) fn document(site: &Site, name: &str) -> Option<Value> {
    let text = std::fs::read_to_string(site.shared(name)).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

/// How a job ended.
#[track_caller]
pub(crate) fn receipt(site: &Site, uuid: &str) -> Value {
    document(site, &format!("receipt/{uuid}.json")).expect("the job has ended")
}

/// How each run of a job ended that has ended.
#[track_caller]
pub(crate) fn outcomes(site: &Site, uuid: &str) -> Vec<String> {
    let runs = receipt(site, uuid)["attempts"].as_array().unwrap().clone();
    let outcomes = runs.iter().map(|run| run["outcome"].as_str().unwrap());
    outcomes.map(str::to_owned).collect()
}

/// The heartbeats of the workers that have not left.
pub(crate) fn heartbeats(site: &Site) -> Vec<Value> {
    let files = names(&site.shared("workers"));
    let beats = files.iter().filter(|name| name.ends_with(".json"));
    beats
        .filter_map(|name| document(site, &format!("workers/{name}")))
        .collect()
}

/// The names in a folder, in their order; none where there is no folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

/// Waits until no process carries the job's mark.
#[track_caller]
pub(crate) fn until_nothing_runs(uuid: &str) {
    until(&format!("the end of what {uuid} left"), PATIENCE, || {
        processes_with("BCRL_JOB", uuid).is_empty().then_some(())
    });
}

/// Runs a command of `bcrl-worker`.
pub(crate) fn bcrl_worker(site: &Site, arguments: &[&str]) -> Output {
    Command::new(bin("bcrl-worker"))
        .args(arguments)
        .envs(site.environment())
        .current_dir(site.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What a command wrote.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
