//! Requests that are in order, and cannot be accepted now.

use serde_json::json;
use test_support::Site;

use crate::support::{Lab, PATIENCE, add, assert_problem, open, publish};

#[test]
fn without_any_catalog_no_job_is_accepted_and_the_reason_told() {
    let lab = Lab::start(Site::new());
    let answer = lab.client.post("/api/v1/jobs/add", "{}");
    let problem = assert_problem(&answer, 503, "no-app-server");
    assert_eq!(problem["detail"], "no worker has published any API yet");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(lab.client.get("/api/v1/apis").json(), json!({"apis": []}));

    publish(&lab.site, "app1", &[add()]);
    lab.client.until_api("add", PATIENCE);
    lab.client.submit("add", r#"{"num1":1,"num2":2}"#);
    let answer = lab.client.post("/api/v1/jobs/soc", "{}");
    assert_problem(&answer, 404, "not-found");
}

#[test]
fn a_full_queue_accepts_nothing_and_still_cancels() {
    let lab = Lab::on(Site::new().set("LIMITS__QUEUE", "2"), &[open("open")]);
    let ids = [
        lab.client.submit("open", "1"),
        lab.client.submit("open", "2"),
    ];
    let answer = lab.client.post("/api/v1/jobs/open", "3");
    assert_problem(&answer, 503, "queue-full");
    assert_eq!(answer.header("retry-after"), Some("60"));
    assert_eq!(lab.requests(), ids.clone().map(|id| id + ".json"));
    let path = format!("/api/v1/jobs/{}", ids[0]);
    let canceled = lab.client.send("DELETE", &path, &[], None);
    assert_eq!(canceled.json()["status"], "canceled");
}

#[test]
fn while_somebody_holds_the_lock_jobs_are_shown_and_none_is_changed() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    let this = format!("/api/v1/jobs/{uuid}");
    let held = lab.lock();
    std::thread::scope(|scope| {
        let submit = scope.spawn(|| lab.client.post("/api/v1/jobs/open", "2"));
        let cancel = scope.spawn(|| lab.client.send("DELETE", &this, &[], None));
        assert_eq!(lab.client.job(&uuid)["status"], "pending");
        assert_eq!(lab.client.get("/api/v1/jobs").status, 200);
        for answer in [submit.join().unwrap(), cancel.join().unwrap()] {
            assert_problem(&answer, 503, "busy");
            assert_eq!(answer.header("retry-after"), Some("5"));
            // The line of the log that says why names the request.
            let id = answer.header("x-request-id").unwrap();
            let log = lab.api.log();
            let mut lines = log.lines().filter(|line| line.contains(id));
            assert!(
                lines.any(|line| line.contains("the shared folder is busy")),
                "{log}"
            );
        }
    });
    drop(held);
    assert_eq!(lab.client.job(&uuid)["status"], "pending");
    assert!(lab.names("cancel").is_empty());
    let index = lab.site.index();
    assert_eq!(index["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(lab.requests(), [format!("{uuid}.json")]);
    lab.client.submit("open", "3");
}
