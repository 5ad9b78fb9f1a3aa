//! Simulated jobs that go wrong, as they were to.

use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    PATIENCE, api, app_server, begin_app_server, names, outcomes, receipt, result, site, submit,
};

#[test]
fn a_server_that_dies_over_its_job_leaves_it_to_another_one() {
    let site = site();
    let mut first = app_server(&site, &["--takes", "100ms", "--die", "100", "--seed", "7"]);
    let (_api, client) = api(&site, "add");
    let uuid = client.submit("add", "{}");
    assert_eq!(first.wait(PATIENCE).signal(), Some(Signal::KILL.as_raw()));
    assert!(
        first
            .log()
            .contains("kills itself in the middle of this job")
    );
    assert_eq!(client.job(&uuid)["status"], "processing");

    let _second = app_server(&site, &["--takes", "0s"]);
    assert_eq!(result(&client, &uuid)["simulated"], true);
    assert_eq!(outcomes(&site, &uuid), ["worker_lost", "done"]);
}

#[test]
fn what_a_dead_server_left_waits_before_it_is_said_that_nothing_waits() {
    let site = site().set("WORKER__SWEEP", "10m");
    let mut first = app_server(&site, &["--takes", "0s", "--die", "100"]);
    let (_api, client) = api(&site, "add");
    let uuid = client.submit("add", "{}");
    assert_eq!(first.wait(PATIENCE).signal(), Some(9));
    let mut second = begin_app_server(&site, &["--takes", "0s", "--once"]);
    assert_eq!(second.wait(PATIENCE).code(), Some(0));
    assert_eq!(outcomes(&site, &uuid), ["worker_lost", "done"]);
}

#[test]
fn a_job_kills_every_server_with_its_seed_until_no_more_losses_are_allowed() {
    let site = site();
    let deadly = ["--takes", "10ms", "--die", "50", "--seed", "3"];
    let mut servers = vec![app_server(&site, &deadly)];
    let (_api, client) = api(&site, "add");
    // Jobs are submitted until one of them is a deadly one, which under this seed is every second.
    let uuid = (0..64)
        .find_map(|n| {
            let uuid = client.submit("add", &n.to_string());
            let job = test_support::until("an end, of the job or its server", PATIENCE, || {
                let job = client.job(&uuid);
                let killed = servers[0].log().contains("kills itself");
                (job["status"] == "done" || killed).then_some(job)
            });
            (job["status"] != "done").then_some(uuid)
        })
        .expect("64 jobs in a row that a fate of one in two does not meet");
    assert_eq!(servers[0].wait(PATIENCE).signal(), Some(9));
    for _ in 1..3 {
        let mut next = begin_app_server(&site, &deadly);
        assert_eq!(next.wait(PATIENCE).signal(), Some(9));
        servers.push(next);
    }
    let _last = app_server(&site, &deadly);
    let job = client.until_ended(&uuid, PATIENCE);
    assert_eq!(job["failure"]["reason"], "worker_lost", "{job}");
    assert_eq!(outcomes(&site, &uuid), ["worker_lost"; 3]);
}

#[test]
fn jobs_fail_as_if_their_script_had_exited() {
    let site = site();
    let _server = app_server(&site, &["--takes", "0s", "--fail", "100"]);
    let (api, client) = api(&site, "add");
    let uuid = client.submit("add", "{}");
    let job = client.until_ended(&uuid, PATIENCE);
    assert_eq!(
        job["failure"],
        json!({"reason": "exit_code", "message": "a simulated script exited with 1, as it was to", "exit_code": 1})
    );
    assert_eq!(receipt(&site, &uuid)["exit_code"], 1);
    let args = [
        "--api",
        "add",
        "--rate",
        "100/s",
        "--jobs",
        "5",
        "--ignore-retry-after",
    ];
    let (code, told) = submit(&api.url(), &args);
    assert_eq!(
        (code, &told["failed"]),
        (Some(1), &json!({"exit_code": 5})),
        "{told}"
    );
    assert_eq!(told["done"], 0);
}

#[test]
fn a_job_that_hangs_goes_on_until_it_is_canceled() {
    let site = site();
    let mut server = app_server(&site, &["--takes", "10ms", "--hang", "100"]);
    let (_api, client) = api(&site, "add");
    let uuid = client.submit("add", "{}");
    test_support::until("half of its progress", PATIENCE, || {
        (client.job(&uuid)["progress"]["percent"] == 50.0).then_some(())
    });
    let path = format!("/api/v1/jobs/{uuid}");
    let answer = client.send("DELETE", &path, &[], None);
    assert_eq!(answer.json()["cancel_requested"], true, "{}", answer.text());
    client.until_status(&uuid, "canceled", PATIENCE);
    assert_eq!(outcomes(&site, &uuid), ["canceled"]);
    server.signal(Signal::TERM);
    assert!(server.wait(PATIENCE).success());
    assert!(names(&site, "cancel").is_empty());
    assert!(
        server.log().contains("s: 0 done, 0 failed, 1 canceled\n"),
        "{}",
        server.log()
    );
}

#[test]
fn a_server_that_stands_still_for_longer_than_its_lease_publishes_nothing() {
    let site = site()
        .set("WORKER__LEASE", "600ms")
        .set("WORKER__HEARTBEAT", "100ms")
        .set("WORKER__SWEEP", "100ms");
    let mut first = app_server(&site, &["--takes", "10m", "--concurrency", "1"]);
    let (_api, client) = api(&site, "add");
    let uuid = client.submit("add", "{}");
    client.until_status(&uuid, "processing", PATIENCE);
    let _second = app_server(&site, &["--takes", "0s"]);
    first.signal(Signal::STOP);
    assert_eq!(result(&client, &uuid)["simulated"], true);
    first.signal(Signal::CONT);
    first.says("a run has ended, and its job goes on elsewhere");
    assert_eq!(outcomes(&site, &uuid), ["worker_lost", "done"]);
}
