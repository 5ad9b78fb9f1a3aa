//! Requests that no HTTP library would send.

use std::io::{Read, Write};
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
        assert_problem(&answer, 400, "bad-request");
        assert_eq!(answer.header("connection"), Some("close"), "{length:?}");
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

#[test]
fn a_body_whose_chunks_are_none_is_refused() {
    let lab = Lab::with(&[open("open")]);
    let head = head(
        "POST /api/v1/jobs/open",
        &[
            "Content-Type: application/json",
            "Transfer-Encoding: chunked",
        ],
    );
    for chunks in [
        "zz\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "2\n{}\n0\n\n",
    ] {
        let answer = raw(&lab.api, format!("{head}{chunks}"));
        let problem = assert_problem(&answer, 400, "bad-request");
        assert_eq!(
            problem["detail"], "the body breaks off, or its chunks are none",
            "{chunks:?}"
        );
    }
    assert_eq!(lab.site.index(), json!({"jobs": []}));
}

#[test]
fn what_is_no_request_is_refused_and_the_server_lives() {
    let lab = Lab::with(&[open("open")]);
    let long = "x".repeat(200_000);
    let tls_hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03".as_slice();
    let header = |line: &str| format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
    let many: String = (0..200).map(|n| format!("X{n}: y\r\n")).collect();
    for (bytes, status) in [
        (b"GET /healthz\r\n\r\n".to_vec(), 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n".to_vec(), 400),
        (header("Host: b").into_bytes(), 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 400),
        ([tls_hello, &[b'x'; 200]].concat(), 400),
        (b"\0\xff\xfe\r\n\r\n".to_vec(), 400),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000)).into_bytes(),
            400,
        ),
        (header("no colon").into_bytes(), 400),
        (header("X: a\0b").into_bytes(), 400),
        (header("X: a\r\n b").into_bytes(), 400),
        (header("Transfer-Encoding : chunked").into_bytes(), 400),
        (header(&many).into_bytes(), 431),
        (header(&format!("X: {long}")).into_bytes(), 431),
    ] {
        let answer = raw(&lab.api, &bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let name = match status {
            400 => "bad-request",
            _ => "head-too-large",
        };
        assert_problem(&answer, status, name);
        assert_eq!(answer.header("connection"), Some("close"), "{shown:?}");
    }
    assert_eq!(lab.client.get("/healthz").status, 200);
}

#[test]
fn ten_thousand_requests_on_one_connection_are_answered_in_turn() {
    let lab = Lab::with(&[open("open")]);
    let (count, mut stream) = (10_000, connect(&lab.api));
    let mut reader = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let request = head("HEAD /healthz", &[]);
        let last = head("HEAD /healthz", &["Connection: close"]);
        let all = request.repeat(count - 1) + &last;
        stream.write_all(all.as_bytes()).unwrap();
    });
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    writer.join().unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), count);
}
