//! `bcrl-worker exec`, black box: small Python scripts, good and bad, and what is reported.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, and says where"
)]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
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

/// A script in a folder of its own, and the order to run it.
struct Job {
    folder: TempDir,
    order: Order,
}

impl Job {
    fn of(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("main.py"), format!("{PRELUDE}{script}")).unwrap();
        fs::write(path("stdin"), "{}").unwrap();
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
            containment: Containment::default(),
        };
        Self { folder, order }
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

#[test]
fn a_script_gets_what_was_ordered_and_its_document_is_kept() {
    let script = "
leave('pid', os.getpid())
print(json.dumps([json.load(sys.stdin), sys.argv[1:], os.getcwd(), os.getpgid(0) == os.getpid()]))
print('to the log', file=sys.stderr)
";
    let arguments = ["main.py", "日本", "a b", "$(x)", ""].map(str::to_owned);
    let job = Job::of(script).with(|order| order.args = arguments.to_vec());
    fs::write(job.path("stdin"), r#"{"n": 35}"#).unwrap();
    fs::write(job.path("stdout"), "what an earlier attempt printed").unwrap();
    fs::write(job.path("log"), "an earlier attempt\n").unwrap();

    let supervisor = job.supervisor();
    let started = supervisor.started();
    let report = supervisor.report();

    assert_eq!(report.ending, Ending::Printed);
    assert_eq!(started, job.number("pid"));
    let printed: serde_json::Value = serde_json::from_str(&job.text("stdout")).unwrap();
    let here = job.folder.path();
    assert_eq!(
        printed,
        serde_json::json!([{"n": 35}, ["日本", "a b", "$(x)", ""], here, true])
    );
    assert_eq!(report.stdout_bytes, job.text("stdout").len() as u64);
    assert_eq!(report.stderr_tail, "to the log\n");
    assert_eq!(job.text("log"), "an earlier attempt\nto the log\n");
    assert!(report.max_memory > 0);
    assert!(!exists(started));
}

#[test]
fn environment_and_open_files_are_exactly_what_was_ordered() {
    let script = "
environment = open('/proc/self/environ').read().split('\\0')
files = [n for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')]
print(json.dumps([environment, sorted(files)]))
";
    let job = Job::of(script).with(|order| {
        order
            .environment
            .insert("BCRL_API".to_owned(), "soc".to_owned());
        order
            .environment
            .insert("A".to_owned(), "日本 = b".to_owned());
    });
    assert_eq!(job.ending(), Ending::Printed);
    let printed: serde_json::Value = serde_json::from_str(&job.text("stdout")).unwrap();

    // Whoever started this test may have left files open for all below it.
    let plain = Command::new(&*PYTHON)
        .arg(job.path("main.py"))
        .output()
        .unwrap();
    let plain: serde_json::Value = serde_json::from_slice(&plain.stdout).unwrap();
    assert_eq!(
        printed[0],
        serde_json::json!(["A=日本 = b", "BCRL_API=soc", ""])
    );
    assert_eq!(printed[1], plain[1]);
}

#[test]
fn the_tree_falls_to_the_oom_killer_before_its_supervisor() {
    let script = "
def score(process): return int(open(f'/proc/{process}/oom_score_adj').read())
wait_for('go')
print(score('self') - score(os.getppid()) if score('self') == 500 else 'not 500')
";
    let job = Job::of(script);
    let supervisor = job.supervisor();
    supervisor.started();
    fs::write(job.path("go"), "").unwrap();
    assert_eq!(supervisor.report().ending, Ending::Printed);
    assert!(job.number("stdout") > 0);
}

#[test]
fn printing_nothing_is_no_result() {
    for script in ["", "print(' \\t\\r\\n')"] {
        assert_eq!(Job::of(script).ending(), Ending::NoResult, "{script}");
    }
}

#[test]
fn printing_anything_but_one_document_is_invalid_output() {
    for (script, message) in [
        (
            "print('{\"a\": ')",
            "EOF while parsing a value at line 2 column 0",
        ),
        (
            "print('{}'); print('{}')",
            "trailing characters at line 2 column 1",
        ),
        (
            "print(json.dumps(float('nan')))",
            "expected value at line 1 column 1",
        ),
        (
            "print('\"\\\\ud800\"')",
            "unexpected end of hex escape at line 1 column 8",
        ),
        (
            "os.write(1, b'[\\n \\xff]')",
            "invalid UTF-8 at line 2 column 2",
        ),
        (
            "os.write(1, b'\\xef\\xbb\\xbf{}')",
            "byte order mark at line 1 column 1",
        ),
    ] {
        assert_eq!(message_of(Job::of(script).ending()), message, "{script}");
    }
}

#[test]
fn a_failing_script_is_reported_with_its_code_and_last_words() {
    let report = Job::of("print('{}')\nsys.exit('日本' * 3000)").report();
    assert_eq!(report.ending, Ending::Exited { code: 1 });
    assert!(report.stderr_tail.ends_with("日本\n"));
    assert!((4094..=4096).contains(&report.stderr_tail.len()));
    assert!(!report.stderr_tail.contains('\u{fffd}'));

    assert_eq!(
        Job::of("os._exit(200)").ending(),
        Ending::Exited { code: 200 }
    );
    assert_eq!(Job::of("syntax error").ending(), Ending::Exited { code: 1 });
}

#[test]
fn a_signal_that_kills_the_script_is_reported() {
    for signal in [9, 11, 15] {
        let script = format!("os.kill(os.getpid(), {signal})");
        assert_eq!(Job::of(&script).ending(), Ending::Signaled { signal });
    }
}

#[test]
fn what_cannot_be_started_is_reported_with_its_name() {
    let job = Job::of("");
    let missing = job.path("missing");
    let no_program = job.path("main.py");
    for (change, name) in [
        (
            &(|order: &mut Order| order.program = missing.clone()) as &dyn Fn(&mut Order),
            &missing,
        ),
        (&|order| order.program = no_program.clone(), &no_program),
        (&|order| order.working_dir = missing.clone(), &missing),
    ] {
        let report = Job::of("").with(change).report();
        let message = message_of(report.ending);
        assert!(message.contains(name.to_str().unwrap()), "{message}");
        assert!(message.contains("os error"), "{message}");
    }
}

#[test]
fn the_supervisors_own_failure_is_no_report() {
    let job = Job::of("print(1)").with(|order| order.stdin = "/missing".into());
    let full_disk = Job::of("print(1)").with(|order| order.stdout = "/dev/full".into());
    fs::write(job.path("nonsense"), "{").unwrap();
    // A pipe would be waited for, and a link leads to what is somebody's.
    let [piped, linked] = ["pipe", "link"].map(|name| {
        let log = job.path(name);
        Job::of("print(1)").with(|order| order.log = log)
    });
    mknodat(CWD, &piped.order.log, FileType::Fifo, Mode::RWXU, 0).unwrap();
    symlink("nonsense", &linked.order.log).unwrap();
    for (supervisor, lines) in [
        (job.supervisor(), 0),
        (piped.supervisor(), 0),
        (linked.supervisor(), 0),
        (Supervisor::of(&job.path("nonsense")), 0),
        (Supervisor::of(&job.path("missing")), 0),
        (full_disk.supervisor(), 1),
    ] {
        let mut supervisor = supervisor;
        assert_eq!(supervisor.child.wait().unwrap().code(), Some(74));
        assert_eq!(supervisor.lines.iter().count(), lines);
    }
}

#[test]
fn a_host_without_room_for_a_process_is_not_the_scripts_fault() {
    let job = Job::of("").with(|order| order.program = "/bin/true".into());
    fs::write(job.path("order"), serde_json::to_vec(&job.order).unwrap()).unwrap();
    let mut codes = HashMap::new();
    // From fewer descriptors than a program needs to begin, to as many as a run takes.
    for descriptors in 3..40 {
        let mut supervisor = Command::new("sh")
            .args(["-c", "ulimit -n $0 && exec \"$@\""])
            .arg(descriptors.to_string())
            .args([env!("CARGO_BIN_EXE_bcrl-worker"), "exec"])
            .arg(job.path("order"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let _worker_lives = supervisor.stdin.take();
        let output = supervisor.wait_with_output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(!told.contains("spawn_error"), "{descriptors}: {told}");
        *codes.entry(output.status.code()).or_insert(0) += 1;
    }
    assert!(codes[&Some(74)] > 1 && codes[&Some(0)] > 1, "{codes:?}");
}

#[test]
fn a_log_that_cannot_be_kept_does_not_harm_the_job() {
    let script = "sys.stderr.write('x' * 3_000_000 + 'end'); print(1)";
    let report = Job::of(script)
        .with(|order| order.log = "/dev/full".into())
        .report();
    assert_eq!(report.ending, Ending::Printed);
    assert!(report.stderr_tail.ends_with("xxend"));
}

#[test]
fn a_script_that_hangs_is_timed_out_even_if_it_then_saves_and_exits_well() {
    let script = "
def save(*_):
    leave('saved'); print('{}'); sys.exit(0)
signal.signal(signal.SIGTERM, save)
time.sleep(600)
";
    let job = Job::of(script).with(|order| order.timeout_ms = 2_000);
    let report = job.report();
    assert_eq!(report.ending, Ending::TimedOut);
    assert!(job.path("saved").exists());
    assert!(
        (1_000..10_000).contains(&report.run_ms),
        "{}",
        report.run_ms
    );
}

#[test]
fn a_script_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let script = "
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('{}', flush=True)
while True: time.sleep(600)
";
    let job = Job::of(script).with(|order| (order.timeout_ms, order.grace_ms) = (2_000, 300));
    let report = job.report();
    assert_eq!(report.ending, Ending::TimedOut);
    assert!(
        (2_300..20_000).contains(&report.run_ms),
        "{}",
        report.run_ms
    );
}

#[test]
fn a_script_that_stops_itself_and_its_children_is_killed() {
    let script = "
if os.fork() == 0:
    leave('child', os.getpid())
    os.kill(os.getpid(), signal.SIGSTOP)
wait_for('child')
os.kill(os.getpid(), signal.SIGSTOP)
";
    let job = Job::of(script).with(|order| (order.timeout_ms, order.grace_ms) = (2_000, 100));
    assert_eq!(job.ending(), Ending::TimedOut);
    assert!(!exists(job.number("child")));
}

#[test]
fn terminate_reaches_every_process_of_the_tree_once() {
    let script = "
def save(*_): open(name, 'a').write('saved'); sys.exit(0)
def hold(*_): open(name, 'a').write('saved')
name, parent = 'child', os.getpid()
signal.signal(signal.SIGTERM, save)
if os.fork() == 0:
    os.setsid(); leave('ready'); time.sleep(600)
name = 'parent'
signal.signal(signal.SIGTERM, hold)
wait_for('ready'); leave('both')
os.wait()
print('{}')
";
    let job = Job::of(script);
    let mut supervisor = job.supervisor_until("both");
    supervisor.say("terminate\n");
    assert_eq!(supervisor.report().ending, Ending::Terminated);
    assert_eq!(
        (job.text("parent"), job.text("child")),
        ("saved".into(), "saved".into())
    );
}

#[test]
fn terminate_kills_what_does_not_leave() {
    let script = "
signal.signal(signal.SIGTERM, signal.SIG_IGN)
daemon('daemon')
leave('ready')
time.sleep(600)
";
    let job = Job::of(script).with(|order| order.grace_ms = 200);
    let mut supervisor = job.supervisor_until("ready");
    supervisor.say("terminate\nterminate\n");
    assert_eq!(supervisor.report().ending, Ending::Terminated);
    assert!(!exists(job.number("daemon")));
}

#[test]
fn stderr_may_be_filled_before_stdin_is_read() {
    let script = "
os.write(2, b'x' * 2_000_000)
print(len(sys.stdin.buffer.read()))
";
    let job = Job::of(script);
    fs::write(job.path("stdin"), vec![b' '; 3_000_000]).unwrap();
    assert_eq!(job.ending(), Ending::Printed);
    assert_eq!(job.number("stdout"), 3_000_000);
}

#[test]
fn stdin_need_not_be_read() {
    let job = Job::of("print(1)");
    fs::write(job.path("stdin"), vec![b' '; 3_000_000]).unwrap();
    assert_eq!(job.ending(), Ending::Printed);
}

#[test]
fn a_script_may_close_its_pipes_and_go_on() {
    let script = "
os.write(1, b'[1]')
os.closerange(0, 3)
leave('closed')
wait_for('go')
os._exit(0)
";
    let job = Job::of(script);
    let supervisor = job.supervisor_until("closed");
    supervisor.started();
    let early = supervisor.lines.recv_timeout(Duration::from_millis(300));
    assert_eq!(early, Err(RecvTimeoutError::Timeout));
    fs::write(job.path("go"), "").unwrap();
    assert_eq!(supervisor.report().ending, Ending::Printed);
}

#[test]
fn a_daemon_that_keeps_the_pipes_holds_the_report_for_two_seconds() {
    let job = Job::of("daemon('daemon', hold_pipes=True)\nprint(1)\nleave('end')");
    let supervisor = job.supervisor_until("end");
    let end = Instant::now();
    let report = supervisor.report();
    assert_eq!(report.ending, Ending::Printed);
    assert!(end.elapsed() >= Duration::from_millis(1_900));
    assert!(end.elapsed() < Duration::from_secs(20));
    assert!(!exists(job.number("daemon")));
}

#[test]
fn a_helper_may_print_for_a_moment_after_the_script() {
    let script = "
if os.fork() == 0:
    time.sleep(0.3); os.write(1, b'2]'); os._exit(0)
os.write(1, b'[1,')
os._exit(0)
";
    let job = Job::of(script);
    assert_eq!(job.ending(), Ending::Printed);
    assert_eq!(job.text("stdout"), "[1,2]");
}

#[test]
fn daemons_are_dead_when_the_report_comes() {
    let script = "
for i in range(5): daemon(f'daemon{i}')
print(1)
";
    let job = Job::of(script);
    let start = Instant::now();
    assert_eq!(job.ending(), Ending::Printed);
    assert!(start.elapsed() < Duration::from_secs(20));
    for i in 0..5 {
        assert!(!exists(job.number(&format!("daemon{i}"))));
    }
}

#[test]
fn orphans_are_reaped_while_the_script_runs() {
    let script = "
def zombies():
    zombies = 0
    for p in open(f'/proc/{os.getppid()}/task/{os.getppid()}/children').read().split():
        try: zombies += open(f'/proc/{p}/stat').read().rpartition(')')[2].split()[0] == 'Z'
        except OSError: pass  # it was reaped meanwhile
    return zombies
for i in range(20):
    if os.fork() == 0:
        if os.fork() == 0: os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    os.wait()
while zombies(): time.sleep(0.005)
print(1)
";
    assert_eq!(Job::of(script).ending(), Ending::Printed);
}

#[test]
fn a_process_that_never_stops_forking_away_is_caught() {
    let script = "
for i in range(4):
    if os.fork() == 0:
        os.setsid()
        while True:
            leave(f'hop{i}', os.getpid())
            if os.fork(): os._exit(0)
for i in range(4): wait_for(f'hop{i}')
print(1, flush=True)
os._exit(0)
";
    let job = Job::of(script);
    assert_eq!(job.ending(), Ending::Printed);
    for i in 0..4 {
        assert!(!exists(job.number(&format!("hop{i}"))));
    }
    // One that lived on would come back.
    fs::remove_file(job.path("hop0")).unwrap();
    thread::sleep(Duration::from_millis(100));
    assert!(!job.path("hop0").exists());
}

#[test]
fn two_hundred_megabytes_of_log_keep_their_ends_in_flat_memory() {
    let script = "
os.write(2, b'BEGIN')
for _ in range(3200): os.write(2, b'x' * 65536)
os.write(2, b'END')
leave('written')
wait_for('go')
print(1)
";
    let job = Job::of(script).with(|order| order.log_limit = 4 * MB);
    let supervisor = job.supervisor_until("written");
    let peak = supervisor.peak_memory();
    fs::write(job.path("go"), "").unwrap();
    let report = supervisor.report();

    assert_eq!(report.ending, Ending::Printed);
    assert!(peak < 64 * MB, "{peak}");
    let log = job.text("log");
    let left_out = 3200 * 65536 + 8 - 4 * MB;
    let marker = format!("x\n[… {left_out} bytes left out …]\nx");
    assert!(log.starts_with("BEGINx") && log.ends_with("xEND"));
    assert!(log.contains(&marker), "{left_out}");
    assert_eq!(log.len() as u64, 4 * MB + marker.len() as u64 - 2);
    assert!(report.stderr_tail.len() == 4096 && report.stderr_tail.ends_with("xEND"));
}

#[test]
fn a_log_within_its_limit_is_whole() {
    let script = "os.write(2, b'0123456789' * 10); print(1)";
    let job = Job::of(script).with(|order| order.log_limit = 100);
    assert_eq!(job.ending(), Ending::Printed);
    assert_eq!(job.text("log"), "0123456789".repeat(10));
}

#[test]
fn two_hundred_megabytes_of_output_are_drained_in_flat_memory() {
    let script = "
signal.signal(signal.SIGTERM, lambda *_: None)
for _ in range(3200): os.write(1, b'x' * 65536)
leave('written')
wait_for('go')
";
    let job = Job::of(script);
    let supervisor = job.supervisor_until("written");
    let peak = supervisor.peak_memory();
    fs::write(job.path("go"), "").unwrap();
    let report = supervisor.report();

    assert_eq!(report.ending, Ending::OutputTooLarge);
    assert!(peak < 64 * MB, "{peak}");
    assert_eq!(report.stdout_bytes, 3200 * 65536);
    assert_eq!(fs::metadata(job.path("stdout")).unwrap().len(), MB);
}

#[test]
fn the_output_limit_is_exact() {
    for (limit, ending) in [(10, Ending::Printed), (9, Ending::OutputTooLarge)] {
        let job = Job::of("os.write(1, b'[12345678]')").with(|order| order.stdout_limit = limit);
        assert_eq!(job.ending(), ending);
        assert_eq!(job.text("stdout").len() as u64, limit);
    }
}

#[test]
fn a_script_that_prints_without_end_is_ended() {
    let report = Job::of("while True: os.write(1, b'x' * 65536)").report();
    assert_eq!(report.ending, Ending::OutputTooLarge);
}

#[test]
fn memory_counts_over_all_processes_and_sessions() {
    let script = "
for i in range(4):
    if os.fork() == 0:
        os.setsid()
        block = b'x' * 50_000_000
        leave(f'child{i}', os.getpid())
        time.sleep(600)
for i in range(4): wait_for(f'child{i}')
time.sleep(600)
";
    let job = Job::of(script).with(|order| order.memory = 180 * MB);
    let report = job.report();
    assert_eq!(report.ending, Ending::Memory);
    assert!(report.max_memory > 180 * MB);

    let roomy = Job::of("block = b'x' * 50_000_000\ntime.sleep(0.3)\nprint(1)").report();
    assert_eq!(roomy.ending, Ending::Printed);
    assert!(
        (50 * MB..150 * MB).contains(&roomy.max_memory),
        "{}",
        roomy.max_memory
    );
}

#[test]
fn a_fork_bomb_ends_at_the_memory_limit() {
    // It stops by itself at 1,024 processes: no harm where the test fails.
    let script = "
for _ in range(10):
    if os.fork() == 0: os.setsid()
time.sleep(600)
";
    let job = Job::of(script).with(|order| order.memory = 500 * MB);
    let report = job.report();
    assert_eq!(report.ending, Ending::Memory);
}

#[test]
fn more_processes_than_ordered_end_the_run() {
    let script = "
for _ in range(30):
    if os.fork() == 0: os.setsid(); time.sleep(600)
time.sleep(LAST)
print(1)
";
    for (last, processes, ending) in [
        ("600", 30, Ending::Processes { limit: 30 }),
        ("1", 31, Ending::Printed),
    ] {
        let job = Job::of(&script.replace("LAST", last));
        assert_eq!(
            job.with(|order| order.processes = processes).ending(),
            ending
        );
    }
}

#[test]
fn more_on_the_disk_than_ordered_ends_the_run() {
    let script = "
held = [open(f'held-{n}', 'wb', buffering=0) for n in range(3)]
os.remove('held-1')
for file in held: file.write(b'x' * 10_000_000)
time.sleep(LAST)
print(1)
";
    let limit = 20 * MB;
    for (last, limit, ending) in [
        ("600", 20 * MB, Ending::Scratch { limit }),
        ("2.5", 40 * MB, Ending::Printed),
    ] {
        let job = Job::of(&script.replace("LAST", last)).with(|order| order.scratch_limit = limit);
        assert_eq!(job.ending(), ending);
    }
}

#[test]
fn a_dead_worker_leaves_nothing_running() {
    let script = "
signal.signal(signal.SIGTERM, signal.SIG_IGN)
daemon('daemon', hold_pipes=True)
child = subprocess.Popen(['sleep', '600'])
leave('pids', f'{os.getpid()} {child.pid} {open(\"daemon\").read()}')
time.sleep(600)
";
    let job = Job::of(script);
    let mut supervisor = job.supervisor_until("pids");
    supervisor.started();
    let pids: Vec<i32> = job
        .text("pids")
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert!(pids.len() == 3 && pids.iter().all(|pid| exists(*pid)));

    drop(supervisor.stdin.take());
    let death = Instant::now();
    eventually("their end", || !pids.iter().any(|pid| exists(*pid)));
    assert!(
        death.elapsed() < Duration::from_secs(1),
        "{:?}",
        death.elapsed()
    );
    assert_eq!(supervisor.child.wait().unwrap().code(), Some(0));
    assert_eq!(supervisor.lines.iter().count(), 0);
}

#[test]
fn a_worker_that_died_during_the_grace_period_leaves_nothing_running() {
    let script = "
signal.signal(signal.SIGTERM, lambda *_: leave('asked'))
leave('pid', os.getpid())
while True: time.sleep(600)
";
    let job = Job::of(script);
    let mut supervisor = job.supervisor_until("pid");
    supervisor.say("terminate\n");
    eventually("SIGTERM", || job.path("asked").exists());
    drop(supervisor.stdin.take());
    assert_eq!(supervisor.child.wait().unwrap().code(), Some(0));
    assert!(!exists(job.number("pid")));
}

#[test]
fn only_the_worker_decides() {
    let job = Job::of("leave('ready')\nwait_for('go')\nprint(1)");
    let mut supervisor = job.supervisor_until("ready");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        supervisor.signal(signal);
    }
    supervisor.say("\nhello\nterminate now\n");
    supervisor.started();
    let early = supervisor.lines.recv_timeout(Duration::from_millis(300));
    assert_eq!(early, Err(RecvTimeoutError::Timeout));
    fs::write(job.path("go"), "").unwrap();
    assert_eq!(supervisor.report().ending, Ending::Printed);
}
