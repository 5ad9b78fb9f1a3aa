//! All that comes of a script, and whose word ends it.

use std::fs;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use worker::exec::Ending;

use super::{Job, eventually, exists};

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
