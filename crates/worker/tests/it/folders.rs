//! What a `main.py` can do with files, and what its job, the other jobs and the host get of it.

use std::os::unix::fs::PermissionsExt;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::containment::{Held, ended, fails, is_done, run, site};
use crate::support::{answer, app, bcrl_worker, receipt, result, start, text};

#[test]
fn a_script_writes_nothing_outside_of_its_folders() {
    let site = site();
    let main = "
places = json.load(sys.stdin)
own = os.path.dirname(os.environ['TMPDIR'])
places.append(os.path.dirname(own))
done = []
def attempt(what, act):
    try: done.append([what, act()])
    except OSError: pass
for place in places:
    attempt('make in ' + place, lambda: open(place + '/made', 'w').close())
    attempt('mkdir in ' + place, lambda: os.mkdir(place + '/folder'))
    attempt('link in ' + place, lambda: os.symlink('/', place + '/link'))
    attempt('pipe in ' + place, lambda: os.mkfifo(place + '/pipe'))
    for name in os.listdir(place) if os.access(place, os.R_OK) else []:
        path = os.path.join(place, name)
        if path != own and os.path.isfile(path):
            attempt('open ' + path, lambda: open(path, 'r+').close())
            attempt('cut ' + path, lambda: os.truncate(path, 0))
            attempt('move ' + path, lambda: os.rename(path, own + '/taken'))
            attempt('remove ' + path, lambda: os.remove(path))
outside = list(done)
for own in [own, own + '/tmp', '/dev/shm', GATE]:
    open(f'{own}/mine-{os.getpid()}', 'w').close()
    os.remove(f'{own}/mine-{os.getpid()}')
open('/dev/null', 'w').write('x')
print(json.dumps(outside))
";
    app(&site, "bad", "", main);
    let pair = start(&site, "bad");
    let places = [
        "",
        "apps/bad",
        "apps/sound",
        "data",
        "data/shared/bcrlapi",
        "data/shared/bcrlapi/request",
    ];
    let mut places = places
        .map(|place| site.path(place).to_string_lossy().into_owned())
        .to_vec();
    places.push("/tmp".into());
    let done = answer(&pair.client, "bad", &json!(places).to_string());
    if Held::of(&pair, &site).keeps_writes_inside() {
        let outside = done.as_array().unwrap().iter();
        // The temporary folder is everybody's: only Landlock keeps a user from it.
        let held = Held::of(&pair, &site).0["landlock_abi"].is_u64();
        let outside: Vec<_> = outside
            .filter(|done| held || !done[0].as_str().unwrap().contains("/tmp"))
            .collect();
        assert!(outside.is_empty(), "{outside:?}");
    }
    assert_eq!(answer(&pair.client, "sound", "{}"), 1);
}

#[test]
fn the_shared_folder_is_out_of_sight_of_a_script_that_is_the_workers_own_user() {
    let me = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let site = site().set("WORKER__USER", &format!("{me}:{group}"));
    let main = "
import fcntl
shared = json.load(sys.stdin)
lock = shared + '/request/status.json.lock'
done = os.listdir(shared)
def attempt(what, act):
    try: act()
    except OSError: return
    done.append(what)
attempt('lock', lambda: fcntl.flock(os.open(lock, os.O_RDONLY), fcntl.LOCK_EX))
attempt('close a file', lambda: os.chmod(lock, 0))
attempt('close the folder', lambda: os.chmod(shared, 0))
attempt('make', lambda: os.mkdir(shared + '/made'))
print(json.dumps(done))
";
    app(&site, "bad", "", main);
    let pair = start(&site, "bad");
    let hidden = Held::of(&pair, &site).0["pid_namespace"] == true;
    let told = text(&bcrl_worker(&site, &["check"]).stdout);
    let line = match hidden {
        true => "ok       shared folder: scripts do not see it\n",
        false => "weaker   shared folder: scripts see it; ",
    };
    assert!(told.contains(line), "{told}");
    if hidden {
        let uuid = pair
            .client
            .submit("bad", &json!(site.shared("")).to_string());
        assert_eq!(result(&pair.client, &uuid), json!([]));
    }
}

#[test]
fn a_file_grows_no_larger_than_the_disk_that_a_run_may_have() {
    let site = site().set("LIMITS__SCRATCH", "4MiB");
    let main = "open(os.environ['TMPDIR'] + '/large', 'wb').write(b'x' * 5_000_000)";
    let (reason, message) = fails(&site, "", main);
    assert_eq!(reason, "exit_code", "{message}");
    assert!(message.contains("File too large"), "{message}");
}

/// Fills the disk a megabyte at a time, in files with a name or without.
fn fill(deleted: &str) -> String {
    format!(
        "
open_files = []
for n in range(200):
    file = open(os.environ['TMPDIR'] + f'/{{n}}', 'wb')
    file.write(b'x' * 1_000_000)
    file.flush()
    open_files.append(file)
    {deleted}
time.sleep(600)
"
    )
}

#[test]
fn a_script_that_fills_the_disk_is_killed() {
    for deleted in ["pass", "os.remove(file.name)"] {
        let site = site().set("LIMITS__SCRATCH", "20MiB");
        let (reason, message) = fails(&site, "", &fill(deleted));
        assert_eq!(
            (&*reason, &*message),
            (
                "output_too_large",
                "the script was killed: its temporary files took more than the 20971520 bytes that a run may hold \
                 here, or lay in folders too deep or too closed to be counted"
            ),
            "{deleted}"
        );
    }
}

#[test]
fn thousands_of_files_are_removed_with_their_run() {
    let main = "
for n in range(5):
    folder = os.environ['TMPDIR'] + f'/{n}'
    os.mkdir(folder)
    for m in range(1000): os.mknod(f'{folder}/{m}')
print(1)
";
    is_done(&site(), main, "{}");
}

#[test]
fn folders_deeper_than_any_path_and_closed_ones_are_removed_with_their_run() {
    let main = "
os.chdir(os.environ['TMPDIR'])
os.mkdir('closed')
open('closed/file', 'w').close()
os.chmod('closed', 0)
for n in range(2_000):
    os.mkdir('deep')
    os.chdir('deep')
print(1)
";
    // On a busy machine it is seen before it ends, and killed for what cannot be counted.
    let job = run(&site(), "", main, "{}");
    let reason = &job["failure"]["reason"];
    assert!(
        job["status"] == "done" || reason == "output_too_large",
        "{job}"
    );
}

#[test]
fn links_and_pipes_of_a_script_lead_nowhere() {
    let site = site();
    let kept = site.put("kept/file", "kept");
    mknodat(CWD, site.path("kept/pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let main = "
kept = json.load(sys.stdin)
own = os.path.dirname(os.environ['TMPDIR'])
for name in ['tmp/a', 'b']:
    os.symlink(kept, f'{own}/{name}-folder')
    os.symlink(kept + '/file', f'{own}/{name}-file')
    os.mkfifo(f'{own}/{name}-pipe')
os.remove(os.environ['BCRL_PROGRESS'])
os.symlink(kept + '/pipe', os.environ['BCRL_PROGRESS'])
time.sleep(0.5)
print(1)
";
    let body = json!(kept.parent().unwrap().to_string_lossy()).to_string();
    is_done(&site, main, &body);
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "kept");
}

#[test]
fn a_main_py_that_cannot_be_read_is_no_api_or_is_run_as_root_and_told() {
    let site = site();
    app(&site, "bad", "", "print(1)");
    let secret = std::fs::Permissions::from_mode(0o0);
    std::fs::set_permissions(site.path("apps/bad/main.py"), secret).unwrap();
    let mut pair = start(&site, "sound");
    if std::fs::File::open(site.path("apps/bad/main.py")).is_err() {
        let folder = site.path("apps/bad/");
        pair.worker.says(&format!(
            "an app is left out: {}: it cannot be read: Permission denied (os error 13)",
            folder.display()
        ));
        assert_eq!(pair.client.post("/api/v1/jobs/bad", "{}").status, 404);
    } else {
        // No user was set, and root reads everything.
        let uuid = pair.client.submit("bad", "{}");
        assert_eq!(ended(&pair, &uuid)["status"], "done");
        let held = receipt(&site, &uuid)["containment"].clone();
        assert_eq!(held["user"], Value::Null);
        if Held::of(&pair, &site).0["user"].is_string() {
            let told = bcrl_worker(&site, &["check"]);
            let told = text(&told.stdout);
            assert!(
                told.contains("weaker   app bad: its script runs as root, because user "),
                "{told}"
            );
            let line = pair
                .worker
                .says("a script was run with less to hold it than others here");
            let missing = line["missing"].as_str().unwrap();
            assert!(
                missing.contains("cannot reach") && missing.ends_with("apps/bad/main.py"),
                "{missing}"
            );
        }
    }
    assert_eq!(answer(&pair.client, "sound", "{}"), 1);
}
