//! Bodies that become no job, and what whoever sent them is told.

use serde_json::{Value, json};
use test_support::{Answer, Site};

use crate::support::{Lab, NOBODYS_ID, PATIENCE, add, assert_problem, head, open, pointers, raw};

const OPEN: &str = "/api/v1/jobs/open";

/// Largest body in bytes, where nothing is set.
const LIMIT: usize = 8 * 1024 * 1024;

/// Posts these bytes with these headers.
#[track_caller]
fn post(lab: &Lab, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    lab.client
        .try_send("POST", OPEN, headers, Some(body.to_vec()))
        .unwrap()
}

fn assert_no_job(lab: &Lab) {
    assert_eq!(lab.site.index(), json!({"jobs": []}));
    assert_eq!(lab.requests(), [""; 0]);
}

#[test]
fn what_is_no_json_is_refused() {
    let lab = Lab::with(&[open("open")]);
    let deep = "[".repeat(33) + &"]".repeat(33);
    let bodies: [&[u8]; 20] = [
        b"",
        b" ",
        b"{",
        b"{}}",
        b"{} {}",
        b"\"\xff\"",
        b"\"\xc0\x80\"",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"NaN",
        b"{\"a\":Infinity}",
        b"-Infinity",
        b"1e400",
        b"\"\\ud800\"",
        b"{\"\\udc00\":1}",
        b"{\"a\":1,\"a\":2}",
        b"[{\"a\":1,\"\\u0061\":1}]",
        b"{'a':1}",
        b"// {}\n{}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let answer = post(&lab, &[("content-type", "application/json")], body);
        let problem = assert_problem(&answer, 400, "invalid-json");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .starts_with("the body is no JSON: "),
            "{problem}"
        );
    }
    assert_no_job(&lab);
}

#[test]
fn a_million_brackets_are_refused_and_the_server_lives() {
    let lab = Lab::with(&[open("open")]);
    for bracket in ["[", "{\"a\":"] {
        let answer = lab.client.post(OPEN, &bracket.repeat(1_000_000));
        assert_problem(&answer, 400, "invalid-json");
    }
    assert_eq!(lab.client.get("/healthz").status, 200);
    assert_no_job(&lab);
}

#[test]
fn what_does_not_fit_the_schema_is_refused_with_its_places() {
    let mut nested = open("nested");
    nested["schema"] = json!({
        "type": "object", "properties": {
            "cells": {"type": "array", "items": {
                "type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "a/b": {"type": "integer"}},
            }},
        },
    });
    let lab = Lab::with(&[add(), nested]);
    let pointed =
        |api: &str, body: &str| pointers(&lab.client.post(&format!("/api/v1/jobs/{api}"), body));
    for whole in ["[]", "\"x\"", "null", "7"] {
        assert_eq!(pointed("add", whole), [""], "{whole}");
    }
    assert_eq!(pointed("add", "{}"), ["", ""], "two are missing");
    assert_eq!(pointed("add", r#"{"num1":1}"#), [""]);
    assert_eq!(
        pointed("add", r#"{"num1":null,"num2":"2"}"#),
        ["/num1", "/num2"]
    );
    assert_eq!(
        pointed("add", r#"{"num1":1e301,"num2":-1e301}"#),
        ["/num1", "/num2"]
    );
    assert_eq!(pointed("add", r#"{"num1":1,"num2":2,"num3":3}"#), [""]);
    assert_eq!(
        pointed("nested", r#"{"cells":[{"id":"a"},{"id":7,"a/b":"x"},{}]}"#),
        ["/cells/1/a~1b", "/cells/1/id", "/cells/2"]
    );
    assert_no_job(&lab);
}

#[test]
fn no_string_holds_a_nul() {
    let mut say = open("say");
    say["routes"] = json!([{"method": "POST", "pattern": "/api/v1/say/{word}"}]);
    let lab = Lab::with(&[open("open"), say]);
    let body = r#"{"a":[1,"x\u0000"],"b\u0000":2,"c":"\u0001"}"#;
    assert_eq!(pointers(&lab.client.post(OPEN, body)), ["/a/1", "/b\0"]);
    let answer = lab.client.post("/api/v1/say/a%00b", "");
    assert_eq!(pointers(&answer), ["/word"]);
    assert_no_job(&lab);
}

#[test]
fn at_most_fifty_errors_are_told_and_little_of_the_body() {
    let mut api = open("open");
    api["schema"] =
        json!({"items": {"type": "integer"}, "additionalProperties": {"type": "integer"}});
    let lab = Lab::with(&[api]);
    let body = Value::from(vec!["long ".repeat(1000); 60]).to_string();
    let answer = lab.client.post(OPEN, &body);
    assert_eq!(pointers(&answer).len(), 50);
    assert!(answer.body.len() < 20_000);
    let name = "n".repeat(10_000);
    let answer = lab.client.post(OPEN, &json!({ name: "x" }).to_string());
    pointers(&answer);
    assert!(answer.body.len() < 1000, "{}", answer.body.len());
}

#[test]
fn a_body_of_the_limit_is_taken_and_one_byte_more_is_not() {
    let lab = Lab::on(Site::new().set("LIMITS__REQUEST", "1KiB"), &[open("open")]);
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    assert_eq!(lab.client.post(OPEN, &text(1024)).status, 202);
    let answer = lab.client.post(OPEN, &text(1025));
    let problem = assert_problem(&answer, 413, "payload-too-large");
    assert_eq!(problem["detail"], "a body may have at most 1024 bytes");
}

#[test]
fn a_body_that_says_it_is_too_large_is_refused_before_it_is_read() {
    let lab = Lab::with(&[open("open")]);
    let length = format!("Content-Length: {}", LIMIT + 1);
    let head = head(
        &format!("POST {OPEN}"),
        &["Content-Type: application/json", &length],
    );
    let answer = raw(&lab.api, head);
    assert_problem(&answer, 413, "payload-too-large");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_no_job(&lab);
}

#[test]
fn a_body_that_grows_too_large_is_refused_while_it_comes() {
    let lab = Lab::on(Site::new().set("LIMITS__REQUEST", "1KiB"), &[open("open")]);
    let head = head(
        &format!("POST {OPEN}"),
        &[
            "Content-Type: application/json",
            "Transfer-Encoding: chunked",
        ],
    );
    // The last chunk never comes.
    let answer = raw(&lab.api, format!("{head}800\r\n{}\r\n", "x".repeat(0x800)));
    assert_problem(&answer, 413, "payload-too-large");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_no_job(&lab);
}

#[test]
fn only_plain_json_in_utf_8_is_taken() {
    let lab = Lab::with(&[open("open")]);
    let refused = |headers: &[(&str, &str)], body: &[u8]| {
        let answer = post(&lab, headers, body);
        assert_problem(&answer, 415, "unsupported-media-type");
    };
    for media_type in [
        "text/plain",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/json; charset = utf-16",
        "application/json; charset=utf-8; charset=utf-16",
        "json",
        "",
    ] {
        refused(&[("content-type", media_type)], b"{}");
    }
    refused(&[], b"{}");
    let bomb = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    for coding in ["gzip", "br", "identity, gzip", "gz\u{e9}", ""] {
        let headers = [
            ("content-type", "application/json"),
            ("content-encoding", coding),
        ];
        refused(&headers, &bomb);
    }
    assert_no_job(&lab);
}

#[test]
fn a_header_that_comes_twice_is_right_each_time() {
    let lab = Lab::with(&[open("open")]);
    let json = "Content-Type: application/json";
    for (one, other) in [
        (json, "Content-Type: text/plain"),
        ("Content-Type: text/plain", json),
        ("Content-Encoding: identity", "Content-Encoding: gzip"),
    ] {
        let headers = [json, one, other, "Content-Length: 2", "Connection: close"];
        let answer = raw(&lab.api, head(&format!("POST {OPEN}"), &headers) + "{}");
        assert_problem(&answer, 415, "unsupported-media-type");
    }
    assert_no_job(&lab);
}

#[test]
fn a_url_counts_towards_the_limit_of_the_body_that_it_joins() {
    let mut say = open("say");
    say["routes"] = json!([{"method": "POST", "pattern": "/api/v1/say/{word}"}]);
    let lab = Lab::on(Site::new().set("LIMITS__REQUEST", "1KiB"), &[say]);
    // {"word":"…"}
    let frame = 11;
    let path = |length: usize| format!("/api/v1/say/{}", "x".repeat(length));
    let answer = lab.client.post(&path(1024 - frame + 1), "");
    assert_problem(&answer, 413, "payload-too-large");
    // Each of them is written in six characters.
    let answer = lab
        .client
        .post(&format!("/api/v1/say/{}", "%01".repeat(170)), "");
    assert_problem(&answer, 413, "payload-too-large");
    assert_no_job(&lab);
    assert_eq!(lab.client.post(&path(1024 - frame), "").status, 202);
}

#[test]
fn names_that_mean_something_to_a_parser_are_plain_names() {
    let site = Site::new();
    site.app(
        "echo",
        "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())\n",
    );
    let lab = Lab::with_worker(site);
    for body in [
        r#"{"$serde_json::private::RawValue":"}{"}"#,
        r#"{"$serde_json::private::Number":"x"}"#,
        r#"{"__proto__":{"x":1},"constructor":null}"#,
    ] {
        let uuid = lab.client.submit("echo", body);
        lab.client.until_status(&uuid, "done", PATIENCE);
        let result = lab.client.get(&format!("/api/v1/jobs/{uuid}/result"));
        assert_eq!(result.text(), body);
    }
}

#[test]
fn what_looks_like_a_field_of_ours_is_plain_content() {
    let lab = Lab::with(&[open("open")]);
    let body = format!(
        r#"{{"uuid":"{}","status":"done","attempt":7,"api":"soc","request_date":"1999-01-01T00:00:00Z","params":null}}"#,
        NOBODYS_ID
    );
    let job = lab.client.post("/api/v1/jobs/open", &body).json();
    assert_ne!(job["uuid"], NOBODYS_ID);
    assert_eq!(
        (job["api"].as_str(), job["status"].as_str()),
        (Some("open"), Some("pending"))
    );
    assert_eq!(lab.params(&job["uuid"]), body);
    let nobody = format!("/api/v1/jobs/{}", NOBODYS_ID);
    assert_problem(&lab.client.get(&nobody), 404, "not-found");
}

#[test]
fn what_would_be_dangerous_elsewhere_is_stored_as_text() {
    let lab = Lab::with(&[open("open")]);
    let body = r#"{"a":"<script>alert(1)</script>","b":"$(rm -rf /)","c":"'; DROP TABLE jobs; --","d":"../../etc/passwd"}"#;
    let job = lab.client.post("/api/v1/jobs/open", body).json();
    assert_eq!(lab.params(&job["uuid"]), body);
}
