//! How a job stands: which ids there are, what is told, and when it has changed.

use serde_json::json;
use test_support::until;

use crate::support::{Lab, NOBODYS_ID, PATIENCE, Ran, assert_no_null, assert_problem, open};

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
fn a_run_that_has_only_begun_is_none_that_has_ended() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    let this = format!("/api/v1/jobs/{uuid}");
    let tag = lab.client.get(&this).header("etag").unwrap().to_owned();
    let lease = |attempt: u32, rest: &str| {
        let worker = format!("app1-{NOBODYS_ID}");
        lab.site.put(
            &format!("data/shared/bcrlapi/lease/{uuid}.json"),
            &format!(
                r#"{{"worker":"{worker}","attempt":{attempt},"claimed":"2026-11-20T12:00:00.000+09:00","pid":1{rest}}}"#
            ),
        );
        lab.client.get(&this)
    };
    let run = format!(
        r#"{{"attempt":1,"worker":"app1-{NOBODYS_ID}","started_date":"2026-11-20T12:00:00.000+09:00","ended_date":"2026-11-20T12:00:01.000+09:00","outcome":"given_back"}}"#
    );
    let token = r#","token":"0123456789abcdef0123456789abcdef""#;
    // A worker writes the lease first, and then the index.
    let claimed = lease(1, token);
    assert_eq!(
        (&claimed.json()["status"], claimed.json().get("attempt")),
        (&json!("pending"), None)
    );
    assert_eq!(claimed.header("etag"), Some(tag.as_str()));
    let waits_again = lease(1, &format!(r#","attempts":[{run}]"#));
    assert_eq!(waits_again.json()["attempt"], 1);
    let claimed_again = lease(2, &format!(r#"{token},"attempts":[{run}]"#));
    assert_eq!(claimed_again.json()["attempt"], 1);
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
        assert_eq!(answer.header("vary"), Some("Accept-Language"));
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
