//! What a `main.py` can do with processes, signals and pipes, and what its job, the other jobs and the host get of it:
//! one test for each thing. What it can do with files is in `folders`.
//!
//! All run with what this host gives to hold scripts; their receipts say what that is. Without any of it the supervisor
//! does what it can, which `exec` tests for itself and `takeover` for the worker. Elsewhere are the plainest endings
//! (`endings`: exits, signals, syntax errors, half a JSON, no Python) and folders that are no app (`apps`).

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use test_support::{Site, processes_with, until};

use crate::support::{
    PATIENCE, Pair, answer, app, descendants, leave, names, note, peak_memory, process, receipt,
    runs, start,
};

/// So long may what a job left live on after its end.
const GONE: Duration = Duration::from_secs(5);
/// Programs that a user of a script's own can reach, unlike those in somebody's home.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// A site whose scripts can have all that this host gives to hold them, and an app that shows that the worker is well.
pub(crate) fn site() -> Site {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new().set("WORKER__GRACE", "300ms");
    let everybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(site.path(""), everybody).unwrap();
    app(&site, "sound", "", "print(1)");
    match Path::new(SYSTEM_PYTHON).exists() {
        true => site.set("WORKER__PYTHON", SYSTEM_PYTHON),
        false => site,
    }
}

/// What holds the scripts of a site.
pub(crate) struct Held(pub(crate) Value);

impl Held {
    pub(crate) fn of(pair: &Pair, site: &Site) -> Self {
        let uuid = pair.client.submit("sound", "{}");
        pair.client.until_status(&uuid, "done", PATIENCE);
        Self(receipt(site, &uuid)["containment"].clone())
    }

    /// Nothing outside can be killed from inside.
    pub(crate) fn keeps_kills_inside(&self) -> bool {
        self.0["pid_namespace"] == true
            || self.0["user"].is_string()
            || self.0["landlock_abi"].as_u64() >= Some(6)
    }

    /// Nothing outside can be written from inside.
    pub(crate) fn keeps_writes_inside(&self) -> bool {
        self.0["user"].is_string() || self.0["landlock_abi"].is_u64()
    }
}

/// Waits for the end of a job, and for that of all that came of it.
#[track_caller]
pub(crate) fn ended(pair: &Pair, uuid: &str) -> Value {
    let job = pair.client.until_ended(uuid, PATIENCE);
    until("the end of what the job left", GONE, || {
        let left = processes_with("BCRL_JOB", uuid).len();
        (left == 0 && descendants(&pair.worker).is_empty()).then_some(())
    });
    job
}

/// Runs a job of a script, and shows that worker and host are well after it.
#[track_caller]
pub(crate) fn run(site: &Site, manifest: &str, main: &str, body: &str) -> Value {
    app(site, "bad", manifest, main);
    let pair = start(site, "bad");
    let uuid = pair.client.submit("bad", body);
    let job = ended(&pair, &uuid);
    assert_eq!(answer(&pair.client, "sound", "{}"), 1);
    assert!(pair.worker.stop(PATIENCE).success());
    assert_eq!(names(&site.path("data/scratch")), [""; 0]);
    job
}

#[track_caller]
pub(crate) fn fails(site: &Site, manifest: &str, main: &str) -> (String, String) {
    let job = run(site, manifest, main, "{}");
    let failure = &job["failure"];
    let text = |key: &str| {
        failure[key]
            .as_str()
            .unwrap_or_else(|| panic!("{job}"))
            .to_owned()
    };
    (text("reason"), text("message"))
}

#[track_caller]
pub(crate) fn is_done(site: &Site, main: &str, body: &str) {
    let job = run(site, "", main, body);
    assert_eq!(job["status"], "done", "{job}");
}

/// Never ends by itself. Where nothing but the supervisor's counting holds it, it stays as small as a test may be.
const FORK_BOMB: &str = "
outlive_sigterm()
steps = 10**9 if os.path.exists(os.path.join(GATE, 'held')) else 9
while steps:
    steps -= 1
    try: os.fork()
    except OSError: pass
time.sleep(600)
";

fn bomb_site() -> Site {
    site().set("WORKER__PROCESSES", "64")
}

/// Lets the bomb go off for good where this host holds it.
fn arm(pair: &Pair, site: &Site) {
    let held = Held::of(pair, site).0;
    if held["pid_namespace"] == true || held["user"].is_string() {
        leave(site, "held");
    }
}

#[test]
fn a_fork_bomb_ends_at_the_limit_of_processes() {
    let site = bomb_site();
    app(&site, "bad", "memory = \"8GiB\"", FORK_BOMB);
    let pair = start(&site, "bad");
    arm(&pair, &site);
    let uuid = pair.client.submit("bad", "{}");
    let job = ended(&pair, &uuid);
    assert_eq!(
        job["failure"],
        json!({ "reason": "signal", "message": "the script was killed: it had more than the 64 processes that a run may have here" })
    );
    assert_eq!(answer(&pair.client, "sound", "{}"), 1);
}

#[test]
fn a_daemon_is_dead_when_the_job_has_ended() {
    let main = "
for n in range(5):
    daemon(f'daemon-{n}', dict(os.environ))
daemon('nameless', {})
print(1)
";
    is_done(&site(), main, "{}");
}

const MEMORY_HOG: &str = "
for n in range(4):
    if os.fork() == 0:
        os.setsid()
        break
hold = []
while len(hold) < 100:
    hold.append(b'x' * 10_000_000)
    time.sleep(0.01)
time.sleep(600)
";

#[test]
fn memory_over_several_processes_ends_at_the_limit_for_all_of_them() {
    let (reason, message) = fails(&site(), "memory = \"300MiB\"", MEMORY_HOG);
    assert_eq!(
        (&*reason, &*message),
        (
            "memory",
            "the script's processes took more than the 314572800 bytes that its API allows"
        )
    );
}

/// Two gigabytes and more, on a descriptor.
fn flood(descriptor: u8) -> String {
    format!(
        "outlive_sigterm()\nfor _ in range(32_800): os.write({descriptor}, b'x' * 65_536)\nprint(1)"
    )
}

/// The longest that two gigabytes may take.
const FLOOD: &str = "5m";

#[test]
fn two_gigabytes_of_output_are_drained_and_the_workers_memory_is_flat() {
    let site = site().set("WORKER__GRACE", FLOOD);
    app(&site, "stdout", "", &flood(1));
    app(&site, "stderr", "", &flood(2));
    let pair = start(&site, "stdout");
    assert_eq!(answer(&pair.client, "sound", "{}"), 1);
    let before = peak_memory(&pair.worker);
    let stdout = pair.client.submit("stdout", "{}");
    let job = ended(&pair, &stdout);
    assert_eq!(job["failure"]["reason"], "output_too_large", "{job}");
    let stderr = pair.client.submit("stderr", "{}");
    assert_eq!(ended(&pair, &stderr)["status"], "done");
    let log = site.shared(&format!("log/{stderr}.log"));
    let log = log.metadata().unwrap().len();
    assert!(((1 << 20)..(1 << 20) + 100).contains(&log), "{log}");
    let grown = peak_memory(&pair.worker) - before;
    assert!(grown < 10_000_000, "{grown}");
    assert_eq!(answer(&pair.client, "sound", "{}"), 1);
}

/// Kills whom it can, itself excepted.
const KILL_ALL: &str = "
try: os.kill(-1, signal.SIGKILL)
except OSError: pass
print(1)
";

#[test]
fn kill_of_everybody_reaches_nobody_outside() {
    let site = site();
    app(&site, "bad", "", KILL_ALL);
    app(&site, "other", "", "leave('in')\nwait_for('go')\nprint(2)");
    let pair = start(&site, "bad");
    if !Held::of(&pair, &site).keeps_kills_inside() {
        // It would take whoever runs this test along; `takeover` shows what becomes of such a job.
        return;
    }
    let other = pair.client.submit("other", "{}");
    note(&site, "in");
    assert_eq!(answer(&pair.client, "bad", "{}"), 1);
    leave(&site, "go");
    assert_eq!(ended(&pair, &other)["status"], "done");
    assert!(pair.worker.stop(PATIENCE).success());
}

#[test]
fn a_script_that_kills_its_parent_ends_at_most_itself() {
    let site = site();
    let main = "
try: os.kill(os.getppid(), signal.SIGKILL)
except OSError: pass
time.sleep(0.2)
print(1)
";
    app(&site, "bad", "attempts = 2", main);
    let pair = start(&site, "bad");
    let held = Held::of(&pair, &site).keeps_kills_inside();
    let uuid = pair.client.submit("bad", "{}");
    let job = ended(&pair, &uuid);
    match held {
        true => assert_eq!(job["status"], "done", "{job}"),
        false => assert_eq!(job["failure"]["reason"], "worker_lost", "{job}"),
    }
    assert_eq!(answer(&pair.client, "sound", "{}"), 1);
    assert!(pair.worker.stop(PATIENCE).success());
}

#[test]
fn a_supervisor_that_is_killed_leaves_nothing_running() {
    let site = site();
    let main = "
outlive_sigterm()
daemon('daemon-' + os.environ['BCRL_ATTEMPT'], dict(os.environ))
daemon('nameless-' + os.environ['BCRL_ATTEMPT'], {})
time.sleep(600)
";
    app(&site, "bad", "attempts = 1", main);
    let pair = start(&site, "bad");
    let uuid = pair.client.submit("bad", "{}");
    let family = ["daemon-1", "nameless-1"].map(|name| process(&site, name));
    let supervisor = Pid::from_raw(descendants(&pair.worker)[0]).unwrap();
    kill_process(supervisor, Signal::KILL).unwrap();
    let job = ended(&pair, &uuid);
    assert_eq!(job["failure"]["reason"], "worker_lost", "{job}");
    assert_eq!(family.each_ref().map(runs), [false; 2]);
    assert_eq!(answer(&pair.client, "sound", "{}"), 1);
}

#[test]
fn a_script_that_hangs_and_ignores_sigterm_is_killed() {
    let main = "outlive_sigterm()\ntime.sleep(600)";
    let (reason, message) = fails(&site(), "timeout = \"1s\"", main);
    assert_eq!(
        (&*reason, &*message),
        (
            "timeout",
            "the script ran longer than the 1 s that its API allows"
        )
    );
}

#[test]
fn a_script_that_stops_itself_is_killed() {
    let main = "
if os.fork() == 0: os.kill(os.getpid(), signal.SIGSTOP)
os.kill(os.getpid(), signal.SIGSTOP)
";
    let (reason, _) = fails(&site(), "timeout = \"1s\"", main);
    assert_eq!(reason, "timeout");
}

#[test]
fn a_script_need_not_read_its_stdin() {
    let body = format!("\"{}\"", "x".repeat(3_000_000));
    is_done(&site(), "print(1)", &body);
}

#[test]
fn a_script_may_fill_stderr_before_it_reads_its_stdin() {
    let body = format!("\"{}\"", "x".repeat(3_000_000));
    let main = "os.write(2, b'x' * 3_000_000)\nprint(len(sys.stdin.read()))";
    is_done(&site(), main, &body);
}

#[test]
fn a_script_may_close_stdout_and_go_on() {
    let site = site();
    let main = "
os.write(1, b'1')
os.closerange(0, 3)
leave('closed')
wait_for('go')
os._exit(0)
";
    app(&site, "bad", "", main);
    let pair = start(&site, "bad");
    let uuid = pair.client.submit("bad", "{}");
    note(&site, "closed");
    assert_eq!(answer(&pair.client, "sound", "{}"), 1);
    assert_eq!(pair.client.job(&uuid)["status"], "processing");
    leave(&site, "go");
    assert_eq!(ended(&pair, &uuid)["status"], "done");
}

#[test]
fn a_child_that_keeps_the_pipe_holds_the_job_for_two_seconds() {
    let site = site();
    let main = "
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
leave('in')
wait_for('go')
print(1)
";
    app(&site, "bad", "", main);
    let pair = start(&site, "bad");
    let uuid = pair.client.submit("bad", "{}");
    note(&site, "in");
    let end = Instant::now();
    leave(&site, "go");
    assert_eq!(ended(&pair, &uuid)["status"], "done");
    let held = end.elapsed();
    let two_seconds = Duration::from_secs(2)..Duration::from_secs(20);
    assert!(two_seconds.contains(&held), "{held:?}");
    assert_eq!(answer(&pair.client, "sound", "{}"), 1);
}

#[expect(
    clippy::disallowed_methods,
    reason = "scripts/soak says so how many rounds a campaign has"
)]
fn rounds() -> u32 {
    let rounds = std::env::var("BCRL_CAMPAIGN_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

#[test]
fn campaign_nothing_of_a_bad_script_is_alive_after_five_seconds() {
    let site = bomb_site().set("WORKER__GRACE", FLOOD);
    app(&site, "bomb", "memory = \"8GiB\"", FORK_BOMB);
    app(
        &site,
        "daemon",
        "",
        "daemon('d', dict(os.environ))\ndaemon('n', {})\nprint(1)",
    );
    app(&site, "hog", "memory = \"100MiB\"", MEMORY_HOG);
    app(&site, "flood", "", &flood(1));
    app(&site, "kill", "", KILL_ALL);
    let pair = start(&site, "bomb");
    arm(&pair, &site);
    let mut bad = vec![
        ("bomb", "signal"),
        ("daemon", "done"),
        ("hog", "memory"),
        ("flood", "output_too_large"),
    ];
    if Held::of(&pair, &site).keeps_kills_inside() {
        bad.push(("kill", "done"));
    }
    for _ in 0..rounds() {
        for (api, end) in &bad {
            let _ = std::fs::remove_file(site.path("gate/d"));
            let _ = std::fs::remove_file(site.path("gate/n"));
            let uuid = pair.client.submit(api, "{}");
            let job = ended(&pair, &uuid);
            let status = job["failure"]["reason"].as_str().or(job["status"].as_str());
            assert_eq!(status, Some(*end), "{job}");
        }
        assert_eq!(answer(&pair.client, "sound", "{}"), 1);
    }
    assert!(pair.worker.stop(PATIENCE).success());
    assert_eq!(names(&site.path("data/scratch")), [""; 0]);
}
