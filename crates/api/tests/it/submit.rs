//! A request becomes a job: what is answered, and what stands in the folder.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use test_support::Site;

use crate::support::{
    Lab, PATIENCE, add, assert_no_null, assert_problem, head, open, pointers, raw,
};

#[test]
fn a_request_is_answered_with_its_job() {
    let lab = Lab::with(&[add(), open("soc")]);
    let answer = lab.client.post("/api/v1/jobs/soc", r#"{"cell":"A1"}"#);
    assert_eq!(answer.status, 202, "{}", answer.text());
    let job = answer.json();
    assert_no_null(&job);
    let (uuid, date) = (
        job["uuid"].as_str().unwrap(),
        job["request_date"].as_str().unwrap(),
    );
    let this = format!("/api/v1/jobs/{uuid}");
    assert_eq!(
        job,
        json!({
            "uuid": uuid, "api": "soc", "label": "socのAPI", "status": "pending", "queue_position": 1,
            "request_date": date, "updated_date": date,
            "links": {
                "self": this, "result": format!("{this}/result"), "events": format!("{this}/events"),
                "log": format!("{this}/log"),
            },
        })
    );
    assert_eq!(uuid::Uuid::parse_str(uuid).unwrap().get_version_num(), 7);
    // RFC 3339 with milliseconds, in the site's zone.
    assert!(date.len() == 29 && date.ends_with("+09:00"), "{date}");
    for (header, value) in [
        ("location", this.clone()),
        ("link", format!("<{this}>; rel=\"monitor\"")),
        ("retry-after", "1".into()),
        ("content-type", "application/json".into()),
        ("cache-control", "no-cache".into()),
    ] {
        assert_eq!(answer.header(header), Some(value.as_str()), "{header}");
    }
    assert!(answer.header("etag").unwrap().starts_with("W/\""));
    assert!(uuid::Uuid::parse_str(answer.header("x-request-id").unwrap()).is_ok());
    let seen = lab.client.get(&this);
    assert_eq!((seen.status, seen.json()), (200, job));
    assert_eq!(seen.header("etag"), answer.header("etag"));
}

#[test]
fn a_job_stands_in_the_folder_as_the_specification_says() {
    let lab = Lab::with(&[open("soc"), add()]);
    let body = "{\"n\": [1.50,  2],\n \"電池\":\"\\u0041\"}";
    let first = lab.client.post("/api/v1/jobs/soc", body).json();
    let second = lab
        .client
        .post("/api/v1/jobs/add", r#"{"num1":1,"num2":2}"#)
        .json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let (uuid, date) = (text(&first["uuid"]), text(&first["request_date"]));
    assert_eq!(
        lab.read("request/status.json"),
        format!(
            "{{\"jobs\":[\n\
             {{\"uuid\":\"{uuid}\",\"api\":\"soc\",\"status\":\"pending\",\"request_date\":\"{date}\"}},\n\
             {{\"uuid\":{},\"api\":\"add\",\"status\":\"pending\",\"request_date\":{}}}\n\
             ]}}\n",
            second["uuid"], second["request_date"]
        )
    );
    let name = format!("request/{uuid}.json");
    assert_eq!(
        lab.read(&name),
        format!(
            "{{\"uuid\":\"{uuid}\",\"api\":\"soc\",\"request_date\":\"{date}\",\"params\":{body}}}"
        )
    );
    let mode = std::fs::metadata(lab.site.shared(&name))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o440, "a fact is never written again");
}

#[test]
fn parameters_of_an_apps_own_route_join_the_body_with_their_types() {
    let mut say = open("say");
    say["routes"] = json!([{"method": "POST", "pattern": "/api/v1/say/{word}/{loud}"}]);
    say["schema"] = json!({"type": "object", "properties": {
        "word": {"type": "string"}, "loud": {"type": ["boolean", "integer"]},
    }});
    let mut bare = open("bare");
    bare["routes"] = json!([{"method": "POST", "pattern": "/api/v1/bare/{any}"}]);
    let lab = Lab::with(&[add(), say, bare]);
    for (path, body, due) in [
        ("/api/v1/add/12/23", "", r#"{"num1":12,"num2":23}"#),
        ("/api/v1/add/-1e3/0", " { } ", r#"{"num1":-1e3,"num2":0 } "#),
        ("/api/v1/add/%31%32/%2D2", "{}", r#"{"num1":12,"num2":-2}"#),
        (
            "/api/v1/add/1.50/123456789012345678901234567890",
            "{}",
            r#"{"num1":1.50,"num2":123456789012345678901234567890}"#,
        ),
        ("/api/v1/say/12/true", "", r#"{"word":"12","loud":true}"#),
        (
            "/api/v1/say/%E9%9B%BB%2F%22/1",
            r#"{"n": 1.0}"#,
            r#"{"word":"電/\"","loud":1,"n": 1.0}"#,
        ),
        ("/api/v1/bare/12", "", r#"{"any":"12"}"#),
    ] {
        let answer = lab.client.post(path, body);
        assert_eq!(answer.status, 202, "{path}: {}", answer.text());
        let written = lab.params(&answer.json()["uuid"]);
        assert_eq!(written.trim(), due.trim(), "{path}");
    }
    let unsaid = lab.client.send("POST", "/api/v1/add/1/2", &[], None);
    assert_eq!(unsaid.status, 202, "no body needs no type");
}

#[test]
fn parameters_that_cannot_join_are_refused_with_their_place() {
    let lab = Lab::with(&[add()]);
    let pointed = |path: &str, body: &str| pointers(&lab.client.post(path, body));
    assert_eq!(pointed("/api/v1/add/twelve/23", ""), ["/num1"]);
    assert_eq!(pointed("/api/v1/add/NaN/%201", ""), ["/num1", "/num2"]);
    assert_eq!(pointed("/api/v1/add/01/1e400", ""), ["/num1", "/num2"]);
    assert_eq!(pointed("/api/v1/add/1/2", r#"{"num2":2}"#), ["/num2"]);
    assert_eq!(pointed("/api/v1/add/1/2", "[]"), [""]);
    assert_eq!(pointed("/api/v1/add/1/2", "null"), [""]);
    assert_eq!(pointed("/api/v1/add/1/2", r#"{"num3":3}"#), [""]);
    for path in ["/api/v1/add/%ff/1", "/api/v1/add//1", "/api/v1/add/1"] {
        assert_problem(&lab.client.post(path, "{}"), 404, "not-found");
    }
    assert_eq!(lab.site.index(), json!({"jobs": []}));
}

#[test]
fn numbers_reach_the_script_as_they_were_written() {
    let site = Site::new();
    site.app(
        "echo",
        "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())\n",
    );
    let lab = Lab::with_worker(site);
    let body = "{\"n\": 1.50, \"big\":123456789012345678901234567890, \"e\": 1E2}\n";
    let uuid = lab.client.submit("echo", body);
    lab.client.until_status(&uuid, "done", PATIENCE);
    let result = lab.client.get(&format!("/api/v1/jobs/{uuid}/result"));
    assert_eq!(result.text().trim_end(), body.trim_end());
}

#[test]
fn the_specifications_example_adds_two_numbers() {
    let site = Site::new().with_shipped_apps();
    let lab = Lab::with_worker(site);
    let answer = lab.client.post("/api/v1/add/12/23", "");
    let uuid = answer.json()["uuid"].as_str().unwrap().to_owned();
    let job = lab.client.until_status(&uuid, "done", PATIENCE);
    assert_eq!(job["label"], "加算API");
    let result = lab.client.get(job["links"]["result"].as_str().unwrap());
    assert_eq!(
        result.json(),
        json!({"num1": 12, "num2": 23, "operation": "add", "result": 35})
    );
}

#[test]
fn any_json_document_is_a_request_of_an_api_without_a_schema() {
    let lab = Lab::with(&[open("open")]);
    let nested = format!("{}1{}", "[".repeat(32), "]".repeat(32));
    for body in ["[]", "\"x\"", "null", "1.50", "false", nested.as_str()] {
        let job = lab.client.post("/api/v1/jobs/open", body).json();
        assert_eq!(lab.params(&job["uuid"]), body);
    }
}

#[test]
fn json_is_taken_by_any_spelling_of_its_media_type() {
    let lab = Lab::with(&[open("open")]);
    for media_type in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
    ] {
        let headers = [
            ("content-type", media_type),
            ("content-encoding", "identity"),
        ];
        let answer = lab
            .client
            .send("POST", "/api/v1/jobs/open", &headers, Some("{}"));
        assert_eq!(answer.status, 202, "{media_type}: {}", answer.text());
    }
}

#[test]
fn a_body_in_chunks_is_a_body() {
    let lab = Lab::with(&[open("open")]);
    let head = head(
        "POST /api/v1/jobs/open",
        &[
            "Content-Type: application/json",
            "Transfer-Encoding: chunked",
            "Connection: close",
        ],
    );
    let answer = raw(&lab.api, head + "3\r\n{\"a\r\n5;x=y\r\n\": 1}\r\n0\r\n\r\n");
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(lab.params(&answer.json()["uuid"]), "{\"a\": 1}");
}

#[test]
fn a_trace_that_is_one_goes_with_the_job() {
    let lab = Lab::with(&[open("open")]);
    let submit = |trace: &str| {
        let headers = [("content-type", "application/json"), ("traceparent", trace)];
        let job = lab
            .client
            .send("POST", "/api/v1/jobs/open", &headers, Some("{}"))
            .json();
        lab.read(&format!("request/{}.json", job["uuid"].as_str().unwrap()))
    };
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert!(submit(trace).ends_with(&format!(",\"params\":{{}},\"traceparent\":\"{trace}\"}}")));
    for none in [
        "00-nonsense-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    ] {
        assert!(submit(none).ends_with(",\"params\":{}}"), "{none}");
    }
}

#[test]
fn many_clients_at_once_each_get_a_job_of_their_own() {
    let lab = Lab::with(&[open("open")]);
    let ids: Vec<String> = std::thread::scope(|scope| {
        let client = &lab.client;
        let submit = |n: usize| {
            move || -> Vec<String> {
                (0..10)
                    .map(|k| client.submit("open", &format!("[{n},{k}]")))
                    .collect()
            }
        };
        let clients: Vec<_> = (0..8).map(|n| scope.spawn(submit(n))).collect();
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });
    let index = lab.site.index();
    let mut entries: Vec<_> = index["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["uuid"].as_str().unwrap())
        .collect();
    let mut ids: Vec<_> = ids.iter().map(String::as_str).collect();
    entries.sort_unstable();
    ids.sort_unstable();
    assert_eq!((entries.len(), entries), (80, ids));
}

/// Submits under a key.
fn with_key(client: &test_support::Client, key: &str, body: &str) -> test_support::Answer {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    client.send("POST", "/api/v1/jobs/open", &headers, Some(body))
}

#[test]
fn a_submission_that_is_sent_again_under_its_key_is_answered_with_its_job() {
    let mut lab = Lab::with(&[open("open")]);
    let first = with_key(&lab.client, "\"a\"", "{\"n\":1}");
    assert_eq!(first.status, 202);
    for key in ["\"a\"", "a"] {
        let again = with_key(&lab.client, key, "{\"n\":1}");
        assert_eq!((again.status, again.json()), (202, first.json()), "{key}");
        assert_eq!(again.header("location"), first.header("location"));
    }
    let other = with_key(&lab.client, "a", "{\"n\":2}");
    assert_problem(&other, 422, "idempotency-key-reused");
    // Also by the next server.
    lab.end_api();
    let lab = Lab::start(lab.site);
    let again = with_key(&lab.client, "a", "{\"n\":1}");
    assert_eq!(again.json()["uuid"], first.json()["uuid"]);
    assert_eq!(lab.requests().len(), 1);
}

#[test]
fn a_key_that_is_sent_a_hundred_times_to_two_servers_makes_one_job() {
    let lab = Lab::with(&[open("open")]);
    let second = lab.site.api();
    let clients = [lab.client.clone(), second.client()];
    let uuids: std::collections::HashSet<_> = std::thread::scope(|scope| {
        let send = |number: usize| {
            let client = &clients[number % 2];
            scope.spawn(move || {
                let answer = with_key(client, "\"a\"", "1");
                assert_eq!(answer.status, 202, "{}", answer.text());
                answer.json()["uuid"].as_str().unwrap().to_owned()
            })
        };
        let sent: Vec<_> = (0..100).map(send).collect();
        sent.into_iter().map(|sent| sent.join().unwrap()).collect()
    });
    assert_eq!(uuids.len(), 1);
    assert_eq!(lab.requests().len(), 1);
    assert_eq!(lab.site.index()["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_no_key_is_refused_and_makes_no_job() {
    let lab = Lab::with(&[open("open")]);
    let long = "k".repeat(256);
    for key in ["\"\"", "\"a", "a\"", "a\tb", &long, &"k".repeat(300)] {
        let answer = with_key(&lab.client, key, "1");
        assert_problem(&answer, 400, "idempotency-key-invalid");
    }
    assert_eq!(with_key(&lab.client, &"k".repeat(255), "1").status, 202);
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "a"),
        ("idempotency-key", "b"),
    ];
    let twice = lab
        .client
        .send("POST", "/api/v1/jobs/open", &headers, Some("1"));
    assert_problem(&twice, 400, "idempotency-key-invalid");
    assert_eq!(lab.requests().len(), 1);
}

#[test]
fn a_submission_that_is_only_checked_makes_no_job() {
    let lab = Lab::with(&[crate::support::add()]);
    let check =
        |query: &str, body: &str| lab.client.post(&format!("/api/v1/jobs/add?{query}"), body);
    let sound = check("validate_only=true", "{\"num1\":1,\"num2\":2}");
    assert_eq!(
        (sound.status, sound.json()),
        (200, json!({ "valid": true }))
    );
    let wrong = check("validate_only=true", "{\"num1\":1}");
    assert_problem(&wrong, 422, "validation-failed");
    let own = lab.client.post("/api/v1/add/1/2?validate_only=true", "");
    assert_eq!(own.status, 200, "{}", own.text());
    for query in [
        "validate_only=yes",
        "validate-only=true",
        "x",
        "validate_only=true&x=1",
    ] {
        assert_problem(&check(query, "{}"), 400, "bad-request");
    }
    assert_eq!(lab.requests().len(), 0);
    assert_eq!(
        check("validate_only=false", "{\"num1\":1,\"num2\":2}").status,
        202
    );
}

#[test]
fn a_job_is_submitted_again_as_it_was() {
    let ran = crate::support::Ran::printing("1");
    let lab = &ran.lab;
    let url = format!("/api/v1/jobs/{}/rerun", ran.uuid);
    let again = lab.client.send("POST", &url, &[], None);
    assert_eq!(again.status, 202, "{}", again.text());
    let job = again.json();
    assert_ne!(job["uuid"], ran.uuid);
    assert_eq!(job["api"], "app");
    assert_eq!(lab.params(&job["uuid"]), lab.params(&json!(ran.uuid)));
    lab.client.until_status(
        job["uuid"].as_str().unwrap(),
        "done",
        crate::support::PATIENCE,
    );
    let unknown = format!("/api/v1/jobs/{}/rerun", crate::support::NOBODYS_ID);
    assert_problem(
        &lab.client.send("POST", &unknown, &[], None),
        404,
        "not-found",
    );
    let expired = format!("/api/v1/jobs/{}/rerun", crate::support::OLD_ID);
    assert_problem(
        &lab.client.send("POST", &expired, &[], None),
        410,
        "job-expired",
    );
    assert_problem(&lab.client.get(&url), 405, "method-not-allowed");
    // Who sends a body means something else.
    let changed = lab.client.post(&url, "{\"num1\": 9}");
    assert_problem(&changed, 400, "bad-request");
}

#[test]
fn a_submission_that_is_sent_again_after_its_end_is_answered_the_same() {
    let site = Site::new();
    site.app("open", "print(1)");
    let lab = Lab::with_worker(site);
    let first = with_key(&lab.client, "a", "1").json();
    let uuid = first["uuid"].as_str().unwrap();
    lab.client
        .until_status(uuid, "done", crate::support::PATIENCE);
    let again = with_key(&lab.client, "a", "1");
    assert_eq!((again.status, &again.json()["uuid"]), (202, &first["uuid"]));
}
