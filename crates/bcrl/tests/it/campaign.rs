//! Load, and everything killed at random moments: what was answered 202 is never lost.
//!
//! `BCRL_CAMPAIGN_ROUNDS` says how many kills, `BCRL_CAMPAIGN_SEED` repeats a run's choices.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use test_support::{Client, Dice, Process, Site, campaign_rounds, processes_with, until};

const SOON: Duration = Duration::from_secs(30);

/// A job takes about a tenth of a second, and leaves a child behind if nobody ends it.
const NAP: &str = "
import subprocess, sys, time
subprocess.Popen(['sleep', '300'], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(0.05)
print(sys.stdin.read())
";

/// What clients were promised: each id with the body that was accepted.
type Promises = Mutex<BTreeMap<String, String>>;

/// Submits until it is told to stop, wherever the API is at the moment.
fn submit_again_and_again(
    api: &Mutex<Client>,
    name: &str,
    thread: u64,
    pause: Duration,
    promises: &Promises,
    stop: &AtomicBool,
) {
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let client = api.lock().unwrap().clone();
        let body = format!("{{\"thread\":{thread},\"n\":{n}}}");
        let headers = [("content-type", "application/json")];
        let path = format!("/api/v1/jobs/{name}");
        if let Ok(answer) =
            client.try_send("POST", &path, &headers, Some(body.clone().into_bytes()))
        {
            // A server that was just started may not have read the catalogs again; anything but these is a mistake.
            assert!([202, 503].contains(&answer.status), "{}", answer.text());
            if answer.status == 202 {
                promises
                    .lock()
                    .unwrap()
                    .insert(answer.json()["uuid"].as_str().unwrap().to_owned(), body);
            }
        }
        std::thread::sleep(pause);
    }
}

/// Reads the index without a lock, as anybody may; every look must find it whole, and no final status may change.
fn watch_the_index(site: &Site, stop: &AtomicBool) -> usize {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut looks = 0;
    while !stop.load(Ordering::Relaxed) {
        let index = site.index();
        let jobs = index["jobs"].as_array().unwrap();
        let mut ids = HashSet::new();
        for job in jobs {
            let (uuid, status) = (
                job["uuid"].as_str().unwrap(),
                job["status"].as_str().unwrap(),
            );
            assert!(ids.insert(uuid), "{uuid} stands in the index twice");
            if let Some(before) = seen.get(uuid) {
                assert_eq!(before, status, "the final status of {uuid} changed");
            }
            if ["done", "failed", "canceled"].contains(&status) {
                seen.insert(uuid.to_owned(), status.to_owned());
            }
        }
        looks += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    looks
}

fn check_promises(
    site: &Site,
    client: &Client,
    name: &str,
    promises: &BTreeMap<String, String>,
) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (uuid, body) in promises {
        let job = client.until_ended(uuid, SOON);
        let status = job["status"].as_str().unwrap().to_owned();
        match status.as_str() {
            "done" => {
                let result = client.get(&format!("/api/v1/jobs/{uuid}/result"));
                assert_eq!(result.text().trim(), body, "the result of {uuid}");
            }
            "failed" => assert_eq!(job["failure"]["reason"], "worker_lost", "{job}"),
            other => panic!("{uuid} is {other}"),
        }
        assert!(site.shared(&format!("receipt/{uuid}.json")).exists());
        *counts.entry(status).or_default() += 1;
    }
    until(
        "no process of a job is left",
        Duration::from_secs(10),
        || processes_with("BCRL_API", name).is_empty().then_some(()),
    );
    counts
}

#[test]
fn campaign_kills_at_random_moments_lose_nothing() {
    let rounds = campaign_rounds(12);
    let mut dice = Dice::new();
    // Processes of jobs are found by their API's name, so no other test may use it.
    let name = format!("nap-{}", std::process::id());
    let site = Site::new()
        .set("WORKER__LEASE", "1500ms")
        .set("WORKER__HEARTBEAT", "300ms")
        .set("WORKER__SWEEP", "300ms")
        .set("WORKER__CONCURRENCY", "4");
    site.app(&name, NAP);
    let mut worker = Some(site.worker());
    let mut api = Some(site.api());
    let client = Mutex::new(api.as_ref().unwrap().client());
    let (promises, stop, done) = (
        Promises::default(),
        AtomicBool::new(false),
        AtomicBool::new(false),
    );
    let (kills, looks) = std::thread::scope(|scope| {
        let pause = Duration::from_millis(150);
        for thread in 0..3 {
            let (client, name, promises, stop) = (&client, &name, &promises, &stop);
            scope
                .spawn(move || submit_again_and_again(client, name, thread, pause, promises, stop));
        }
        let watching = scope.spawn(|| watch_the_index(&site, &done));
        let mut kills = BTreeMap::from([("API", 0), ("worker", 0)]);
        for _ in 0..rounds {
            std::thread::sleep(Duration::from_millis(20 + dice.below(600)));
            if dice.below(2) == 0 {
                api.take().unwrap().kill();
                *kills.entry("API").or_default() += 1;
                let again = site.api();
                *client.lock().unwrap() = again.client();
                api = Some(again);
            } else {
                worker.take().unwrap().kill();
                *kills.entry("worker").or_default() += 1;
                worker = Some(site.worker());
            }
        }
        stop.store(true, Ordering::Relaxed);
        let promised = promises.lock().unwrap().clone();
        let waited = Instant::now();
        let client = client.lock().unwrap().clone();
        until("all jobs have ended", Duration::from_secs(120), || {
            let index = site.index();
            let jobs = index["jobs"].as_array().unwrap();
            let open = jobs
                .iter()
                .filter(|job| ["pending", "processing"].contains(&job["status"].as_str().unwrap()))
                .count();
            (open == 0).then_some(())
        });
        println!(
            "{} jobs promised, the last ended {:?} after the last kill",
            promised.len(),
            waited.elapsed()
        );
        println!("{:?}", check_promises(&site, &client, &name, &promised));
        done.store(true, Ordering::Relaxed);
        (kills, watching.join().unwrap())
    });
    println!("{kills:?} kills, {looks} looks at the index");
    assert_eq!(kills.values().sum::<u64>(), rounds);
    let quarantine: Vec<_> = std::fs::read_dir(site.shared("quarantine"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(quarantine, ["late"], "nothing had to be put aside");
}

#[test]
fn an_api_that_is_asked_to_end_keeps_every_answer() {
    let name = format!("nap-{}-term", std::process::id());
    let site = Site::new().set("WORKER__CONCURRENCY", "2");
    site.app(&name, NAP);
    let worker = site.worker();
    let api = site.api();
    let client = Mutex::new(api.client());
    let (promises, stop) = (Promises::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (client, name, promises, stop) = (&client, &name, &promises, &stop);
            scope.spawn(move || {
                submit_again_and_again(
                    client,
                    name,
                    thread,
                    Duration::from_millis(1),
                    promises,
                    stop,
                )
            });
        }
        until("some jobs", SOON, || {
            (promises.lock().unwrap().len() > 20).then_some(())
        });
        assert_eq!(api.stop(SOON).code(), Some(0));
        stop.store(true, Ordering::Relaxed);
    });
    let promised = promises.into_inner().unwrap();
    let index = site.index();
    let known: HashSet<_> = index["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["uuid"].as_str().unwrap())
        .collect();
    assert_eq!(
        promised
            .keys()
            .filter(|uuid| !known.contains(uuid.as_str()))
            .count(),
        0
    );
    let api = site.api();
    check_promises(&site, &api.client(), &name, &promised);
    drop(worker);
}

#[test]
fn everything_in_one_process_gives_its_jobs_back_under_load() {
    let name = format!("long-{}", std::process::id());
    let site = Site::new()
        .set("WORKER__CONCURRENCY", "3")
        .set("WORKER__GRACE", "1s");
    // It does not end when it is asked to.
    site.app(&name, "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', file=sys.stderr, flush=True)\ntime.sleep(600)\n");
    let up: Process = site.up();
    let client = up.client();
    let ids: Vec<_> = (0..5)
        .map(|n| client.submit(&name, &format!("{{\"n\":{n}}}")))
        .collect();
    for uuid in &ids[..3] {
        until("the script is up", SOON, || {
            (client.get(&format!("/api/v1/jobs/{uuid}/log")).text() == "up\n").then_some(())
        });
    }
    assert_eq!(up.stop(SOON).code(), Some(0));
    let index = site.index();
    for job in index["jobs"].as_array().unwrap() {
        assert_eq!(job["status"], "pending", "{job}");
    }
    let lease = std::fs::read_to_string(site.shared(&format!("lease/{}.json", ids[0]))).unwrap();
    let lease: serde_json::Value = serde_json::from_str(&lease).unwrap();
    assert_eq!((&lease["attempt"], &lease["lost"]), (&1.into(), &0.into()));
    assert!(processes_with("BCRL_API", &name).is_empty());
}
