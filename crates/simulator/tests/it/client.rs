//! The simulated clients before a real site.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use test_support::{Site, until};

use crate::support::{PATIENCE, api, app_server, clients, site, submit, summary};

/// Nobody listens on port 1, and no test can be given it.
const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn a_real_worker_does_all_that_simulated_clients_ask_for() {
    let site = Site::new().with_shipped_apps();
    let _worker = site.worker();
    let (api, client) = api(&site, "add");
    let (code, told) = submit(
        &api.url(),
        &[
            "--api", "add", "num1=12", "num2=23", "--rate", "20/s", "--jobs", "8",
        ],
    );
    assert_eq!((code, &told["done"]), (Some(0), &json!(8)), "{told}");
    for name in ["submit", "submit_to_done", "by_the_dates"] {
        let latency = &told["latency_ms"][name];
        let [p50, p99, max] = ["p50", "p99", "max"].map(|name| latency[name].as_f64().unwrap());
        assert!(0.0 < p50 && p50 <= p99 && p99 <= max, "{name}: {latency}");
    }
    // The last one is sent 350 ms after the first, however quick the server is.
    assert!(told["elapsed_ms"].as_f64().unwrap() >= 350.0, "{told}");
    let jobs = client.get("/api/v1/jobs").json();
    for job in jobs["jobs"].as_array().unwrap() {
        let path = format!("{}/result", job["links"]["self"].as_str().unwrap());
        assert_eq!(client.get(&path).json()["result"], 35);
    }
}

#[test]
fn a_person_gets_a_page_and_no_bar_where_there_is_no_terminal() {
    let site = Site::new().with_shipped_apps();
    let _worker = site.worker();
    let (api, _client) = api(&site, "soc");
    let body = site.path("apps/soc/example.json");
    let body = body.to_string_lossy();
    let args = ["--api", "soc", "--jobs", "2", "--body", &body];
    let output = clients(&api.url(), &args).output().unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{page}");
    let first = format!("2 of 2 jobs for soc at {}, 10/s, in ", api.url());
    assert!(page.starts_with(&first), "{page}");
    assert!(page.contains("\n  done             2\n"), "{page}");
    assert!(page.contains("\n  submit to done "), "{page}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn what_the_server_refuses_is_told_by_its_status() {
    let site = Site::new().with_shipped_apps();
    let empty = site.api();
    let args = |api| ["--api", api, "--rate", "100/s", "--jobs", "3"];
    let (code, told) = submit(&empty.url(), &args("add"));
    assert_eq!(
        (code, &told["refused"]),
        (Some(1), &json!({"503": 3})),
        "{told}"
    );
    assert!(told["latency_ms"].as_object().unwrap().is_empty(), "{told}");
    let _worker = site.worker();
    empty.client().until_api("add", PATIENCE);
    let (code, told) = submit(&empty.url(), &args("add"));
    assert_eq!(
        (code, &told["refused"]),
        (Some(1), &json!({"422": 3})),
        "{told}"
    );
    let (code, told) = submit(&empty.url(), &args("nobodys"));
    assert_eq!(
        (code, &told["refused"]),
        (Some(1), &json!({"404": 3})),
        "{told}"
    );
    assert_eq!(
        (&told["accepted"], &told["under_way"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn a_server_that_cannot_be_reached_is_told_at_once() {
    let output = clients(NOBODY, &["--api", "add"]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!("error: no connection to {NOBODY}: connection refused\n")
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_call_that_makes_no_sense_is_told_before_anything_is_sent() {
    for (arguments, reason) in [
        (
            &["--api", "add", "--rate", "0/s"][..],
            "a rate such as 10/s",
        ),
        (&["--api", "add", "--jobs", "0"], "0 is not in 1.."),
        (&["--api", "Add"], "a lower-case letter"),
        (&["--api", "add", "a=1", "a=2"], "a is given twice"),
        (
            &["--api", "add", "--body", "no-such-file.json"],
            "No such file",
        ),
        (&["--rate", "1/s"], "--api <NAME>"),
    ] {
        let output = clients(NOBODY, arguments).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(reason), "{told}");
    }
}

#[test]
fn interrupted_clients_tell_what_was_so_far() {
    for signal in [Signal::INT, Signal::TERM] {
        let site = site();
        let _server = app_server(&site, &["--takes", "10m"]);
        let (api, client) = api(&site, "add");
        let child = clients(
            &api.url(),
            // The second job is due in an hour.
            &["--json", "--api", "add", "--rate", "1/h", "--jobs", "2"],
        )
        .spawn()
        .unwrap();
        let submitted = || {
            client.get("/api/v1/jobs").json()["jobs"]
                .as_array()
                .unwrap()
                .len()
        };
        until("the first job", PATIENCE, || {
            (submitted() == 1).then_some(())
        });
        // Its answer may still be on the way; that shows in nothing but the numbers.
        kill_process(Pid::from_child(&child), signal).unwrap();
        let (code, told) = summary(&child.wait_with_output().unwrap());
        assert_eq!(
            (code, &told["interrupted"]),
            (Some(130), &json!(true)),
            "{told}"
        );
        assert_eq!(
            (&told["submitted"], &told["under_way"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(submitted(), 1);
    }
}

#[test]
fn a_job_that_does_not_end_in_time_is_an_error() {
    let site = site();
    let _server = app_server(&site, &["--hang", "100"]);
    let (api, _client) = api(&site, "add");
    let (code, told) = submit(
        &api.url(),
        &[
            "--api",
            "add",
            "--jobs",
            "2",
            "--rate",
            "100/s",
            "--timeout",
            "300ms",
        ],
    );
    assert_eq!(code, Some(1));
    assert_eq!(
        told["errors"],
        json!({"not ended within 300ms": 2}),
        "{told}"
    );
    assert_eq!(
        (&told["accepted"], &told["under_way"]),
        (&json!(2), &json!(0))
    );
}
