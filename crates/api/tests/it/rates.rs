//! A client that asks too often is told so, and when to come back.

use test_support::{Answer, Site};

use crate::support::{Lab, assert_problem, head, open, raw};

/// A site where a client may submit two jobs, and make three other requests, an hour.
fn strict() -> Lab {
    let site = Site::new()
        .set("API__RATE__SUBMITS", "2/h")
        .set("API__RATE__SUBMITS_BURST", "2")
        .set("API__RATE__REQUESTS", "3/h")
        .set("API__RATE__REQUESTS_BURST", "3");
    Lab::on(site, &[open("open")])
}

fn submit(lab: &Lab) -> Answer {
    lab.client.post("/api/v1/jobs/open", "1")
}

#[test]
fn a_client_that_submits_too_often_is_told_when_to_come_back() {
    let lab = strict();
    for left in ["\"submits\";r=1;t=1800", "\"submits\";r=0;t=3600"] {
        let answer = submit(&lab);
        assert_eq!(answer.status, 202);
        let policy = answer.header("ratelimit-policy");
        assert_eq!(policy, Some("\"submits\";q=2;w=3600"));
        assert_eq!(answer.header("ratelimit"), Some(left));
    }
    let answer = submit(&lab);
    let problem = assert_problem(&answer, 429, "rate-limited");
    assert_eq!(
        problem["detail"],
        "submits are limited to 2/h for each client"
    );
    let pause: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1700..=1800).contains(&pause), "{pause}");
    assert_eq!(answer.header("ratelimit"), Some("\"submits\";r=0;t=3600"));
    assert_eq!(lab.requests().len(), 2);
    // A job that is submitted again counts as well, and other requests have a limit of their own.
    let uuid = lab.requests()[0].trim_end_matches(".json").to_owned();
    let again = format!("/api/v1/jobs/{uuid}/rerun");
    assert_problem(
        &lab.client.send("POST", &again, &[], None),
        429,
        "rate-limited",
    );
    assert_eq!(lab.client.job(&uuid)["status"], "pending");
}

#[test]
fn other_requests_have_a_limit_of_their_own_and_health_has_none() {
    let lab = strict();
    for _ in 0..3 {
        assert_eq!(lab.client.get("/api/v1/jobs").status, 200);
    }
    for path in ["/api/v1/jobs", "/api/v1/apis", "/problems/busy"] {
        assert_problem(&lab.client.get(path), 429, "rate-limited");
    }
    for _ in 0..10 {
        let answer = lab.client.get("/healthz");
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None));
    }
    assert_problem(&lab.client.get("/readyz"), 503, "no-app-server");
    assert_eq!(submit(&lab).status, 202);
}

#[test]
fn what_is_wrong_is_told_in_order() {
    let lab = strict();
    for _ in 0..10 {
        // These are known before anybody counts.
        assert_problem(&lab.client.get("/nowhere"), 404, "not-found");
        let put = lab.client.send("PUT", "/api/v1/jobs", &[], None);
        assert_problem(&put, 405, "method-not-allowed");
    }
    // Whatever comes of a request, it counts.
    for _ in 0..2 {
        let text = [("content-type", "text/plain")];
        let answer = lab
            .client
            .send("POST", "/api/v1/jobs/open", &text, Some("1"));
        assert_problem(&answer, 415, "unsupported-media-type");
        assert!(answer.header("ratelimit").is_some());
    }
    let text = [("content-type", "text/plain")];
    let answer = lab
        .client
        .send("POST", "/api/v1/jobs/open", &text, Some("{"));
    assert_problem(&answer, 429, "rate-limited");
    for url in ["/api/v1/jobs/open", "/nowhere"] {
        let head = head(&format!("POST {url}"), &["Content-Length: 999999999"]);
        assert_problem(&raw(&lab.api, head), 413, "payload-too-large");
    }
}

#[test]
fn a_client_that_nobody_limits_may_ask_as_often_as_it_likes() {
    let lab = Lab::with(&[open("open")]);
    for _ in 0..300 {
        assert_eq!(submit(&lab).header("ratelimit"), None);
    }
    assert_eq!(lab.requests().len(), 300);
}
