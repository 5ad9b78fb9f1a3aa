//! The simulated APP server behind a real API server.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use test_support::until;

use crate::support::{
    PATIENCE, api, app_server, begin_app_server, document, names, outcomes, receipt, result, site,
    submit,
};

#[test]
fn a_job_is_answered_with_an_echo_of_its_request() {
    let site = site();
    let server = app_server(&site, &["--takes", "50ms"]);
    let (_api, client) = api(&site, "add");
    let uuid = client.submit("add", r#"{"num1": 1.50, "num2": [null]}"#);
    assert_eq!(
        result(&client, &uuid),
        json!({"api": "add", "uuid": uuid, "params": {"num1": 1.50, "num2": [null]}, "simulated": true})
    );
    let receipt = receipt(&site, &uuid);
    assert!(receipt["run_ms"].as_u64().unwrap() >= 50, "{receipt}");
    assert_eq!(receipt["exit_code"], 0);
    let response = std::fs::read(site.shared(&format!("response/{uuid}.json"))).unwrap();
    assert!(!response.is_empty());
    assert_eq!(receipt["sha256"]["response"].as_str().unwrap().len(), 64);
    assert_eq!(outcomes(&site, &uuid), ["done"]);
    assert!(server.stop(PATIENCE).success());
}

#[test]
fn simulated_clients_of_a_simulated_app_server_get_everything_done() {
    let site = site();
    let _server = app_server(
        &site,
        &["--takes", "20ms", "--jitter", "50%", "--concurrency", "4"],
    );
    let (api, client) = api(&site, "add");
    let args = [
        "--api",
        "add",
        "num1=12",
        "--rate",
        "200/s",
        "--jobs",
        "40",
        "--ignore-retry-after",
    ];
    let (code, told) = submit(&api.url(), &args);
    assert_eq!((code, &told["done"]), (Some(0), &json!(40)), "{told}");
    assert_eq!(told["accepted"], 40);
    assert_eq!(told["under_way"], 0);
    // That a result was fetched is noted a moment later.
    let jobs = until("every job fetched", PATIENCE, || {
        let jobs = client.get("/api/v1/jobs").json();
        let jobs = jobs["jobs"].as_array().unwrap().clone();
        let fetched = jobs.iter().all(|job| job["retrieved_date"].is_string());
        fetched.then_some(jobs)
    });
    assert_eq!(jobs.len(), 40);
    for job in jobs {
        assert_eq!(job["status"], "done", "{job}");
        let result = result(&client, job["uuid"].as_str().unwrap());
        assert_eq!(
            (&result["uuid"], &result["params"]),
            (&job["uuid"], &json!({"num1": 12}))
        );
    }
}

#[test]
fn every_job_is_answered_with_the_document_that_was_given() {
    let site = site();
    site.put("answer.json", "{\"soc\": [0.50]}\n");
    let _server = app_server(
        &site,
        &["--api", "fit", "--takes", "0s", "--answer", "answer.json"],
    );
    let (_api, client) = api(&site, "fit");
    let uuid = client.submit("fit", "{}");
    result(&client, &uuid);
    let answer = client.get(&format!("/api/v1/jobs/{uuid}/result"));
    assert_eq!(answer.text(), "{\"soc\": [0.50]}\n");
}

#[test]
fn it_shows_itself_and_how_far_it_is_as_a_worker_does() {
    let site = site();
    let _server = app_server(
        &site,
        &["--takes", "10m", "--concurrency", "3", "--name", "mock"],
    );
    let (_api, client) = api(&site, "soc");
    let ready = client.get("/readyz").json();
    assert_eq!(ready["workers"][0]["slots"], 3, "{ready}");
    let worker = ready["workers"][0]["worker"].as_str().unwrap().to_owned();
    assert!(worker.starts_with("mock-"), "{worker}");
    let uuid = client.submit("soc", "[]");
    let job = until("some progress", PATIENCE, || {
        let job = client.job(&uuid);
        job["progress"]["percent"].is_number().then_some(job)
    });
    assert_eq!(
        (&job["status"], &job["worker"]),
        (&json!("processing"), &json!(worker))
    );
    let beat = until("a beat that names the job", PATIENCE, || {
        document(&site, &format!("workers/{worker}.json"))
            .filter(|beat| beat["jobs"][0].is_object())
    });
    assert_eq!(beat["jobs"][0]["uuid"], json!(uuid));
    assert_eq!(beat["apis"], json!(["add", "soc"]));
}

#[test]
fn apps_are_offered_with_their_routes_and_schemas() {
    let site = site().with_shipped_apps();
    let apps = site.path("apps").to_string_lossy().into_owned();
    let _server = app_server(&site, &["--apps-dir", &apps, "--takes", "0s"]);
    let (_api, client) = api(&site, "add");
    assert_eq!(
        client.post("/api/v1/jobs/add", r#"{"num1":"x"}"#).status,
        422
    );
    let answer = client.send("POST", "/api/v1/add/12/23", &[], None);
    assert_eq!(answer.status, 202, "{}", answer.text());
    let uuid = answer.json()["uuid"].as_str().unwrap().to_owned();
    assert_eq!(
        result(&client, &uuid)["params"],
        json!({"num1": 12, "num2": 23})
    );
    assert!(receipt(&site, &uuid)["sha256"]["app"].is_string());
}

#[test]
fn at_a_shutdown_running_jobs_are_given_back() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = site();
        let mut server = app_server(&site, &["--takes", "10m", "--concurrency", "2"]);
        let (_api, client) = api(&site, "add");
        let jobs = [1, 2, 3].map(|n| client.submit("add", &n.to_string()));
        client.until_status(&jobs[0], "processing", PATIENCE);
        client.until_status(&jobs[1], "processing", PATIENCE);
        server.signal(signal);
        assert_eq!(server.wait(PATIENCE).code(), Some(0));
        let log = server.log();
        assert!(log.contains("bcrl-sim: 2 runs in "), "{log}");
        assert!(
            log.contains("s: 0 done, 0 failed, 0 canceled, 2 given back"),
            "{log}"
        );
        assert!(names(&site, "workers").is_empty(), "it has left");
        for job in &jobs {
            assert_eq!(client.job(job)["status"], "pending");
        }
        let lease = document(&site, &format!("lease/{}.json", jobs[0])).unwrap();
        assert_eq!(
            (&lease["lost"], &lease["attempts"][0]["outcome"]),
            (&json!(0), &json!("given_back"))
        );

        let mut second = begin_app_server(&site, &["--takes", "0s", "--once"]);
        assert_eq!(second.wait(PATIENCE).code(), Some(0));
        assert_eq!(outcomes(&site, &jobs[0]), ["given_back", "done"]);
        assert_eq!(outcomes(&site, &jobs[2]), ["done"]);
    }
}

#[test]
fn it_ends_by_itself_after_so_many_jobs_and_takes_no_more() {
    let site = site();
    let mut server = app_server(
        &site,
        &["--takes", "0s", "--jobs", "2", "--concurrency", "8"],
    );
    let (_api, client) = api(&site, "add");
    let jobs = [1, 2, 3, 4, 5].map(|n| client.submit("add", &n.to_string()));
    assert_eq!(server.wait(PATIENCE).code(), Some(0));
    let log = server.log();
    assert!(log.contains("s: 2 done, 0 failed, 0 canceled\n"), "{log}");
    let statuses = jobs.map(|uuid| client.job(&uuid)["status"].clone());
    assert_eq!(statuses, ["done", "done", "pending", "pending", "pending"]);
}

#[test]
fn its_apis_stay_known_unless_they_are_withdrawn() {
    let site = site();
    let server = app_server(&site, &[]);
    let (_api, client) = api(&site, "add");
    assert!(server.stop(PATIENCE).success());
    client.submit("add", "{}");
    let server = app_server(&site, &["--takes", "10m", "--withdraw"]);
    assert!(server.stop(PATIENCE).success());
    until("an API server without APIs", PATIENCE, || {
        let answer = client.post("/api/v1/jobs/add", "{}");
        (answer.status == 503).then_some(())
    });
}

#[test]
fn what_cannot_be_is_told_before_anything_is_offered() {
    let site = site();
    site.put("answer.json", "{");
    for (arguments, code, reason) in [
        (
            ["--fail", "60", "--die", "60"],
            1,
            "--fail, --hang and --die are 120 % of all jobs",
        ),
        (
            ["--answer", "answer.json", "--seed", "1"],
            1,
            "it is not one JSON document",
        ),
        (
            ["--apps-dir", "apps", "--seed", "1"],
            1,
            "no app in it is in order",
        ),
        (
            ["--apps-dir", "apps", "--api", "add"],
            2,
            "cannot be used with",
        ),
        (["--name", "a/b", "--seed", "1"], 2, "worker name"),
        (
            ["--jitter", "101", "--seed", "1"],
            2,
            "a number from 0 to 100 is due",
        ),
    ] {
        let mut server = begin_app_server(&site, &arguments);
        assert_eq!(server.wait(PATIENCE).code(), Some(code), "{}", server.log());
        assert!(server.log().contains(reason), "{}", server.log());
    }
    let bad = site.set("WORKER__LEASE", "1ms");
    assert_eq!(begin_app_server(&bad, &[]).wait(PATIENCE).code(), Some(78));
    assert!(!bad.shared("catalog").exists());
}

#[test]
fn where_changes_raise_no_events_jobs_are_found_by_sweeps() {
    let site = site()
        .set("WORKER__WATCH", "false")
        .set("WORKER__SWEEP", "100ms");
    let _server = app_server(&site, &["--takes", "0s"]);
    let (_api, client) = api(&site, "add");
    let uuid = client.submit("add", "{}");
    client.until_status(&uuid, "done", Duration::from_secs(20));
}
