//! How a job stands: which ids there are, what is told, and when it has changed.

use serde_json::json;
use test_support::until;

use crate::support::{
    Lab, NOBODYS_ID, OLD_ID, PATIENCE, Ran, assert_no_null, assert_problem, head, open, raw,
};

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
fn a_job_that_ran_tells_its_story() {
    let ran = Ran::printing("{}");
    let answer = ran.lab.client.get(&format!("/api/v1/jobs/{}", ran.uuid));
    let job = answer.json();
    assert_no_null(&job);
    let names: Vec<_> = job
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
        [
            "uuid",
            "api",
            "label",
            "status",
            "attempt",
            "worker",
            "request_date",
            "updated_date",
            "started_date",
            "finished_date",
            "expires_date",
            "links"
        ]
    );
    assert_eq!(
        (&job["status"], &job["attempt"], &job["updated_date"]),
        (&json!("done"), &json!(1), &job["finished_date"])
    );
    assert_eq!(answer.header("retry-after"), None, "nothing will change");
}

#[test]
fn the_other_spelling_of_the_url_shows_the_same_job() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    let (this, alias) = (
        lab.client.get(&format!("/api/v1/jobs/{uuid}")),
        lab.client.get(&format!("/api/v1/job/{uuid}")),
    );
    assert_eq!((alias.status, alias.json()), (200, this.json()));
    assert_eq!(alias.header("etag"), this.header("etag"));
}

#[test]
fn an_unchanged_job_is_not_sent_again() {
    let lab = Lab::with(&[open("open")]);
    let (first, second) = (
        lab.client.submit("open", "1"),
        lab.client.submit("open", "2"),
    );
    let this = format!("/api/v1/jobs/{second}");
    let etag = lab.client.get(&this).header("etag").unwrap().to_owned();
    let ask = |tags: &str| {
        lab.client
            .send("GET", &this, &[("if-none-match", tags)], None)
    };

    let strong = etag.trim_start_matches("W/").to_owned();
    let several = format!("\"a\", {etag}");
    for tags in [&etag, &strong, &several, "*"] {
        let answer = ask(tags);
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{tags}");
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
    }
    for garbage in [
        "",
        "\"",
        "x",
        "W/",
        "\"a\"",
        "\u{e9}",
        ",,,",
        &"\"a\",".repeat(1000),
    ] {
        let answer = ask(garbage);
        assert_eq!(answer.status, 200, "{garbage:?}");
    }
    let ahead = format!("/api/v1/jobs/{first}");
    lab.client.send("DELETE", &ahead, &[], None);
    assert_eq!(lab.client.job(&second)["queue_position"], 1);
    assert_eq!(ask(&etag).status, 304, "moving up is no change");
    lab.client.send("DELETE", &this, &[], None);
    assert_eq!(ask(&etag).json()["status"], "canceled");
}

#[test]
fn the_label_follows_the_clients_language() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    let label = |path: &str, languages: &str| {
        let answer = lab
            .client
            .send("GET", path, &[("accept-language", languages)], None);
        let json = answer.json();
        let job = json["jobs"].get(0).unwrap_or(&json).clone();
        job["label"].as_str().unwrap().to_owned()
    };
    for path in ["/api/v1/jobs".to_owned(), format!("/api/v1/jobs/{uuid}")] {
        assert_eq!(label(&path, "en-US,en;q=0.9,ja;q=0.8"), "The API open");
        assert_eq!(label(&path, "ja,en;q=0.5"), "openのAPI");
        assert_eq!(label(&path, ";;q=x,\u{e9}"), "openのAPI");
    }
    assert_eq!(lab.client.job(&uuid)["label"], "openのAPI");
}

#[test]
fn progress_is_shown_while_the_script_works() {
    let site = test_support::Site::new();
    site.app(
        "slow",
        "import os, sys, time\n\
         open(os.environ['BCRL_PROGRESS'], 'a').write('{\"percent\":40,\"message\":\"half\"}\\n')\n\
         print('at work', file=sys.stderr, flush=True)\n\
         time.sleep(60)\n",
    );
    let lab = Lab::with_worker(site);
    let uuid = lab.client.submit("slow", "{}");
    let job = until("progress", PATIENCE, || {
        Some(lab.client.job(&uuid)).filter(|job| job.get("progress").is_some())
    });
    assert_no_null(&job);
    assert_eq!(job["progress"], json!({"percent": 40.0, "message": "half"}));
    assert_eq!(
        (&job["status"], &job["attempt"]),
        (&json!("processing"), &json!(1))
    );
    assert!(job.get("queue_position").is_none() && job["started_date"].is_string());
    let result = lab.client.get(job["links"]["result"].as_str().unwrap());
    let problem = assert_problem(&result, 409, "result-not-ready");
    assert_eq!(problem["detail"], "the job is processing");
    assert_eq!(result.header("retry-after"), Some("1"));
    let log = until("a line of its log", PATIENCE, || {
        let log = lab.client.get(job["links"]["log"].as_str().unwrap());
        Some(log).filter(|log| !log.body.is_empty())
    });
    assert_eq!((log.status, log.text().as_str()), (200, "at work\n"));
    assert_eq!(
        log.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

#[test]
fn a_broken_index_is_answered_from_the_last_good_one() {
    let lab = Lab::with(&[open("open")]);
    let ids = [
        lab.client.submit("open", "1"),
        lab.client.submit("open", "2"),
    ];
    let path = lab.site.shared("request/status.json");
    let whole = lab.read("request/status.json");
    // Nobody mends it while somebody has the lock.
    let held = lab.lock();
    for broken in ["", &whole[..whole.len() / 2]] {
        std::fs::write(&path, broken).unwrap();
        let list = lab.client.get("/api/v1/jobs").json();
        assert_eq!(list["jobs"].as_array().unwrap().len(), 2, "{broken:?}");
        assert_eq!(lab.client.job(&ids[1])["queue_position"], 2, "{broken:?}");
    }
    drop(held);
    let third = lab.client.submit("open", "3");
    let index = lab.site.index();
    let entries = index["jobs"].as_array().unwrap();
    let entries: Vec<_> = entries.iter().map(|entry| &entry["uuid"]).collect();
    assert_eq!(
        entries,
        [&ids[0], &ids[1], &third],
        "the next commit mends it"
    );
    assert!(!lab.names("quarantine").is_empty());
}
