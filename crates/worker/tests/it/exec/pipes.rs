//! What goes through a script's pipes, and who holds them.

use std::fs;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use worker::exec::Ending;

use super::{Job, MB, exists};

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
fn stderr_may_be_filled_before_stdin_is_read() {
    let script = "
os.write(2, b'x' * 2_000_000)
print(len(sys.stdin.buffer.read()))
";
    let job = Job::of(script);
    fs::write(job.path("stdin"), vec![b' '; 3_000_000]).unwrap();
    assert_eq!(job.ending(), Ending::Printed);
    assert_eq!(job.printed(), "3000000\n");
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
    assert_eq!(job.printed(), "[1,2]");
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
    assert_eq!(job.printed().len() as u64, MB);
}

#[test]
fn only_what_comes_through_the_pipe_is_a_result() {
    let script = "
try: open('stdout', 'r+').write('[1, 2, 3]')
except FileNotFoundError: pass
print(1)
";
    let job = Job::of(script).with(|order| order.stdout_limit = 2);
    assert_eq!(job.ending(), Ending::Printed);
    assert_eq!(job.printed(), "1\n");
}
