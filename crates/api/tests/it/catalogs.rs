//! Which APIs there are: what the workers publish, whatever they publish.

use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use test_support::{Site, until};

use crate::support::{Lab, PATIENCE, add, assert_problem, open, pointers, publish};

/// Gives a catalog an age, in seconds.
fn aged(site: &Site, worker: &str, seconds: u64) {
    let path = site.shared(&format!("catalog/{worker}.json"));
    let written = UNIX_EPOCH + Duration::from_secs(2_000_000_000 - seconds);
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(written)
        .unwrap();
}

#[test]
fn of_two_catalogs_that_differ_on_a_name_the_newer_counts() {
    let site = Site::new();
    let mut other = add();
    other["schema"]["required"] = json!(["num1", "num2", "num3"]);
    publish(&site, "a", &[other, open("only-a")]);
    publish(&site, "b", &[add(), open("only-b")]);
    aged(&site, "a", 60);
    aged(&site, "b", 0);
    let lab = Lab::start(site);
    lab.client.submit("add", r#"{"num1":1,"num2":2}"#);
    lab.client.submit("only-a", "{}");
    lab.client.submit("only-b", "{}");
    assert!(
        lab.api
            .log()
            .contains("workers offer different versions of one API")
    );

    aged(&lab.site, "b", 120);
    let answer = until("the other catalog counts", PATIENCE, || {
        let answer = lab
            .client
            .post("/api/v1/jobs/add", r#"{"num1":1,"num2":2}"#);
        Some(answer).filter(|answer| answer.status != 202)
    });
    assert_eq!(pointers(&answer), [""]);
}

#[test]
fn a_catalog_that_is_broken_is_left_out_and_the_others_work() {
    let site = Site::new();
    publish(&site, "good", &[open("good")]);
    publish(&site, "gone", &[open("bad name")]);
    site.put(
        "data/shared/bcrlapi/catalog/half.json",
        "{\"version\":1,\"apis\":[{",
    );
    site.put("data/shared/bcrlapi/catalog/empty.json", "");
    std::fs::create_dir(site.shared("catalog/folder.json")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", site.shared("catalog/link.json")).unwrap();
    let lab = Lab::start(site);
    let apis = lab.client.get("/api/v1/apis").json();
    assert_eq!(apis["apis"].as_array().unwrap().len(), 1);
    lab.client.submit("good", "{}");
    let log = lab.api.log();
    for name in ["half.json", "empty.json", "gone.json"] {
        assert!(
            log.contains(&format!("a catalog is left out: catalog/{name}: ")),
            "{name}: {log}"
        );
    }
}

#[test]
fn a_catalog_that_breaks_while_the_api_runs_takes_only_its_own_apis_away() {
    let site = Site::new();
    publish(&site, "good", &[open("good")]);
    publish(&site, "bad", &[open("bad")]);
    let lab = Lab::start(site);
    let uuid = lab.client.submit("bad", "{}");
    lab.site
        .put("data/shared/bcrlapi/catalog/bad.json", "no catalog");
    until("the API bad is gone", PATIENCE, || {
        (lab.client.post("/api/v1/jobs/bad", "{}").status == 404).then_some(())
    });
    lab.client.submit("good", "{}");
    let job = lab.client.job(&uuid);
    assert_eq!(job["status"], "pending", "what was accepted stays");
    assert!(
        job.get("label").is_none(),
        "nobody knows its name for people now"
    );
}

#[test]
fn an_app_cannot_take_a_url_from_the_server() {
    let mut evil = open("evil");
    evil["routes"] = json!([
        {"method": "POST", "pattern": "/api/v1/jobs/evil"},
        {"method": "POST", "pattern": "/api/v1/jobs/{api}"},
        {"method": "GET", "pattern": "/healthz"},
        {"method": "POST", "pattern": "/{a}/{b}/{c}/{d}"},
        {"method": "POST", "pattern": "no path"},
    ]);
    let lab = Lab::with(&[evil, open("good")]);
    assert_eq!(lab.client.get("/healthz").json(), json!({"status": "ok"}));
    let job = lab.client.post("/api/v1/jobs/good", "{}").json();
    assert_eq!(job["api"], "good");
    lab.client.submit("evil", "{}");
    let log = lab.api.log();
    assert_eq!(
        log.matches("a route is left out; the API is reached by /api/v1/jobs/evil")
            .count(),
        5,
        "{log}"
    );
}

#[test]
fn of_two_apps_with_one_url_both_are_reached_by_name() {
    let mut twin = add();
    twin["name"] = json!("zwilling");
    let lab = Lab::with(&[add(), twin]);
    let job = lab.client.post("/api/v1/add/1/2", "").json();
    assert_eq!(job["api"], "add", "the first one by name has it");
    lab.client.submit("zwilling", r#"{"num1":1,"num2":2}"#);
}

#[test]
fn an_api_that_changes_is_taken_as_it_is_without_a_restart() {
    let lab = Lab::with(&[open("app")]);
    lab.client.submit("app", "{}");
    let mut changed = open("app");
    changed["schema"] = json!({"type": "object", "required": ["n"]});
    changed["routes"] = json!([{"method": "POST", "pattern": "/api/v1/app"}]);
    publish(&lab.site, "app1", &[changed]);
    let answer = until("the schema is known", PATIENCE, || {
        let answer = lab.client.post("/api/v1/jobs/app", "{}");
        Some(answer).filter(|answer| answer.status != 202)
    });
    assert_eq!(pointers(&answer), [""]);
    assert_eq!(lab.client.post("/api/v1/app", r#"{"n":1}"#).status, 202);

    publish(&lab.site, "app1", &[]);
    let answer = until("the API is gone", PATIENCE, || {
        let answer = lab.client.post("/api/v1/jobs/app", r#"{"n":1}"#);
        Some(answer).filter(|answer| answer.status != 202)
    });
    assert_problem(&answer, 503, "no-app-server");
    let answer = lab.client.post("/api/v1/app", r#"{"n":1}"#);
    assert_problem(&answer, 404, "not-found");
}
