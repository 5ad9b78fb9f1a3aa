//! The result: as it was printed, in whole or in part, and what is told where there is none.

use serde_json::json;
use test_support::until;

use crate::support::{Lab, NOBODYS_ID, PATIENCE, Ran, assert_problem, head, open, raw};

const PRINTED: &str = "{\"soc\": [1.50,  2],\n \"電\": \"池\"}\n";

#[test]
fn a_result_is_what_the_script_printed() {
    let ran = Ran::printing(PRINTED);
    let answer = ran.lab.client.get(&ran.result());
    assert_eq!((answer.status, answer.text().as_str()), (200, PRINTED));
    let length = PRINTED.len().to_string();
    for (header, value) in [
        ("content-type", "application/json"),
        ("content-length", length.as_str()),
        ("accept-ranges", "bytes"),
        ("cache-control", "no-cache"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(header), Some(value), "{header}");
    }
    assert_eq!(answer.header("content-disposition"), None);

    let etag = answer.header("etag").unwrap().to_owned();
    assert!(etag.starts_with('"'), "{etag} is weak");
    let again = ran
        .lab
        .client
        .send("GET", &ran.result(), &[("if-none-match", &etag)], None);
    assert_eq!((again.status, again.body.len()), (304, 0));
    for (tag, status) in [(etag.as_str(), 200), ("\"other\"", 412)] {
        let answer = ran
            .lab
            .client
            .send("GET", &ran.result(), &[("if-match", tag)], None);
        assert_eq!(answer.status, status, "{tag}");
        if status == 412 {
            assert_problem(&answer, 412, "precondition-failed");
        }
    }
}

#[test]
fn a_part_of_a_result_is_sent_where_it_is_asked_for() {
    let ran = Ran::printing("[12345678]");
    let ask = |headers: &[(&str, &str)]| ran.lab.client.send("GET", &ran.result(), headers, None);
    for (range, text, told) in [
        ("bytes=0-3", "[123", "bytes 0-3/10"),
        ("bytes=7-", "78]", "bytes 7-9/10"),
        ("bytes=-2", "8]", "bytes 8-9/10"),
        ("bytes=8-100", "8]", "bytes 8-9/10"),
    ] {
        let answer = ask(&[("range", range)]);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (206, text),
            "{range}"
        );
        assert_eq!(answer.header("content-range"), Some(told));
    }
    assert_eq!(ask(&[("range", "lines=1-2")]).text(), "[12345678]");

    let etag = ask(&[]).header("etag").unwrap().to_owned();
    let known = ask(&[("range", "bytes=0-0"), ("if-range", &etag)]);
    assert_eq!((known.status, known.text().as_str()), (206, "["));
    let other = ask(&[("range", "bytes=0-0"), ("if-range", "\"other\"")]);
    assert_eq!((other.status, other.text().as_str()), (200, "[12345678]"));
}

#[test]
fn whoever_asks_for_the_head_gets_no_body_and_has_fetched_nothing() {
    let mut ran = Ran::printing(PRINTED);
    let (this, result) = (format!("/api/v1/jobs/{}", ran.uuid), ran.result());
    let head = |path: &str| {
        raw(
            &ran.lab.api,
            head(&format!("HEAD {path}"), &["Connection: close"]),
        )
    };
    // It is done by its receipt a moment before the index says so, and the list shows it.
    until("a done job in the list", PATIENCE, || {
        let list = ran.lab.client.get("/api/v1/jobs").json();
        (list["jobs"][0]["status"] == "done").then_some(())
    });
    for path in [&this, "/api/v1/jobs", "/healthz"] {
        let (answer, whole) = (head(path), ran.lab.client.get(path));
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        for name in ["content-length", "content-type", "etag"] {
            assert_eq!(answer.header(name), whole.header(name), "{name} of {path}");
        }
    }
    let (answer, length) = (head(&result), PRINTED.len().to_string());
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-length"), Some(length.as_str()));
    // What was to be noted is in the index when the server has ended.
    ran.lab.end_api();
    let index = ran.lab.site.index();
    assert_eq!(index["jobs"][0]["status"], "done");
    assert!(index["jobs"][0].get("retrieved_date").is_none(), "{index}");
}

#[test]
fn the_first_fetch_is_noted_in_the_index() {
    let mut ran = Ran::printing("1");
    let client = &ran.lab.client;
    client.get(&ran.result());
    let date = until("the date of the first fetch", PATIENCE, || {
        let index = ran.lab.site.index();
        index["jobs"][0]["retrieved_date"]
            .as_str()
            .map(str::to_owned)
    });
    let job = client.job(&ran.uuid);
    assert_eq!(job["retrieved_date"], date.as_str());
    assert_eq!(job["status"], "done", "a second client still sees it");
    assert_eq!(client.get(&ran.result()).text(), "1");
    ran.lab.end_api();
    assert_eq!(
        ran.lab.site.index()["jobs"][0]["retrieved_date"],
        date.as_str()
    );
}

#[test]
fn a_job_that_has_no_result_says_why() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    let this = format!("/api/v1/jobs/{uuid}");
    let answer = lab.client.get(&format!("{this}/result"));
    let problem = assert_problem(&answer, 409, "result-not-ready");
    assert_eq!(problem["detail"], "the job is pending");
    assert_eq!(answer.header("retry-after"), Some("1"));

    lab.client.send("DELETE", &this, &[], None);
    let answer = lab.client.get(&format!("{this}/result"));
    assert_problem(&answer, 409, "job-canceled");
    assert_eq!(answer.header("retry-after"), None);

    let answer = lab.client.get(&format!("/api/v1/jobs/{NOBODYS_ID}/result"));
    assert_problem(&answer, 404, "not-found");
}

#[test]
fn a_failed_jobs_result_is_its_failure() {
    let ran = Ran::script("import sys\nsys.exit('no such cell')\n");
    let job = ran.lab.client.job(&ran.uuid);
    assert_eq!(job["status"], "failed");
    let answer = ran.lab.client.get(&ran.result());
    let problem = assert_problem(&answer, 409, "job-failed");
    assert_eq!(problem["failure"], job["failure"]);
    assert_eq!(
        (
            &problem["failure"]["reason"],
            &problem["failure"]["exit_code"]
        ),
        (&json!("exit_code"), &json!(1))
    );
    let log = ran
        .lab
        .client
        .get(&format!("/api/v1/jobs/{}/log", ran.uuid));
    assert_eq!(log.text(), "no such cell\n");
}

#[test]
fn a_result_that_a_third_party_left_is_a_result() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    lab.site.put(
        &format!("data/shared/bcrlapi/response/{uuid}.json"),
        "[1.0]",
    );
    let answer = lab.client.get(&format!("/api/v1/jobs/{uuid}/result"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "[1.0]"));
    assert_eq!(lab.client.job(&uuid)["status"], "done");
    assert_eq!(lab.names("receipt"), [format!("{uuid}.json")]);
}

#[test]
fn a_result_that_is_a_table_is_sent_as_csv_where_that_is_asked_for() {
    let ran = Ran::printing("[{\"品\": \"=1\", \"n\": 1.50}, {\"n\": null}]");
    let ask = |query: &str, accept: &str| {
        let path = format!("{}{query}", ran.result());
        ran.lab
            .client
            .send("GET", &path, &[("accept", accept)], None)
    };
    let json = ask("", "*/*").text();
    for (query, accept, text) in [
        ("", "text/csv", "品,n\r\n=1,1.50\r\n,\r\n"),
        ("?format=csv", "text/html", "品,n\r\n=1,1.50\r\n,\r\n"),
        (
            "?format=csv&bom=true",
            "*/*",
            "\u{feff}品,n\r\n'=1,1.50\r\n,\r\n",
        ),
        ("?format=json", "text/csv", json.as_str()),
        ("", "text/csv, application/json", json.as_str()),
    ] {
        let answer = ask(query, accept);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, text),
            "{query} {accept}"
        );
        assert_eq!(answer.header("vary"), Some("Accept"));
    }
    let answer = ask("?format=csv", "*/*");
    assert_eq!(
        answer.header("content-type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    let etag = answer.header("etag").unwrap();
    let path = format!("{}?format=csv", ran.result());
    let again = ran
        .lab
        .client
        .send("GET", &path, &[("if-none-match", etag)], None);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let name = format!("attachment; filename=\"app-{}.csv\"", ran.uuid);
    assert_eq!(answer.header("content-disposition"), Some(name.as_str()));

    for (query, accept) in [("?format=xml", "*/*"), ("?bom=1", "*/*"), ("?x=1", "*/*")] {
        assert_problem(&ask(query, accept), 400, "bad-request");
    }
    assert_problem(&ask("?format=csv&format=csv", "*/*"), 400, "bad-request");
    assert_problem(&ask("", "text/html"), 406, "not-acceptable");
}

#[test]
fn csv_of_what_is_no_table_is_refused_with_what_to_do() {
    let ran = Ran::printing("{\"soc\": [1, 2], \"t\": [1]}");
    let liked = [("accept", "text/csv, application/json;q=0.5")];
    let json = ran.lab.client.send("GET", &ran.result(), &liked, None);
    assert_eq!(
        (json.status, json.header("content-type")),
        (200, Some("application/json")),
        "JSON is taken as well"
    );
    let path = format!("{}?format=csv", ran.result());
    let problem = assert_problem(&ran.lab.client.get(&path), 406, "not-acceptable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("take it as JSON"), "{detail}");
}

#[test]
fn a_large_table_comes_whole() {
    let ran = Ran::script(
        "import json, sys\njson.dump({'n': list(range(200000)), 'x': [0.1] * 200000}, sys.stdout)\n",
    );
    let path = format!("{}?format=csv", ran.result());
    let text = ran.lab.client.get(&path).text();
    let lines: Vec<_> = text.split("\r\n").collect();
    assert_eq!(
        (lines.len(), lines[0], lines[200_001]),
        (200_002, "n,x", "")
    );
    let told = lines[1..200_001].iter().enumerate();
    for (row, line) in told {
        assert_eq!(*line, format!("{row},0.1"));
    }
}
