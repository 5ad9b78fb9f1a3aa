//! Requests that no HTTP library would send.

use std::io::Write;
use std::net::Shutdown;

use serde_json::json;

use crate::support::{Lab, assert_problem, connect, head, open, raw};

#[test]
fn a_body_whose_length_is_in_doubt_is_refused() {
    let lab = Lab::with(&[open("open")]);
    let lengths: [&[&str]; 7] = [
        &["Content-Length: -1"],
        &["Content-Length: +2"],
        &["Content-Length: two"],
        &["Content-Length: 2", "Content-Length: 2"],
        &["Content-Length: 2", "Content-Length: 3"],
        &["Content-Length: 2", "Transfer-Encoding: chunked"],
        &["Transfer-Encoding: chunked", "Content-Length: 2"],
    ];
    for length in lengths {
        let headers = [&["Content-Type: application/json"], length].concat();
        let head = head("POST /api/v1/jobs/open", &headers);
        let answer = raw(&lab.api, head + "2\r\n{}\r\n0\r\n\r\n");
        assert_eq!(answer.status, 400, "{length:?}");
    }
    assert_eq!(lab.site.index(), json!({"jobs": []}));
}

#[test]
fn a_body_that_nobody_wants_is_not_waited_for() {
    let lab = Lab::with(&[open("open")]);
    // Each body begins, and never ends.
    let [length, chunks] = [
        ("Content-Length: 1000", "{"),
        ("Transfer-Encoding: chunked", "1\r\n{\r\n"),
    ];
    std::thread::scope(|scope| {
        for (request, (framing, body), status) in [
            ("POST /nowhere", length, 404),
            ("POST /nowhere", chunks, 404),
            ("POST /api/v1/jobs/nobody", chunks, 404),
            ("POST /api/v1/jobs/open", chunks, 415),
            ("PUT /healthz", chunks, 405),
            ("GET /healthz", chunks, 200),
            ("OPTIONS /healthz", chunks, 204),
        ] {
            let api = &lab.api;
            scope.spawn(move || {
                let answer = raw(api, head(request, &[framing]) + body);
                assert_eq!(answer.status, status, "{request}");
                assert_eq!(answer.header("connection"), Some("close"), "{request}");
            });
        }
    });
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
fn who_goes_away_within_the_body_leaves_nothing() {
    let mut lab = Lab::with(&[open("open")]);
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let head = head(
            "POST /api/v1/jobs/open",
            &["Content-Type: application/json", framing],
        );
        let mut stream = connect(&lab.api);
        stream
            .write_all(format!("{head}2\r\n{{}}").as_bytes())
            .unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    }
    // Whatever was under way is over when the server has ended.
    lab.end_api();
    assert_eq!(lab.site.index(), json!({"jobs": []}));
    assert_eq!(lab.requests(), [""; 0]);
}

#[test]
fn who_goes_away_behind_the_body_leaves_one_whole_job_or_none() {
    let mut lab = Lab::with(&[open("open")]);
    let head = head(
        "POST /api/v1/jobs/open",
        &["Content-Type: application/json", "Content-Length: 2"],
    );
    for _ in 0..5 {
        let mut stream = connect(&lab.api);
        stream.write_all(format!("{head}{{}}").as_bytes()).unwrap();
    }
    lab.end_api();
    let index = lab.site.index();
    let entries = index["jobs"].as_array().unwrap().iter();
    let mut entries: Vec<_> = entries
        .map(|entry| format!("{}.json", entry["uuid"].as_str().unwrap()))
        .collect();
    entries.sort();
    assert_eq!(entries, lab.requests());
    assert!(entries.len() <= 5);
}
