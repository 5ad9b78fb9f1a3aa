//! When jobs will probably start and finish: told once ten runs are known, and only then.

use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use test_support::{Site, until};

use crate::support::{Lab, PATIENCE};

/// A lab that runs one job at a time. Its jobs end at once, but for the body `"wait"`, which waits for the pipe.
fn lab() -> (Lab, PathBuf) {
    let site = Site::new().set("WORKER__CONCURRENCY", "1");
    let pipe = site.path("pipe");
    // A script may be another user.
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    let script = format!(
        "import json, sys\nif json.load(sys.stdin) == 'wait':\n    open({:?}).close()\nprint(1)\n",
        pipe.to_str().unwrap()
    );
    site.app("app", &script);
    (Lab::with_worker(site), pipe)
}

fn run(lab: &Lab, times: usize) {
    let jobs: Vec<_> = (0..times).map(|_| lab.client.submit("app", "1")).collect();
    for job in jobs {
        lab.client.until_ended(&job, PATIENCE);
    }
}

/// The job, once it is as wanted.
#[track_caller]
fn seen(lab: &Lab, uuid: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until("a job as wanted", PATIENCE, || {
        let job = lab.client.job(uuid);
        wanted(&job).then_some(job)
    })
}

#[test]
fn nothing_is_expected_before_ten_runs_are_known() {
    let (lab, pipe) = lab();
    run(&lab, 9);
    let waits = lab.client.submit("app", "\"wait\"");
    seen(&lab, &waits, |job| job["status"] == "processing");
    // A look that comes after this one has seen all that there is.
    let behind = lab.client.submit("app", "1");
    for _ in 0..3 {
        assert!(lab.client.job(&behind).get("estimate").is_none());
    }
    std::fs::write(pipe, "").unwrap();
    lab.client.until_ended(&behind, PATIENCE);
}

#[test]
fn start_and_finish_are_expected_once_ten_runs_are_known() {
    let (lab, pipe) = lab();
    run(&lab, 10);
    let waits = lab.client.submit("app", "\"wait\"");
    let running = seen(&lab, &waits, |job| {
        job["status"] == "processing" && job["estimate"].is_object()
    });
    let behind = lab.client.submit("app", "1");
    let pending = seen(&lab, &behind, |job| job["estimate"].is_object());

    assert!(running["estimate"].get("start").is_none());
    let (start, finish) = (
        &pending["estimate"]["start"],
        &pending["estimate"]["finish"],
    );
    let date = |of: &Value| {
        let text = of.as_str().unwrap_or_else(|| panic!("{pending:#}"));
        chrono::DateTime::parse_from_rfc3339(text).unwrap()
    };
    assert!(date(&start["p50"]) <= date(&start["p90"]));
    assert!(date(&finish["p50"]) <= date(&finish["p90"]));
    assert!(date(&start["p50"]) < date(&finish["p50"]));
    assert!(date(&start["p50"]) >= date(&pending["request_date"]));

    // What is expected is no change of the job: nobody who waits is woken by it.
    let this = format!("/api/v1/jobs/{behind}");
    let tag = lab.client.get(&this).header("etag").unwrap().to_owned();
    let again = lab
        .client
        .send("GET", &this, &[("if-none-match", &tag)], None);
    assert_eq!(again.status, 304);

    std::fs::write(pipe, "").unwrap();
    lab.client.until_ended(&behind, PATIENCE);
    assert!(lab.client.job(&behind).get("estimate").is_none());
}
