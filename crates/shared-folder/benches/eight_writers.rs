//! Eight processes change one folder at once, and readers look all the while: `eight_writers CHANGES READS`.
//!
//! Two submit, two claim and finish, two do both in Python (`python/bcrl`) and count in members of their own, one
//! checks and mends the folder, one removes what has ended. A thousand entries stand by. In the end every job that was
//! accepted was finished by exactly one of them, every count is whole, and no reader ever saw half an index; else it
//! panics. Run by `scripts/soak`.

#![expect(
    clippy::unwrap_used,
    reason = "a campaign ends at the first thing that is not as it should be"
)]
#![expect(clippy::print_stdout, reason = "its figures are for people")]
#![expect(
    clippy::disallowed_methods,
    reason = "these processes are their own services, and ask the clock as boot does"
)]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use job_core::claim::Offer;
use job_core::date::Date;
use job_core::files::Request;
use job_core::ids::{JobId, WorkerId};
use job_core::status::Status;
use serde_json::{Value, value::RawValue};
use shared_folder::finish::{Ended, Measured};
use shared_folder::fsck::{Mode, fsck};
use shared_folder::retain::retain;
use shared_folder::submit::Submitter;
use shared_folder::{Options, SharedFolder, job_id};

/// Entries that nobody claims: they make the index as large as a busy site's.
const STANDING_BY: usize = 1000;
/// Jobs that may wait at once; submitters pause there.
const WAITING: usize = 100;
/// Submits at once of each submitting process.
const THREADS: usize = 4;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| *argument != "--bench")
        .collect();
    match arguments[..] {
        ["submit", home, jobs] => submit(Path::new(home), jobs.parse().unwrap()),
        ["work", home] => work(Path::new(home)),
        ["fsck", home] => check(Path::new(home)),
        ["retain", home] => remove(Path::new(home)),
        [changes, reads] => campaign(changes.parse().unwrap(), reads.parse().unwrap()),
        _ => println!("usage: eight_writers CHANGES READS"),
    }
}

fn now() -> Date {
    Date::new(chrono::Utc::now().fixed_offset())
}

fn options() -> Options {
    Options {
        keep: TimeDelta::seconds(2),
        patience: Duration::from_secs(30),
        ..Options::default()
    }
}

fn open(home: &Path) -> Arc<SharedFolder> {
    Arc::new(SharedFolder::open(&home.join("shared"), options()).unwrap())
}

fn request(api: &str) -> Request {
    let now = now();
    Request {
        uuid: job_id(now),
        api: api.parse().unwrap(),
        request_date: now,
        params: RawValue::from_string("{\"n\":1}".into()).unwrap(),
        idempotency_key: None,
        webhook: None,
        traceparent: None,
    }
}

/// Starts all, reads while they write, and compares what they say with what the folder holds.
fn campaign(changes: usize, reads: u64) {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| root().join("target"));
    let home = tempfile::tempdir_in(target).unwrap();
    let folder = open(home.path());
    let submitter = Submitter::start(folder.clone());
    let standing: Vec<JobId> = (0..STANDING_BY)
        .map(|_| {
            let request = request("standing_by");
            let uuid = request.uuid;
            submitter.submit(request, None).unwrap();
            uuid
        })
        .collect();

    let begun = Instant::now();
    let path = home.path().to_str().unwrap();
    // A job is three changes and a removal; the counting in Python adds to that.
    let jobs = (changes / 8).to_string();
    let myself = std::env::current_exe().unwrap();
    let start = |arguments: &[&str]| {
        let mut command = Command::new(&myself);
        command.args(arguments).stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let submitting = [0, 1].map(|_| start(&["submit", path, &jobs]));
    let mut working: Vec<_> = [0, 1].map(|_| start(&["work", path])).into();
    working.extend(["first", "second"].map(|name| python(home.path(), name, standing[0])));
    let upkeep = ["fsck", "retain"].map(|role| start(&[role, path]));

    let (done, looked) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut submitted, mut finished, mut other) = (Vec::new(), Vec::new(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| read(home.path(), &done, &looked, reads));
        for child in submitting {
            submitted.extend(told(child)["jobs"].as_array().unwrap().clone());
        }
        std::fs::write(home.path().join("submitted"), "").unwrap();
        for child in working {
            let told = told(child);
            finished.extend(told["jobs"].as_array().unwrap().clone());
            other += told["counted"].as_u64().unwrap_or(0);
        }
        let seconds = begun.elapsed().as_secs_f64();
        std::fs::write(home.path().join("finished"), "").unwrap();
        for child in upkeep {
            other += told(child)["removed"].as_u64().unwrap_or(0);
        }
        let changed = submitted.len() + 2 * finished.len() + usize::try_from(other).unwrap();
        println!("{changed} changes by 8 processes in {seconds:.0} s");
        done.store(true, Ordering::Relaxed);
    });
    println!("{} reads without a lock, none torn", looked.into_inner());

    let all: HashSet<_> = finished.iter().map(|uuid| uuid.as_str().unwrap()).collect();
    assert_eq!(all.len(), finished.len(), "a job was finished twice");
    let accepted: HashSet<_> = submitted
        .iter()
        .map(|uuid| uuid.as_str().unwrap())
        .collect();
    assert_eq!(all, accepted, "what was accepted was finished");
    let queue = folder.queue().unwrap();
    for uuid in &standing {
        assert_eq!(queue.get(*uuid).unwrap().status(), Status::Pending);
    }
    let ended = queue
        .iter()
        .filter(|entry| entry.status().is_final())
        .count();
    assert_eq!(queue.len(), standing.len() + ended, "nothing else is left");
    counts_are_whole(home.path(), standing[0]);
    println!("{} jobs, each finished once; none lost", accepted.len());
}

/// The counts that the Python processes kept in members of their own, beside all others' changes.
fn counts_are_whole(home: &Path, entry: JobId) {
    let text = std::fs::read_to_string(home.join("shared/request/status.json")).unwrap();
    let index: Value = serde_json::from_str(&text).unwrap();
    let jobs = index["jobs"].as_array().unwrap();
    let entry = jobs
        .iter()
        .find(|job| job["uuid"] == entry.to_string())
        .unwrap();
    for name in ["first", "second"] {
        let count = std::fs::read_to_string(home.join(name)).unwrap();
        assert_eq!(
            entry[name].to_string(),
            count.trim(),
            "{name} lost some of its changes"
        );
    }
}

fn told(child: Child) -> Value {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Looks at the index as anybody may, so many times, and as long as there are writers.
fn read(home: &Path, done: &AtomicBool, looked: &AtomicU64, reads: u64) {
    let path = home.join("shared/request/status.json");
    while !done.load(Ordering::Relaxed) || looked.load(Ordering::Relaxed) < reads {
        let text = std::fs::read(&path).unwrap();
        let whole: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(&text);
        whole.unwrap_or_else(|error| panic!("a reader saw half an index: {error}"));
        looked.fetch_add(1, Ordering::Relaxed);
    }
}

fn submit(home: &Path, jobs: usize) {
    let folder = open(home);
    let submitter = Submitter::start(folder.clone());
    let waiting = || {
        let queue = folder.queue().unwrap();
        let waits = queue.iter().filter(|entry| entry.api.as_str() == "soc");
        waits
            .filter(|entry| entry.status() == Status::Pending)
            .count()
    };
    let submitted: Vec<_> = std::thread::scope(|scope| {
        let one = || {
            let mut submitted = Vec::new();
            while submitted.len() < jobs / THREADS {
                if waiting() > WAITING {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                let request = request("soc");
                let uuid = request.uuid.to_string();
                submitter.submit(request, None).unwrap();
                submitted.push(uuid);
            }
            submitted
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(one)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    println!("{}", serde_json::json!({ "jobs": submitted }));
}

fn work(home: &Path) {
    let folder = open(home);
    let me = WorkerId::new("writer", uuid::Uuid::from_u128(std::process::id().into())).unwrap();
    let offer: Offer = [("soc".parse().unwrap(), None)].into();
    let printed = home.join(format!("printed-{}", std::process::id()));
    std::fs::write(&printed, "{\"n\":1}").unwrap();
    let mut finished = Vec::new();
    loop {
        let last = home.join("submitted").exists();
        match folder
            .claim(&me, std::process::id(), &offer, now())
            .unwrap()
        {
            Some(job) => {
                let ended = folder.finish_done(&job, &printed, &Measured::default(), now());
                assert_eq!(ended.unwrap(), Ended::Published);
                finished.push(job.uuid.to_string());
            }
            None if last => break,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    println!("{}", serde_json::json!({ "jobs": finished }));
}

fn python(home: &Path, name: &str, entry: JobId) -> Child {
    let script = "
import json, os, sys, time
from bcrl import Folder
home, name, entry = sys.argv[1:]
finished, counted = [], 0
with Folder(os.path.join(home, 'shared'), name=name, lock_timeout=30) as folder:
    def count(jobs):
        one = next(job for job in jobs if job['uuid'] == entry)
        one[name] = one.get(name, 0) + 1
    while True:
        last = os.path.exists(os.path.join(home, 'submitted'))
        job = folder.claim(['soc'])
        if job is not None:
            job.finish({'n': 1})
            finished.append(job.uuid)
            folder.edit(count)
            counted += 1
        elif last:
            break
        else:
            time.sleep(0.005)
with open(os.path.join(home, name), 'w') as file:
    print(counted, file=file)
print(json.dumps({'jobs': finished, 'counted': counted}))
";
    let mut command = Command::new("python3");
    command
        .args(["-c", script])
        .arg(home)
        .arg(name)
        .arg(entry.to_string());
    command
        .env("PYTHONPATH", root().join("python"))
        .stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Where the repository is.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn check(home: &Path) {
    let mut checks = 0;
    while !home.join("finished").exists() {
        let report = fsck(
            &home.join("shared"),
            options(),
            Mode::Repair,
            now(),
            &mut |_, _| {},
        );
        let report = report.unwrap();
        assert!(
            report.findings.is_empty(),
            "nothing was wrong, and this was found: {report:#?}"
        );
        checks += 1;
    }
    println!("{}", serde_json::json!({ "checks": checks }));
}

fn remove(home: &Path) {
    let folder = open(home);
    let mut removed = 0;
    while !home.join("finished").exists() {
        removed += retain(&folder, now()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("{}", serde_json::json!({ "removed": removed }));
}
