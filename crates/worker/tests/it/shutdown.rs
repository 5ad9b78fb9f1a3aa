//! Runs that are ended: by a client, or because their worker leaves.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use test_support::{Site, processes_with, until};

use crate::support::{
    PATIENCE, answer, app, document, heartbeats, leave, names, note, outcomes, process, receipt,
    result, runs, start, until_nothing_runs,
};

/// Stands at the gate with a child and two daemons, and does not hear SIGTERM.
const STUBBORN: &str = "
outlive_sigterm()
subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
daemon('daemon', dict(os.environ))
daemon('nameless', {})
leave('script', me())
wait_for('go')
print(os.environ['BCRL_ATTEMPT'])
";

#[test]
fn a_canceled_job_is_ended_with_all_that_it_started() {
    let site = Site::new().set("WORKER__GRACE", "300ms");
    app(&site, "slow", "retries = 3", STUBBORN);
    let pair = start(&site, "slow");
    let uuid = pair.client.submit("slow", "{}");
    let family = ["script", "daemon", "nameless"].map(|name| process(&site, name));
    let path = format!("/api/v1/jobs/{uuid}");
    let asked = Instant::now();
    let answer = pair.client.send("DELETE", &path, &[], None);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["cancel_requested"], true);
    pair.client.until_status(&uuid, "canceled", PATIENCE);
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(family.each_ref().map(runs), [false; 3]);
    assert!(processes_with("BCRL_JOB", &uuid).is_empty());
    assert_eq!(outcomes(&site, &uuid), ["canceled"]);
    assert_eq!(pair.client.get(&format!("{path}/result")).status, 409);
    assert_eq!(pair.client.send("DELETE", &path, &[], None).status, 409);
    assert!(names(&site.shared("cancel")).is_empty());
}

#[test]
fn a_job_that_hears_sigterm_is_canceled_at_once() {
    // The grace time is not waited for.
    let site = Site::new().set("WORKER__GRACE", "10m");
    let tidy = "
signal.signal(signal.SIGTERM, lambda signum, frame: (leave('tidied'), sys.exit(0)))
leave('in')
time.sleep(600)
";
    app(&site, "tidy", "", tidy);
    let pair = start(&site, "tidy");
    let uuid = pair.client.submit("tidy", "{}");
    note(&site, "in");
    pair.client
        .send("DELETE", &format!("/api/v1/jobs/{uuid}"), &[], None);
    pair.client.until_status(&uuid, "canceled", PATIENCE);
    note(&site, "tidied");
}

#[test]
fn a_job_that_was_canceled_while_it_waited_is_passed_over() {
    let site = Site::new().set("WORKER__CONCURRENCY", "1");
    app(
        &site,
        "slow",
        "",
        "leave('in-' + sys.stdin.read())\nwait_for('go')\nprint(1)",
    );
    let pair = start(&site, "slow");
    let jobs = [1, 2, 3].map(|n| pair.client.submit("slow", &n.to_string()));
    note(&site, "in-1");
    let path = format!("/api/v1/jobs/{}", jobs[1]);
    let answer = pair.client.send("DELETE", &path, &[], None);
    assert_eq!(answer.json()["status"], "canceled");
    leave(&site, "go");
    result(&pair.client, &jobs[2]);
    assert!(!site.path("gate/in-2").exists());
    assert_eq!(receipt(&site, &jobs[1])["attempts"], json!(null));
}

#[test]
fn a_worker_that_is_shut_down_gives_its_job_back() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::new().set("WORKER__GRACE", "300ms");
        app(&site, "slow", "attempts = 1", STUBBORN);
        let mut pair = start(&site, "slow");
        let uuid = pair.client.submit("slow", "{}");
        let family = ["script", "daemon", "nameless"].map(|name| process(&site, name));
        let asked = Instant::now();
        pair.worker.signal(signal);
        assert_eq!(pair.worker.wait(PATIENCE).code(), Some(0));
        assert!(asked.elapsed() < Duration::from_secs(10));
        assert_eq!(family.each_ref().map(runs), [false; 3]);
        assert!(names(&site.shared("workers")).is_empty(), "it has left");
        assert!(names(&site.path("data/scratch")).is_empty());

        let job = pair.client.job(&uuid);
        assert_eq!(
            (&job["status"], &job["attempt"], &job["queue_position"]),
            (&json!("pending"), &json!(1), &json!(1))
        );
        let lease = document(&site, &format!("lease/{uuid}.json")).unwrap();
        assert_eq!((&lease["lost"], &lease["failed"]), (&json!(0), &json!(0)));
        assert_eq!(lease["attempts"][0]["outcome"], "given_back");

        leave(&site, "go");
        let _second = site.worker();
        assert_eq!(result(&pair.client, &uuid), 2);
        assert_eq!(outcomes(&site, &uuid), ["given_back", "done"]);
    }
}

#[test]
fn an_idle_worker_leaves_at_once() {
    // However long the grace time: there is nothing to wait for.
    let site = Site::new().set("WORKER__GRACE", "10m");
    app(&site, "quick", "", "print(1)");
    let pair = start(&site, "quick");
    assert_eq!(answer(&pair.client, "quick", "{}"), 1);
    assert!(pair.worker.stop(PATIENCE).success());
    assert!(names(&site.shared("workers")).is_empty());
}

#[test]
fn a_second_signal_ends_the_worker_at_once_and_its_job_is_rescued() {
    let site = Site::new()
        .set("WORKER__GRACE", "10m")
        .set("WORKER__LEASE", "10m");
    app(&site, "slow", "attempts = 2", STUBBORN);
    let mut pair = start(&site, "slow");
    let uuid = pair.client.submit("slow", "{}");
    let family = ["script", "daemon", "nameless"].map(|name| process(&site, name));
    pair.worker.signal(Signal::TERM);
    pair.worker
        .says("SIGTERM: shutting down; once more ends at once");
    pair.worker.signal(Signal::TERM);
    assert_eq!(pair.worker.wait(PATIENCE).code(), Some(130));
    until_nothing_runs(&uuid);
    until("the end of the family", PATIENCE, || {
        (family.each_ref().map(runs) == [false; 3]).then_some(())
    });
    leave(&site, "go");
    let _second = site.worker();
    assert_eq!(result(&pair.client, &uuid), 2);
    assert_eq!(outcomes(&site, &uuid), ["worker_lost", "done"]);
    assert_eq!(heartbeats(&site).len(), 1, "the first one is forgotten");
}
