//! Workers and supervisors that die or stand still: their jobs go on, once.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use test_support::{Site, bin, until};

use crate::support::{
    Member, PATIENCE, answer, app, descendants, document, files, heartbeats, leave, names, note,
    outcomes, process, result, runs, start, until_nothing_runs,
};

/// Stays for ever in its first run, with two daemons; its second one tells which it is.
const FIRST_STAYS: &str = "
if FIRST:
    outlive_sigterm()
    daemon('daemon', dict(os.environ))
    daemon('nameless', {})
    leave('script', me())
    wait_for('for ever')
print(os.environ['BCRL_ATTEMPT'])
";

/// The same site, on a host that has nothing to hold its scripts: they reach whatever is the worker's.
fn unheld(site: Site) -> Site {
    site.set("WORKER__CONTAINMENT", "off")
}

/// The processes of a first run.
#[track_caller]
fn family(site: &Site) -> [Member; 3] {
    ["script", "daemon", "nameless"].map(|name| process(site, name))
}

#[track_caller]
fn until_dead(family: &[Member; 3]) {
    until("the end of the family", PATIENCE, || {
        (family.each_ref().map(runs) == [false; 3]).then_some(())
    });
}

#[test]
fn a_killed_workers_job_is_rescued_by_the_next_sweep_of_another_one() {
    // The lease is not waited for: on one machine a freed lock shows the death.
    let site = Site::new().set("WORKER__LEASE", "10m");
    app(&site, "slow", "", FIRST_STAYS);
    let pair = start(&site, "slow");
    let uuid = pair.client.submit("slow", "{}");
    let family = family(&site);
    let _second = site.worker();
    pair.worker.kill();
    until_dead(&family);
    assert_eq!(result(&pair.client, &uuid), 2);
    assert_eq!(outcomes(&site, &uuid), ["worker_lost", "done"]);
    until("the first one is forgotten", PATIENCE, || {
        (heartbeats(&site).len() == 1).then_some(())
    });
}

#[test]
fn a_killed_workers_job_waits_for_the_next_worker_where_there_is_no_other() {
    let site = Site::new().set("WORKER__LEASE", "10m");
    app(&site, "slow", "", FIRST_STAYS);
    let pair = start(&site, "slow");
    let uuid = pair.client.submit("slow", "{}");
    let family = family(&site);
    pair.worker.kill();
    until_dead(&family);
    // Whoever only answers HTTP sweeps as well, and must leave to workers what tells that this one is gone.
    let looks = Duration::from_secs(2);
    let start = Instant::now();
    until("some sweeps of the API server", PATIENCE, || {
        assert_eq!(heartbeats(&site).len(), 1, "nobody rescued its job yet");
        (start.elapsed() > looks).then_some(())
    });
    assert_eq!(pair.client.job(&uuid)["status"], "processing");
    let _second = site.worker();
    assert_eq!(result(&pair.client, &uuid), 2);
    until("the end of what both runs left", PATIENCE, || {
        names(&site.path("data/scratch")).is_empty().then_some(())
    });
}

#[test]
fn a_worker_that_died_on_another_machine_loses_its_job_by_its_lease() {
    let site = Site::new()
        .set("WORKER__LEASE", "2s")
        .set("WORKER__SWEEP", "100ms");
    app(&site, "slow", "", FIRST_STAYS);
    let pair = start(&site, "slow");
    let uuid = pair.client.submit("slow", "{}");
    let family = family(&site);
    pair.worker.kill();
    until_dead(&family);
    let mut beat = heartbeats(&site).remove(0);
    let file = format!(
        "data/shared/bcrlapi/workers/{}.json",
        beat["worker"].as_str().unwrap()
    );
    beat["boot"] = json!("8f8e3b3c-0000-4000-8000-000000000000");
    site.put(&file, &beat.to_string());

    let begun = Instant::now();
    let second = site.worker();
    assert_eq!(result(&pair.client, &uuid), 2);
    assert!(
        begun.elapsed().as_secs_f64() > 2.0,
        "its lease was not over"
    );
    assert_eq!(outcomes(&site, &uuid), ["worker_lost", "done"]);
    assert!(
        !second.log().contains("does not carry locks"),
        "a dead worker's free lock says nothing about the volume"
    );
}

/// Stops a worker while its first run stands at the gate, and lets another one take over.
fn stand_still(first_ends_meanwhile: bool, second_ends_first: bool) {
    let site = Site::new();
    let script = "
run = 'first' if FIRST else 'second'
leave(run, me())
wait_for(run + ' may end')
print(json.dumps(run))
";
    app(&site, "slow", "", script);
    let mut pair = start(&site, "slow");
    let uuid = pair.client.submit("slow", "{}");
    let first = process(&site, "first");
    let _second = site.worker();
    pair.worker.signal(Signal::STOP);
    if first_ends_meanwhile {
        leave(&site, "first may end");
        until("the end of the first run", PATIENCE, || {
            (!runs(&first)).then_some(())
        });
    }
    note(&site, "second");
    if second_ends_first {
        leave(&site, "second may end");
        assert_eq!(result(&pair.client, &uuid), "second");
    }
    pair.worker.signal(Signal::CONT);
    pair.worker
        .says("a run has ended, but the job was no longer its own");
    assert!(!runs(&first));
    leave(&site, "second may end");
    assert_eq!(result(&pair.client, &uuid), "second");
    assert_eq!(outcomes(&site, &uuid), ["worker_lost", "done"]);
    let kept = std::fs::read_to_string(site.shared(&format!("response/{uuid}.json"))).unwrap();
    assert_eq!(kept, "\"second\"\n");
    for late in files(&site.shared("quarantine")) {
        let (name, text) = (
            late.to_string_lossy(),
            std::fs::read_to_string(&late).unwrap(),
        );
        assert!(
            name.contains("/late/") && (name.ends_with(".reason") || text == "\"first\"\n"),
            "{name}: {text}"
        );
    }
    // It goes on as if nothing had been.
    leave(&site, "first may end");
    assert!(pair.worker.stop(PATIENCE).success());
}

#[test]
fn a_worker_that_stood_still_ends_the_run_that_it_lost() {
    stand_still(false, false);
}

#[test]
fn a_result_that_comes_after_the_lease_is_not_published() {
    stand_still(true, false);
}

#[test]
fn a_result_that_comes_after_another_one_changes_nothing() {
    stand_still(true, true);
}

#[test]
fn a_job_whose_runs_were_all_lost_has_failed() {
    let site = Site::new().set("WORKER__LEASE", "10m");
    app(
        &site,
        "slow",
        "attempts = 2",
        "leave('in-' + os.environ['BCRL_ATTEMPT'])\ntime.sleep(600)",
    );
    let pair = start(&site, "slow");
    let uuid = pair.client.submit("slow", "{}");
    note(&site, "in-1");
    let second = site.worker();
    pair.worker.kill();
    note(&site, "in-2");
    let third = site.worker();
    second.kill();
    let job = pair.client.until_status(&uuid, "failed", PATIENCE);
    assert_eq!(
        job["failure"],
        json!({ "reason": "worker_lost", "message": "all its runs were lost with the worker (2 of 2 allowed)" })
    );
    assert_eq!(outcomes(&site, &uuid), ["worker_lost", "worker_lost"]);
    until_nothing_runs(&uuid);
    assert!(third.stop(PATIENCE).success());
    assert!(names(&site.shared("lease")).is_empty());
}

#[test]
fn a_script_that_kills_its_supervisor_leaves_nothing_and_loses_its_run() {
    let site = unheld(Site::new());
    let kill = "
attempt = os.environ['BCRL_ATTEMPT']
daemon('daemon-' + attempt, dict(os.environ))
daemon('nameless-' + attempt, {})
leave('script-' + attempt, me())
os.kill(os.getppid(), signal.SIGKILL)
time.sleep(600)
";
    app(&site, "kill", "attempts = 2", kill);
    app(&site, "sound", "", "print(1)");
    let pair = start(&site, "kill");
    let uuid = pair.client.submit("kill", "{}");
    let job = pair.client.until_ended(&uuid, PATIENCE);
    assert_eq!(job["failure"]["reason"], "worker_lost", "{job}");
    assert_eq!(outcomes(&site, &uuid), ["worker_lost", "worker_lost"]);
    for name in ["script", "daemon", "nameless"] {
        for attempt in [1, 2] {
            let name = format!("{name}-{attempt}");
            assert!(!runs(&process(&site, &name)), "{name} still runs");
        }
    }
    assert_eq!(answer(&pair.client, "sound", "{}"), 1);
}

#[test]
fn a_run_after_a_lost_one_is_looked_after_like_any_other() {
    let site = unheld(Site::new()).set("WORKER__CONCURRENCY", "2");
    let twice = "
if FIRST:
    # The next run begins while these are still being removed.
    for n in range(2000):
        open('%s/%d' % (os.environ['TMPDIR'], n), 'w').close()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
leave('again')
time.sleep(600)
";
    app(&site, "twice", "", twice);
    let pair = start(&site, "twice");
    let uuid = pair.client.submit("twice", "{}");
    note(&site, "again");
    let token = document(&site, &format!("lease/{uuid}.json")).unwrap()["token"].clone();
    until("the run in the heartbeat", PATIENCE, || {
        let beat = heartbeats(&site).remove(0);
        (beat["jobs"] == json!([{ "uuid": uuid, "token": token }])).then_some(())
    });
    pair.client
        .send("DELETE", &format!("/api/v1/jobs/{uuid}"), &[], None);
    pair.client.until_status(&uuid, "canceled", PATIENCE);
}

#[test]
fn a_job_that_was_taken_back_may_run_here_again_and_the_lost_run_is_ended() {
    // The worker looks after its runs only when it is told that something changed.
    let site = Site::new()
        .set("WORKER__HEARTBEAT", "1h")
        .set("WORKER__LEASE", "3h")
        .set("WORKER__CONCURRENCY", "2");
    let script = "
leave('run-' + os.environ['BCRL_ATTEMPT'], me())
wait_for('go')
print(os.environ['BCRL_ATTEMPT'])
";
    app(&site, "slow", "", script);
    let pair = start(&site, "slow");
    let uuid = pair.client.submit("slow", "{}");
    let lost = process(&site, "run-1");
    // As a third party's hand, or a sweep that took the worker for dead, would do it.
    let mut index = site.index();
    let entry = index["jobs"][0].as_object_mut().unwrap();
    entry.insert("status".into(), json!("pending"));
    entry.remove("token").unwrap();
    site.put(
        "data/shared/bcrlapi/request/status.json",
        &index.to_string(),
    );
    let again = process(&site, "run-2");
    assert!(runs(&lost), "nobody looked yet");
    app(&site, "newcomer", "", "");
    until("the end of the lost run", PATIENCE, || {
        (!runs(&lost)).then_some(())
    });
    assert!(runs(&again));
    leave(&site, "go");
    assert_eq!(result(&pair.client, &uuid), 2);
}

#[test]
fn campaign_a_supervisor_that_stands_still_holds_its_job_no_longer_than_its_time() {
    let site = unheld(Site::new()).set("WORKER__GRACE", "100ms");
    let stop = "
leave('script', me())
os.kill(os.getppid(), signal.SIGSTOP)
time.sleep(600)
";
    // It must have begun before its time is up, on a busy machine too.
    app(&site, "stop", "timeout = \"10s\"\nattempts = 1", stop);
    let pair = start(&site, "stop");
    let uuid = pair.client.submit("stop", "{}");
    let job = pair.client.until_ended(&uuid, PATIENCE);
    assert_eq!(job["failure"]["reason"], "worker_lost", "{job}");
    assert!(!runs(&process(&site, "script")));
    until("the end of its supervisor", PATIENCE, || {
        descendants(&pair.worker).is_empty().then_some(())
    });
}

#[test]
fn a_worker_that_cannot_show_that_it_lives_ends_its_runs_and_claims_no_more() {
    // It does not even see for itself that it looks dead.
    let site = Site::new().set("WORKER__SWEEP", "10m");
    app(&site, "slow", "", FIRST_STAYS);
    let mut pair = start(&site, "slow");
    let uuid = pair.client.submit("slow", "{}");
    let family = family(&site);
    std::fs::remove_dir_all(site.shared("workers")).unwrap();
    pair.worker.says("the worker cannot show that it lives");
    until_dead(&family);
    pair.worker
        .says("a run has ended, but the job was no longer its own");
    let next = pair.client.submit("slow", "{}");
    // Whoever can show it takes over both.
    let site = site.set("WORKER__SWEEP", "500ms");
    let second = site.worker();
    assert_eq!(result(&pair.client, &uuid), 2);
    leave(&site, "for ever");
    assert_eq!(result(&pair.client, &next), 1);
    let second = second.log();
    assert!(second.contains(&uuid) && second.contains(&next));
    assert_eq!(pair.worker.log().matches("a job was claimed").count(), 1);
}

/// A worker that is started again whenever it ends, in a process namespace of its own.
struct Namespace(Child);

impl Namespace {
    /// Nothing where this host lets nobody make one.
    fn start(site: &Site) -> Option<Self> {
        let unshare = |arguments: &[&str]| {
            let mut command = Command::new("unshare");
            command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
            command.args(arguments);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let users: [&[&str]; 2] = [&[], &["--user", "--map-root-user"]];
        let allowed = |users: &&&[&str]| {
            let tried = unshare(users).arg("true").status();
            tried.is_ok_and(|status| status.success())
        };
        let users = users.iter().find(allowed)?;
        let again = "while sleep 0.1; do \"$0\"; done";
        let child = unshare(users)
            .args(["sh", "-c", again])
            .arg(bin("bcrl-worker"))
            .envs(site.environment())
            .env("OF_ITS_OWN", "1")
            .current_dir(site.path(""))
            .spawn();
        Some(Namespace(child.unwrap()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It ends with all that is in it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_script_that_kills_all_it_can_loses_its_runs_and_the_next_worker_goes_on() {
    let site = unheld(Site::new());
    // Outside of its namespace it would take this test, and whoever runs it, along.
    let kill = "
if b'OF_ITS_OWN=1' in open('/proc/1/environ', 'rb').read().split(b'\\0'):
    leave('killing-' + os.environ['BCRL_ATTEMPT'])
    os.kill(-1, signal.SIGKILL)
time.sleep(600)
";
    app(&site, "kill", "attempts = 2", kill);
    app(&site, "sound", "", "print(1)");
    let Some(_namespace) = Namespace::start(&site) else {
        eprintln!("skipped: this host lets nobody make a process namespace");
        return;
    };
    let api = site.api();
    let client = api.client();
    client.until_api("kill", PATIENCE);
    let [uuid, sound] = ["kill", "sound"].map(|api| client.submit(api, "{}"));
    let job = client.until_ended(&uuid, PATIENCE);
    assert_eq!(job["failure"]["reason"], "worker_lost", "{job}");
    note(&site, "killing-2");
    // It may have run beside the other one, and have been lost with it.
    client.until_ended(&sound, PATIENCE);
    assert_eq!(answer(&client, "sound", "{}"), 1);
}
