//! What a script may take: time, output, memory, processes, disk.

use worker::exec::Ending;

use super::{Job, MB, exists};

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
fn the_output_limit_is_exact() {
    for (limit, ending) in [(10, Ending::Printed), (9, Ending::OutputTooLarge)] {
        let job = Job::of("os.write(1, b'[12345678]')").with(|order| order.stdout_limit = limit);
        assert_eq!(job.ending(), ending);
        assert_eq!(job.printed().len() as u64, limit);
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
fn files_that_cost_no_bytes_and_folders_too_deep_to_be_counted_end_the_run() {
    let empty = "for n in range(2_000): open(str(n), 'w').close()";
    let deep = "for n in range(200): os.mkdir('d'); os.chdir('d')";
    for (script, limit) in [(empty, 4 * MB), (deep, 1_000 * MB)] {
        let job = Job::of(&format!("{script}\ntime.sleep(600)"));
        let job = job.with(|order| order.scratch_limit = limit);
        assert_eq!(job.ending(), Ending::Scratch { limit }, "{script}");
    }
}

#[test]
fn memory_that_is_no_processs_counts_as_well() {
    let script = "
held = OPEN
for _ in range(10): os.write(held, b'x' * 5_000_000)
time.sleep(LAST)
print(1)
";
    for open in [
        "os.memfd_create('held')",
        "os.open('/dev/shm', os.O_TMPFILE | os.O_RDWR)",
    ] {
        for (last, memory, ending) in [
            ("600", 40 * MB, Ending::Memory),
            ("2.5", 200 * MB, Ending::Printed),
        ] {
            let job = Job::of(&script.replace("OPEN", open).replace("LAST", last));
            let job = job.with(|order| order.memory = memory);
            assert_eq!(job.ending(), ending, "{open}");
        }
    }
}
