//! What a script gets, and what is reported of how it ended.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use worker::exec::{Ending, Order};

use super::{Job, PYTHON, Supervisor, exists, message_of};

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
    let printed: serde_json::Value = serde_json::from_str(&job.printed()).unwrap();
    let here = job.folder.path();
    assert_eq!(
        printed,
        serde_json::json!([{"n": 35}, ["日本", "a b", "$(x)", ""], here, true])
    );
    assert_eq!(report.stdout_bytes, job.printed().len() as u64);
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
    let printed: serde_json::Value = serde_json::from_str(&job.printed()).unwrap();

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
    assert!(job.printed().trim().parse::<i32>().unwrap() > 0);
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
    let full = job.path("full");
    symlink("/dev/full", &full).unwrap();
    let full_disk = Job::of("print(1)").with(|order| order.stdout = full);
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
        fs::write(job.path("stdout"), "").unwrap();
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
