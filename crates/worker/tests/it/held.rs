//! What holds scripts apart from their host: what is told of it, what the settings demand, what it means for a script.

use std::os::unix::fs::PermissionsExt;

use rustix::process::geteuid;
use serde_json::{Value, json};
use test_support::{Site, until};

use crate::containment::{Held, site};
use crate::support::{
    NEVER, PATIENCE, answer, app, bcrl_worker, heartbeats, leave, names, note, receipt, result,
    start, text,
};

/// What the receipt of a job says of it.
#[track_caller]
fn held(site: &Site) -> Value {
    let pair = start(site, "sound");
    let uuid = pair.client.submit("sound", "{}");
    pair.client.until_status(&uuid, "done", PATIENCE);
    receipt(site, &uuid)["containment"].clone()
}

fn check(site: &Site) -> (bool, String) {
    let output = bcrl_worker(site, &["check"]);
    (output.status.success(), text(&output.stdout))
}

#[test]
fn check_and_receipt_tell_the_same() {
    let site = site();
    let (well, told) = check(&site);
    assert!(well, "{told}");
    let held = held(&site);
    let says = |line: &str| told.lines().any(|told| told.starts_with(line));
    for (part, in_force) in [
        ("own PID namespace: in force", held["pid_namespace"] == true),
        ("own user: scripts run as ", held["user"].is_string()),
        (
            "Landlock: in force, version ",
            held["landlock_abi"].is_u64(),
        ),
    ] {
        let name = part.split(':').next().unwrap();
        assert_eq!(
            says(&format!("ok       {part}")),
            in_force,
            "{part}: {told}"
        );
        let weaker = says(&format!("weaker   {name}: not available: "));
        let nobodys = name == "own user" && !geteuid().is_root();
        assert_eq!(weaker, !in_force && !nobodys, "{part}: {told}");
    }
}

#[test]
fn where_nothing_is_wanted_nothing_holds_a_script() {
    let site = site().set("WORKER__CONTAINMENT", "off");
    assert_eq!(held(&site), json!({ "pid_namespace": false }));
    let (well, told) = check(&site);
    assert!(well, "{told}");
    for part in ["own PID namespace", "Landlock"] {
        let line = format!("weaker   {part}: off by the settings\n");
        assert!(told.contains(&line), "{part}: {told}");
    }
}

#[test]
fn what_is_required_is_there_or_nothing_is_run() {
    let demanding = || site().set("WORKER__CONTAINMENT", "required");
    let site = demanding();
    let (well, _) = check(&site);
    if well {
        let held = held(&site);
        assert_eq!(held["pid_namespace"], true, "{held}");
        assert!(held["landlock_abi"].is_u64(), "{held}");
        assert_eq!(held["user"].is_string(), geteuid().is_root(), "{held}");
    }
    let site = demanding();
    if geteuid().is_root() {
        // Nobody else reaches anything there.
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(site.path(""), private).unwrap();
    } else if well {
        return;
    }
    let secret = std::fs::Permissions::from_mode(0o0);
    if well && geteuid().is_root() {
        let site = demanding();
        app(&site, "bad", "", "print(1)");
        std::fs::set_permissions(site.path("apps/bad/main.py"), secret).unwrap();
        let pair = start(&site, "bad");
        let uuid = pair.client.submit("bad", "{}");
        let job = pair.client.until_ended(&uuid, PATIENCE);
        assert_eq!(job["failure"]["reason"], "spawn_error", "{job}");
        let (well, told) = check(&site);
        assert!(!well && told.contains("PROBLEM  app bad: user "), "{told}");
    }
    let words = "worker.containment is \"required\", but ";
    let (well, told) = check(&site);
    let problem = format!("PROBLEM  containment: {words}");
    assert!(!well && told.contains(&problem), "{told}");
    for arguments in [&[][..], &["--once"]] {
        let output = bcrl_worker(&site, arguments);
        assert_eq!(output.status.code(), Some(78));
        let told = text(&output.stderr);
        assert!(told.contains(&format!("error: {words}")), "{told}");
    }
    assert_eq!(names(&site.shared("catalog")), [""; 0]);
}

#[test]
fn a_user_that_is_set_runs_the_scripts_or_nobody_does() {
    let site = site().set("WORKER__USER", "65533:65532");
    app(
        &site,
        "who",
        "",
        "print(json.dumps([os.getuid(), os.getgid(), os.getgroups()]))",
    );
    let output = bcrl_worker(&site, &["--once"]);
    if !output.status.success() {
        let told = text(&output.stderr);
        assert!(told.contains("error: worker.user is "), "{told}");
        assert!(!geteuid().is_root() || !check(&site).0, "{told}");
        return;
    }
    let pair = start(&site, "who");
    assert_eq!(answer(&pair.client, "who", "{}"), json!([65533, 65532, []]));
    assert_eq!(held(&site)["user"], "65533:65532");
    // What it cannot read is the app's fault: it is nobody's turn to be root.
    let secret = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(site.path("apps/who/main.py"), secret).unwrap();
    let uuid = pair.client.submit("who", "{}");
    let job = pair.client.until_ended(&uuid, PATIENCE);
    assert_eq!(job["failure"]["reason"], "exit_code", "{job}");
}

#[test]
fn only_a_python_that_can_be_run_without_a_user_of_its_own_costs_that_user() {
    // In these, Python answers the worker and fails where it is tried out.
    let fails = |when: &str| {
        let site = site();
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = -I ] && {when} && exit 3\nprintf '%s\\n3.11.0\\n' \"$0\"\n"
        );
        let python = site.put("python", &text);
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        site.set("WORKER__PYTHON", python.to_str().unwrap())
    };
    let has_user = |told: &str| told.contains("ok       own user: ");
    let usual = has_user(&check(&site()).1);
    let (well, told) = check(&fails("true"));
    assert!(!well && has_user(&told) == usual, "{told}");
    assert!(
        told.contains("PROBLEM  python: Python ends with 3 there: "),
        "{told}"
    );
    if usual {
        let (well, told) = check(&fails("[ $(id -u) != 0 ]"));
        assert!(well && !has_user(&told), "{told}");
        let line = "weaker   own user: not available: Python ends with 3 there: ";
        assert!(told.contains(line), "{told}");
    }
}

#[test]
fn what_holds_scripts_is_told_where_it_has_changed_during_a_rest() {
    let site = site()
        .set("WORKER__SWEEP", "10m")
        .set("WORKER__CRON", NEVER)
        .set("WORKER__SCRATCH_DIR", "place/scratch");
    let mut pair = start(&site, "sound");
    if !Held::of(&pair, &site).0["user"].is_string() {
        return;
    }
    let problem = || heartbeats(&site).remove(0)["problems"][0].clone();
    for (mode, message, level) in [
        (0o700, "from now on less holds scripts than before", "WARN"),
        (0o755, "from now on more holds scripts than before", "INFO"),
    ] {
        until("a worker at rest", PATIENCE, || {
            let idle = names(&site.path("place/scratch")).is_empty();
            (idle && problem().is_null()).then_some(())
        });
        std::fs::remove_dir_all(site.path("place")).unwrap();
        site.put("place", "no folder");
        let uuid = pair.client.submit("sound", "{}");
        until("a worker that rests", PATIENCE, || {
            problem().is_string().then_some(())
        });
        let reach = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(site.path(""), reach).unwrap();
        std::fs::remove_file(site.path("place")).unwrap();
        assert_eq!(result(&pair.client, &uuid), 1);
        let line = pair.worker.says(message);
        assert_eq!(
            (&line["level"], &line["part"]),
            (&json!(level), &json!("own user"))
        );
        let held = receipt(&site, &uuid)["containment"].clone();
        assert_eq!(held["user"].is_string(), mode == 0o755, "{held}");
    }
}

#[test]
fn a_user_that_this_host_does_not_know_is_no_setting() {
    let site = Site::new().set("WORKER__USER", "no such user");
    let output = bcrl_worker(&site, &["--once"]);
    assert_eq!(output.status.code(), Some(78));
    let told = text(&output.stderr);
    assert!(
        told.contains("this host knows no user \"no such user\""),
        "{told}"
    );
}

#[test]
fn jobs_that_run_at_once_cannot_read_each_other() {
    let site = site().set("WORKER__CONCURRENCY", "2");
    let main = "
leave(str(json.load(sys.stdin)), sys.argv[1])
wait_for('go')
other = 3 - json.load(open(sys.argv[1]))['params']
try: seen = open(open(os.path.join(GATE, str(other))).read()).read()
except OSError as error: seen = type(error).__name__
print(json.dumps([os.getuid(), seen]))
";
    app(&site, "pair", "", main);
    let pair = start(&site, "pair");
    let jobs = [1, 2].map(|n| pair.client.submit("pair", &n.to_string()));
    note(&site, "1");
    note(&site, "2");
    leave(&site, "go");
    let seen = jobs.each_ref().map(|uuid| result(&pair.client, uuid));
    let held = jobs.map(|uuid| receipt(&site, &uuid)["containment"]["user"].clone());
    if held[0].is_string() {
        assert_ne!(seen[0][0], seen[1][0], "each has a user of its own");
        assert_ne!(held[0], held[1]);
        assert_eq!(seen.map(|seen| seen[1].clone()), ["PermissionError"; 2]);
    } else {
        assert_eq!(held, [Value::Null, Value::Null]);
    }
}

#[test]
fn a_script_with_a_namespace_of_its_own_sees_nobody_else() {
    let site = site();
    let main = "
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
segment = libc.shmget(4711, 4096, 0o1600)
open('/dev/shm/left', 'w').close()
numbers = sorted(int(name) for name in os.listdir('/proc') if name.isdigit())
print(json.dumps([os.getpid() in numbers, len(numbers), os.getppid(), segment >= 0]))
";
    app(&site, "alone", "", main);
    let pair = start(&site, "alone");
    let uuid = pair.client.submit("alone", "{}");
    let seen = result(&pair.client, &uuid);
    if receipt(&site, &uuid)["containment"]["pid_namespace"] == true {
        assert_eq!(seen, json!([true, 2, 1, true]));
        // What it left in shared memory went with it.
        assert_eq!(answer(&pair.client, "alone", "{}"), seen);
        assert!(!std::path::Path::new("/dev/shm/left").exists());
    } else {
        let _ = std::fs::remove_file("/dev/shm/left");
        assert!(seen[1].as_u64() > Some(2), "{seen}");
    }
}

#[test]
fn a_place_that_the_settings_open_can_be_written_and_one_that_is_missing_is_told() {
    let site = site();
    let [open, missing] = ["open", "missing"].map(|name| site.path(name));
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let paths = format!(
        "{}:{}:{}",
        site.path("gate").display(),
        open.display(),
        missing.display()
    );
    let site = site.set("WORKER__WRITABLE", &paths);
    app(
        &site,
        "fit",
        "",
        "open(json.load(sys.stdin) + '/made', 'w').close()\nprint(1)",
    );
    let (well, told) = check(&site);
    let problem = format!(
        "PROBLEM  worker.writable: {} is not there\n",
        missing.display()
    );
    assert!(!well && told.contains(&problem), "{told}");
    let pair = start(&site, "fit");
    assert_eq!(
        answer(
            &pair.client,
            "fit",
            &json!(open.to_string_lossy()).to_string()
        ),
        1
    );
    assert!(open.join("made").exists());
}

#[test]
fn limits_of_each_process_are_in_force() {
    let site = site()
        .set("LIMITS__SCRATCH", "5MiB")
        .set("WORKER__PROCESSES", "7");
    let main = "
import resource
print(json.dumps([resource.getrlimit(getattr(resource, 'RLIMIT_' + name)) for name in ['CORE', 'FSIZE']]
    + [resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= 4096]))
";
    app(&site, "fit", "", main);
    let pair = start(&site, "fit");
    let limit = 5 << 20;
    assert_eq!(
        answer(&pair.client, "fit", "{}"),
        json!([[0, 0], [limit, limit], true])
    );
}
