//! The figures at `/metrics`: each is explained, and none names what a client sent.

use test_support::Site;

use crate::support::{Lab, PATIENCE, Ran, open, raw};

fn metrics(lab: &Lab) -> String {
    let answer = lab.client.get("/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    answer.text()
}

/// The value of one series.
#[track_caller]
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    let line = line.unwrap_or_else(|| panic!("{series} is missing:\n{text}"));
    line.trim().parse().unwrap()
}

#[test]
fn what_was_asked_and_what_waits_is_counted() {
    let lab = Lab::with(&[open("open")]);
    let ids = [
        lab.client.submit("open", "1"),
        lab.client.submit("open", "2"),
    ];
    for _ in 0..3 {
        lab.client.job(&ids[0]);
    }
    let text = metrics(&lab);
    for (series, expected) in [
        (
            r#"bcrl_http_requests_total{route="job-submit",method="POST",status="202"}"#,
            2.0,
        ),
        (
            r#"bcrl_http_request_seconds_count{route="job-status",method="GET"}"#,
            3.0,
        ),
        (r#"bcrl_jobs{status="pending"}"#, 2.0),
        (r#"bcrl_jobs{status="done"}"#, 0.0),
        ("bcrl_commit_jobs_sum", 2.0),
        ("bcrl_http_requests_in_flight", 1.0),
        ("bcrl_connections", 1.0),
        ("bcrl_waiting_clients", 0.0),
        (
            &format!(
                "bcrl_build_info{{version=\"{}\"}}",
                env!("CARGO_PKG_VERSION")
            ),
            1.0,
        ),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    assert!(value(&text, "bcrl_oldest_pending_seconds") > 0.0);
    for times in ["bcrl_lock_wait_seconds", "bcrl_lock_hold_seconds"] {
        assert!(value(&text, &format!("{times}_count")) >= 2.0, "{text}");
    }
}

#[test]
fn how_jobs_end_is_counted_from_the_start_on() {
    let site = Site::new();
    site.app("fails", "import sys; sys.exit(3)\n");
    site.app("prints", "print(1)\n");
    let lab = Lab::with_worker(site);
    for api in ["fails", "prints", "prints"] {
        let uuid = lab.client.submit(api, "{}");
        lab.client.until_ended(&uuid, PATIENCE);
    }
    let text = metrics(&lab);
    for (series, expected) in [
        (
            r#"bcrl_jobs_ended_total{status="failed",reason="exit_code"}"#,
            1.0,
        ),
        (r#"bcrl_jobs_ended_total{status="done",reason=""}"#, 2.0),
        (r#"bcrl_jobs{status="done"}"#, 2.0),
        (r#"bcrl_job_wait_seconds_count{api="prints"}"#, 2.0),
        (r#"bcrl_job_run_seconds_count{api="prints"}"#, 2.0),
        (r#"bcrl_job_run_seconds_count{api="fails"}"#, 1.0),
        ("bcrl_oldest_pending_seconds", 0.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    let longest = r#"bcrl_job_run_seconds_bucket{api="prints",le="3600"}"#;
    assert_eq!(value(&text, longest), 2.0, "runs may take an hour");
    // Whoever starts later has not seen them end.
    let Lab { site, .. } = lab;
    let lab = Lab::start(site);
    let text = metrics(&lab);
    assert!(!text.contains("bcrl_jobs_ended_total{"), "{text}");
    assert_eq!(value(&text, r#"bcrl_jobs{status="done"}"#), 2.0);
}

#[test]
fn each_figure_is_explained_and_none_names_what_a_client_sent() {
    let ran = Ran::printing("1");
    let lab = &ran.lab;
    lab.client.get(&ran.result());
    lab.client.get("/secret/path?secret=1");
    lab.client
        .send("SECRET", "/healthz", &[("secret", "1")], None);
    lab.client.post("/api/v1/jobs/secret", "secret");
    raw(&lab.api, "secret\r\n\r\n");
    let text = metrics(lab);
    assert!(
        !text.contains("secret") && !text.contains("SECRET"),
        "{text}"
    );
    assert!(!text.contains(&ran.uuid), "{text}");
    for (series, expected) in [
        (
            r#"bcrl_http_requests_total{route="none",method="GET",status="404"}"#,
            1.0,
        ),
        (
            r#"bcrl_http_requests_total{route="none",method="other",status="405"}"#,
            1.0,
        ),
        (
            r#"bcrl_http_requests_total{route="none",method="none",status="400"}"#,
            1.0,
        ),
        (r#"bcrl_problems_total{kind="not-found"}"#, 2.0),
        (r#"bcrl_problems_total{kind="bad-request"}"#, 1.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    let samples = text.lines().filter(|line| line.starts_with("bcrl_"));
    for sample in samples {
        let name = sample.split(['{', ' ']).next().unwrap();
        let of_histogram = ["_bucket", "_sum", "_count"].into_iter();
        let mut names = of_histogram
            .filter_map(|end| name.strip_suffix(end))
            .chain([name]);
        let explained = |name: &str| {
            text.contains(&format!("# HELP {name} ")) && text.contains(&format!("# TYPE {name} "))
        };
        assert!(names.any(explained), "{name} is not explained");
    }
}

#[test]
fn who_waits_and_who_follows_is_counted_while_it_does() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    std::thread::scope(|scope| {
        let client = &lab.client;
        let (wait, events) = (
            format!("/api/v1/jobs/{uuid}"),
            format!("/api/v1/jobs/{uuid}/events"),
        );
        scope.spawn(move || client.send("GET", &wait, &[("prefer", "wait=60")], None));
        scope.spawn(move || client.get(&events));
        test_support::until("both of them", PATIENCE, || {
            let text = metrics(&lab);
            let waiting = value(&text, "bcrl_waiting_clients");
            let following = text.contains("bcrl_event_streams 1\n");
            (waiting == 2.0 && following).then_some(())
        });
        let path = format!("/api/v1/jobs/{uuid}");
        assert_eq!(lab.client.send("DELETE", &path, &[], None).status, 200);
    });
    test_support::until("nobody", PATIENCE, || {
        let text = metrics(&lab);
        let waiting = value(&text, "bcrl_waiting_clients");
        let following = value(&text, "bcrl_event_streams");
        (waiting == 0.0 && following == 0.0).then_some(())
    });
}
