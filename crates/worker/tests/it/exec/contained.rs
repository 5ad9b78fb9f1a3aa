//! What holds a script apart from its host: the user, the terminal and the folders that are not its own.

use std::fs::{self, File};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Command, Stdio};

use rustix::process::geteuid;
use serde_json::{Value, json};
use worker::exec::containment::ScriptUser;
use worker::exec::{Ending, Report};

use super::{Job, PYTHON};

/// A user id that no worker gives.
const NOBODYS: u32 = 1_999_999_999;

/// Says who runs it, with one user id to choose from.
fn who() -> Job {
    let (first, count) = (NOBODYS, 1);
    Job::of("").with(|order| {
        order.program = "/bin/sh".into();
        order.args = ["-c", "id -u"].map(str::to_owned).to_vec();
        order.containment.user = Some(ScriptUser::OneOf { first, count });
    })
}

#[test]
fn a_user_id_is_one_runs_at_a_time_and_without_one_nothing_is_run() {
    if !geteuid().is_root() {
        return;
    }
    if who().report().containment.user.is_none() {
        // This host's root can give no other user.
        return;
    }
    // Any script may take such a name.
    let name = SocketAddr::from_abstract_name(format!("bcrl-script-user-{NOBODYS}")).unwrap();
    let _stranger = UnixListener::bind_addr(&name).unwrap();
    let first = who();
    assert_eq!(first.ending(), Ending::Printed);
    assert_eq!(first.printed(), format!("{NOBODYS}\n"));

    let held = File::open(format!("/run/bcrlapi/script-users/{NOBODYS}")).unwrap();
    held.lock().unwrap();
    let second = who();
    let mut supervisor = second.supervisor();
    assert_eq!(supervisor.child.wait().unwrap().code(), Some(74));
    assert_eq!(supervisor.lines.iter().count(), 0);
    assert_eq!(second.printed(), "", "it was not run as root");

    held.unlock().unwrap();
    assert_eq!(who().ending(), Ending::Printed);
}

#[test]
fn the_terminal_of_whoever_started_the_worker_is_out_of_reach() {
    let script = "
try: reached = os.open('/dev/tty', os.O_RDWR) > 0
except OSError: reached = False
print(json.dumps([reached, os.getpgid(0) == os.getpid()]))
";
    let in_a_terminal = "import os, pty, sys; pty.spawn(sys.argv[1:])";
    for pid_namespace in [false, true] {
        let job = Job::of(script).with(|order| order.containment.pid_namespace = pid_namespace);
        let order = job.path("order");
        fs::write(&order, serde_json::to_vec(&job.order).unwrap()).unwrap();
        let output = Command::new(&*PYTHON)
            .args([
                "-c",
                in_a_terminal,
                env!("CARGO_BIN_EXE_bcrl-worker"),
                "exec",
            ])
            .arg(order)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let report = |line: &str| serde_json::from_str::<Report>(line).ok();
        let report = told.lines().find_map(report).expect(&told);
        assert_eq!(report.ending, Ending::Printed, "{pid_namespace}");
        assert_eq!(job.printed(), "[false, true]\n", "{pid_namespace}");
    }
}

#[test]
fn a_hidden_folder_is_empty_unless_the_run_needs_something_of_it() {
    let script = "
folder = sys.argv[1]
try: made = os.mkdir(folder + '/made') is None
except OSError: made = False
print(json.dumps([os.path.exists(folder + '/lock'), made]))
";
    let shared = tempfile::tempdir().unwrap();
    let path = shared.path().canonicalize().unwrap();
    fs::write(path.join("lock"), "").unwrap();
    fs::create_dir(path.join("open")).unwrap();
    let seen = |pid_namespace: bool, writable: &str| {
        let job = Job::of(script).with(|order| {
            order.args.push(path.to_str().unwrap().to_owned());
            order.containment.pid_namespace = pid_namespace;
            order.hidden = vec!["/no/such/folder".into(), path.clone()];
            order.writable = vec![path.join(writable)];
        });
        let report = job.report();
        assert_eq!(report.ending, Ending::Printed);
        let _ = fs::remove_dir(path.join("made"));
        let seen: Value = serde_json::from_str(&job.printed()).unwrap();
        (seen, report.containment)
    };
    let in_sight = json!([true, true]);
    for (pid_namespace, writable) in [(false, "missing"), (true, "open")] {
        let (seen, held) = seen(pid_namespace, writable);
        assert_eq!(
            (seen, held.hidden.len()),
            (in_sight.clone(), 0),
            "{writable}"
        );
    }
    let (seen, held) = seen(true, "/elsewhere");
    match held.pid_namespace {
        true => assert_eq!((seen, held.hidden), (json!([false, false]), vec![path])),
        false => assert_eq!((seen, held.hidden.len()), (in_sight, 0)),
    }
}
