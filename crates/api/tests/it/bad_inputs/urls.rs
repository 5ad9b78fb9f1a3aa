//! URLs and methods that lead nowhere, whatever they are meant to reach.

use crate::support::{Lab, NOBODYS_ID, OLD_ID, Ran, add, assert_problem, head, open, raw};

/// Spellings that name no job, with `id` as one that exists.
fn spellings(id: &str) -> Vec<String> {
    vec![
        id[..35].to_owned(),
        format!("{id}0"),
        format!("{{{id}}}"),
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
        id.to_uppercase(),
        id.replace('-', ""),
        format!("{id}%00"),
        format!("{id}%0A"),
        format!("{id}.json"),
        format!("%20{id}"),
        "../status".into(),
        "..%2Fstatus".into(),
        "%2e%2e%2fstatus".into(),
        "%252e%252e%252fstatus".into(),
        "..%5cstatus".into(),
        "%c0%ae%c0%ae%c0%afstatus".into(),
        "status".into(),
        "status.json".into(),
        ".tmp-x".into(),
        "..".into(),
        ".".into(),
        "%".into(),
        "1".repeat(300),
    ]
}

#[test]
fn one_job_has_one_spelling() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    for id in spellings(&uuid) {
        for (method, rest) in [
            ("GET", ""),
            ("GET", "/result"),
            ("GET", "/log"),
            ("DELETE", ""),
        ] {
            let request = format!("{method} /api/v1/jobs/{id}{rest}");
            let answer = raw(&lab.api, head(&request, &["Connection: close"]));
            if answer.status == 405 {
                // A slash in it makes another URL, where nobody may do this.
                assert!(id.contains('/'), "{request}");
                continue;
            }
            let problem = assert_problem(&answer, 404, "not-found");
            assert!(!problem.to_string().contains("status.json"), "{problem}");
        }
    }
    assert_eq!(lab.client.job(&uuid)["status"], "pending");
}

#[test]
fn no_spelling_of_a_name_leaves_the_apis() {
    let lab = Lab::with(&[open("open")]);
    for name in [
        "nobody",
        "Open",
        "OPEN",
        "..",
        ".",
        "%2e%2e",
        "..%2fopen",
        "open%2f",
        "open%00",
        "open%0a",
        "open%20",
        "op%ff",
        "%",
        "%zz",
        "1open",
        "_open",
        &"o".repeat(300),
    ] {
        let headers = [
            "Content-Type: application/json",
            "Content-Length: 2",
            "Connection: close",
        ];
        let answer = raw(
            &lab.api,
            head(&format!("POST /api/v1/jobs/{name}"), &headers) + "{}",
        );
        assert_problem(&answer, 404, "not-found");
    }
    let answer = lab.client.post("/api/v1/jobs/op%65n", "{}");
    assert_eq!(answer.status, 202, "a letter may be written as its code");
}

#[test]
fn an_unknown_job_is_not_found_and_one_before_the_retention_has_expired() {
    let lab = Lab::with(&[open("open")]);
    let new = uuid::Uuid::now_v7().to_string();
    for (id, status, name) in [
        (NOBODYS_ID, 404, "not-found"),
        (&new, 404, "not-found"),
        ("ffffffff-ffff-7fff-bfff-ffffffffffff", 404, "not-found"),
        ("00000000-0000-0000-0000-000000000000", 404, "not-found"),
        (OLD_ID, 410, "job-expired"),
        ("00000000-0000-7000-8000-000000000000", 410, "job-expired"),
    ] {
        let this = format!("/api/v1/jobs/{id}");
        let alias = format!("/api/v1/job/{id}");
        for path in [
            &this,
            &alias,
            &format!("{this}/result"),
            &format!("{this}/log"),
        ] {
            assert_problem(&lab.client.get(path), status, name);
        }
        let canceled = lab.client.send("DELETE", &this, &[], None);
        assert_problem(&canceled, status, name);
    }
}

#[test]
fn a_method_that_a_url_does_not_know_is_told_which_ones_it_does() {
    let lab = Lab::with(&[add()]);
    let job = format!("/api/v1/jobs/{NOBODYS_ID}");
    let result = format!("{job}/result");
    let table = [
        ("/api/v1/jobs", "GET, HEAD, OPTIONS"),
        (job.as_str(), "DELETE, GET, HEAD, OPTIONS"),
        ("/api/v1/jobs/add", "OPTIONS, POST"),
        (result.as_str(), "GET, HEAD, OPTIONS"),
        ("/api/v1/add/1/2", "OPTIONS, POST"),
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/api/v1/apis", "GET, HEAD, OPTIONS"),
    ];
    for (path, allow) in table {
        for method in ["PUT", "PATCH", "TRACE", "BREW"] {
            let answer = lab.client.send(method, path, &[], None);
            assert_problem(&answer, 405, "method-not-allowed");
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        }
        let answer = lab.client.send("OPTIONS", path, &[], None);
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
    assert_problem(
        &lab.client.post("/healthz", "{}"),
        405,
        "method-not-allowed",
    );
    let answer = lab.client.get("/api/v1/add/1/2");
    assert_problem(&answer, 405, "method-not-allowed");
    let answer = raw(
        &lab.api,
        head("HEAD /api/v1/add/1/2", &["Connection: close"]),
    );
    assert_eq!((answer.status, answer.body.len()), (405, 0));
}

#[test]
fn what_is_nowhere_is_not_found_whatever_the_method() {
    let lab = Lab::with(&[add()]);
    for path in [
        "//",
        "/api",
        "/api/v1/jobs/",
        "/api/v1/jobs//result",
        "/healthz/",
        "/api/v2/jobs",
        "/%ff",
        "/API/V1/JOBS",
    ] {
        for method in ["GET", "POST", "OPTIONS", "PUT"] {
            let answer = raw(
                &lab.api,
                head(
                    &format!("{method} {path}"),
                    &["Connection: close", "Content-Length: 0"],
                ),
            );
            assert_problem(&answer, 404, "not-found");
        }
    }
}

#[test]
fn a_query_that_cannot_be_understood_is_refused() {
    let lab = Lab::with(&[open("open")]);
    let long = format!("{}=1", "x".repeat(5000));
    for query in [
        "limit=0",
        "limit=-1",
        "limit=ten",
        "limit=",
        "limit=1&limit=2",
        "status=sleeping",
        "status=",
        "api=So%20C",
        "api=..%2Fx",
        "from=yesterday",
        "to=2026-02-30T00:00:00Z",
        "cursor=x",
        "cursor=f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "sort=date",
        "%ff=1",
        &long,
    ] {
        let answer = lab.client.get(&format!("/api/v1/jobs?{query}"));
        assert_problem(&answer, 400, "bad-request");
        assert!(answer.body.len() < 1000, "{}", answer.text());
    }
    let bare = lab
        .client
        .get("/api/v1/jobs?from=2026-01-31T00:00:00+09:00");
    let detail = bare.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.starts_with("from: ") && detail.contains("%2B"),
        "{detail}"
    );
    let huge = format!("/api/v1/jobs?limit={}", "9".repeat(40));
    assert_eq!(
        lab.client.get(&huge).status,
        200,
        "a limit that is too large is cut"
    );
}

#[test]
fn a_range_that_cannot_be_met_is_refused_or_ignored() {
    let ran = Ran::printing("[12345678]");
    let ask = |range: &str| {
        ran.lab
            .client
            .send("GET", &ran.result(), &[("range", range)], None)
    };
    for range in ["bytes=10-", "bytes=100-200", "bytes=-0"] {
        let answer = ask(range);
        assert_problem(&answer, 416, "range-not-satisfiable");
        assert_eq!(
            answer.header("content-range"),
            Some("bytes */10"),
            "{range}"
        );
    }
    let thousand = format!("bytes={}", vec!["0-0"; 1000].join(","));
    let huge = format!("bytes=0-{}", "9".repeat(40));
    for range in [
        "bytes=5-2",
        "bytes=a-b",
        "bytes=--1",
        "bytes=-",
        "bytes",
        "",
        "=",
        "\u{e9}",
        &huge,
        &thousand,
    ] {
        let answer = ask(range);
        match answer.status {
            416 => drop(assert_problem(&answer, 416, "range-not-satisfiable")),
            400 => drop(assert_problem(&answer, 400, "bad-request")),
            206 => assert!(answer.body.len() <= 10, "{range}"),
            _ => assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, "[12345678]"),
                "{range}"
            ),
        }
    }
}
