//! The API described for programs, and for people.

use std::process::Command;

use serde_json::json;
use test_support::until;

use crate::support::{Lab, PATIENCE, add, assert_problem, head, open, publish, raw};

#[test]
fn the_description_that_is_kept_is_that_of_the_code() {
    let printed = Command::new(env!("CARGO_BIN_EXE_bcrl-api"))
        .arg("--print-openapi")
        .output()
        .unwrap();
    assert!(printed.status.success());
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    assert!(
        printed.stdout == std::fs::read(kept).unwrap(),
        "renew it: bcrl-api --print-openapi > docs/openapi.json"
    );
}

#[test]
fn the_description_follows_the_catalog() {
    let lab = Lab::with(&[add()]);
    let described = || lab.client.get("/openapi.json").json();
    let before = described();
    assert_eq!(before["openapi"], "3.1.0");
    let general = &before["paths"]["/api/v1/jobs/add"]["post"];
    assert_eq!(
        (&general["operationId"], &general["summary"]),
        (&json!("submit_add"), &json!("addのAPI / The API add"))
    );
    let schema = &before["components"]["schemas"]["request_add"];
    assert_eq!(schema["required"], json!(["num1", "num2"]));
    assert!(before["paths"]["/api/v1/add/{num1}/{num2}"]["post"].is_object());
    assert!(before["paths"]["/api/v1/jobs/{id}"].get("post").is_none());

    publish(&lab.site, "app1", &[open("fit")]);
    until("the new API in the description", PATIENCE, || {
        let paths = described()["paths"].clone();
        (paths["/api/v1/jobs/fit"].is_object() && paths.get("/api/v1/jobs/add").is_none())
            .then_some(())
    });
}

#[test]
fn the_documentation_comes_from_this_server_alone() {
    let lab = Lab::with(&[add()]);
    let front = raw(&lab.api, head("GET /docs", &["Connection: close"]));
    assert_eq!(
        (front.status, front.header("location")),
        (302, Some("/docs/index.html"))
    );
    let page = lab.client.get("/docs/index.html");
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html"))
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    for part in page.text().split(['"', '\'']) {
        let Some(name) = part.strip_prefix("./") else {
            assert!(
                !part.starts_with("http") && !part.starts_with("//"),
                "{part}"
            );
            continue;
        };
        assert_eq!(
            lab.client.get(&format!("/docs/{name}")).status,
            200,
            "{name}"
        );
    }
    let begin = lab.client.get("/docs/swagger-initializer.js").text();
    assert!(begin.contains("\"/openapi.json\""), "{begin}");
    assert_problem(&lab.client.get("/docs/nothing.js"), 404, "not-found");
}

#[test]
fn what_a_url_answers_depends_on_whether_it_names_an_api_or_a_job() {
    let lab = Lab::with(&[add()]);
    let job = lab.client.submit("add", "{\"num1\": 1, \"num2\": 2}");
    let (api, job) = ("/api/v1/jobs/add", format!("/api/v1/jobs/{job}"));
    for (path, allow) in [
        (api, "OPTIONS, POST"),
        (job.as_str(), "DELETE, GET, HEAD, OPTIONS"),
    ] {
        let answer = lab.client.send("OPTIONS", path, &[], None);
        assert_eq!((answer.status, answer.header("allow")), (204, Some(allow)));
    }
    for (method, path) in [("GET", api), ("DELETE", api), ("POST", job.as_str())] {
        let answer = lab.client.send(method, path, &[], None);
        assert_problem(&answer, 405, "method-not-allowed");
    }
    let unknown = lab.client.get("/api/v1/jobs/nothing");
    assert_problem(&unknown, 404, "not-found");
}
