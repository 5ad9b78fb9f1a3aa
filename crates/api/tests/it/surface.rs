//! What is the same at every URL: methods, ids of requests, explanations, and whether the site is well.

use serde_json::json;
use test_support::{Site, until};

use crate::support::{Lab, NOBODYS_ID, PATIENCE, add, assert_problem, open};

#[test]
fn every_answer_has_a_request_id_of_its_own_and_is_not_sniffed() {
    let lab = Lab::with(&[open("open")]);
    let mut ids = std::collections::BTreeSet::new();
    for (method, path, status) in [
        ("GET", "/healthz", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 503),
        ("GET", "/api/v1/apis", 200),
        ("GET", "/api/v1/jobs", 200),
        ("GET", "/nowhere", 404),
        ("PUT", "/healthz", 405),
        ("OPTIONS", "/healthz", 204),
        ("GET", "/problems/busy", 200),
        ("POST", "/api/v1/jobs/open", 400),
        ("HEAD", "/nowhere", 404),
    ] {
        let headers = [("x-request-id", NOBODYS_ID)];
        let answer = lab.client.send(method, path, &headers, None);
        assert_eq!(answer.status, status, "{method} {path}");
        let id = answer.header("x-request-id").unwrap();
        assert!(
            uuid::Uuid::parse_str(id).is_ok() && ids.insert(id.to_owned()),
            "{id}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert!(
        !ids.contains(NOBODYS_ID),
        "a client does not name our requests"
    );
}

#[test]
fn a_process_that_answers_is_alive() {
    let lab = Lab::start(Site::new());
    let answer = lab.client.get("/healthz");
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"status": "ok"}))
    );
}

#[test]
fn a_site_is_ready_while_a_worker_lives() {
    let site = Site::new().set("WORKER__CONCURRENCY", "3");
    site.app("app", "print(1)\n");
    let lab = Lab::start(site);
    let answer = lab.client.get("/readyz");
    assert_problem(&answer, 503, "no-app-server");
    assert!(answer.header("retry-after").is_some());

    let worker = lab.site.worker();
    lab.client.until_api("app", PATIENCE);
    let ready = lab.client.get("/readyz");
    assert_eq!(ready.status, 200, "{}", ready.text());
    let ready = ready.json();
    assert_eq!(
        (&ready["status"], &ready["apis"]),
        (&json!("ready"), &json!(1))
    );
    let workers = ready["workers"].as_array().unwrap();
    assert_eq!(
        (workers.len(), &workers[0]["slots"], &workers[0]["running"]),
        (1, &json!(3), &json!(0))
    );

    worker.kill();
    let answer = until("the site is not ready", PATIENCE, || {
        Some(lab.client.get("/readyz")).filter(|answer| answer.status != 200)
    });
    assert_problem(&answer, 503, "no-app-server");
    // What it offered is still accepted: a worker will come.
    lab.client.submit("app", "{}");
}

#[test]
fn every_problem_is_explained() {
    let lab = Lab::start(Site::new());
    for name in [
        "not-found",
        "method-not-allowed",
        "bad-request",
        "invalid-json",
        "validation-failed",
        "precondition-failed",
        "payload-too-large",
        "head-too-large",
        "unsupported-media-type",
        "range-not-satisfiable",
        "request-timeout",
        "rate-limited",
        "result-not-ready",
        "job-failed",
        "job-canceled",
        "job-expired",
        "job-final",
        "result-corrupt",
        "no-app-server",
        "busy",
        "queue-full",
        "insufficient-storage",
        "internal",
    ] {
        let answer = lab.client.get(&format!("/problems/{name}"));
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert!(answer.text().contains(&format!("<code>{name}</code>")));
    }
    for name in ["nonsense", "Not-Found", "%3Cscript%3E"] {
        let answer = lab.client.get(&format!("/problems/{name}"));
        assert_problem(&answer, 404, "not-found");
    }
}

#[test]
fn the_apis_are_listed_with_their_urls() {
    let lab = Lab::with(&[open("soc"), add()]);
    let apis = lab.client.get("/api/v1/apis").json();
    crate::support::assert_no_null(&apis);
    let names: Vec<_> = apis["apis"]
        .as_array()
        .unwrap()
        .iter()
        .map(|api| &api["name"])
        .collect();
    assert_eq!(names, ["add", "soc"]);
    assert_eq!(
        apis["apis"][0]["routes"],
        json!([
            {"method": "POST", "pattern": "/api/v1/jobs/add"},
            {"method": "POST", "pattern": "/api/v1/add/{num1}/{num2}"},
        ])
    );
    assert_eq!(apis["apis"][0]["schema"], add()["schema"]);
    for secret in ["limits", "digest", "memory"] {
        assert!(apis["apis"][0].get(secret).is_none());
    }
}

#[test]
fn a_client_that_does_not_take_what_there_is_is_told_so_and_nothing_is_done() {
    let lab = Lab::with(&[open("open")]);
    let ask = |method: &str, path: &str, accept: &str, body: Option<&str>| {
        let headers = [("accept", accept), ("content-type", "application/json")];
        lab.client.send(method, path, &headers, body)
    };
    let submitted = ask("POST", "/api/v1/jobs/open", "text/csv", Some("1"));
    assert_problem(&submitted, 406, "not-acceptable");
    assert_eq!(lab.requests().len(), 0);
    let uuid = lab.client.submit("open", "1");
    let this = format!("/api/v1/jobs/{uuid}");
    for (path, accept) in [
        (this.clone(), "text/html"),
        ("/api/v1/jobs".to_owned(), "application/json;q=0"),
        ("/api/v1/apis".to_owned(), "image/*"),
        (format!("{this}/result"), "text/html"),
        (format!("{this}/log"), "application/json"),
        (format!("{this}/events"), "application/json"),
    ] {
        assert_problem(&ask("GET", &path, accept, None), 406, "not-acceptable");
    }
    for accept in ["garbage", "*/*", "text/html, */*;q=0.1", ""] {
        assert_eq!(ask("GET", &this, accept, None).status, 200, "{accept}");
    }
    assert_eq!(ask("GET", "/healthz", "text/html", None).status, 200);
}

#[test]
fn what_changes_something_is_not_taken_from_a_page_of_another_site() {
    let lab = Lab::with(&[open("open")]);
    let job = lab.client.submit("open", "1");
    let (this, rerun) = (
        format!("/api/v1/jobs/{job}"),
        format!("/api/v1/jobs/{job}/rerun"),
    );
    let json = ("content-type", "application/json");
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "http://elsewhere.example"),
    ] {
        for (method, path, body) in [
            ("POST", "/api/v1/jobs/open", Some("1")),
            ("POST", rerun.as_str(), None),
            ("DELETE", this.as_str(), None),
        ] {
            let answer = lab.client.send(method, path, &[foreign, json], body);
            assert_problem(&answer, 403, "forbidden");
        }
        let looked = lab.client.send("GET", &this, &[foreign], None);
        assert_eq!(looked.json()["status"], "pending");
    }
    assert_eq!(lab.requests().len(), 1);
}
