//! The process: how it refuses to start, and how it ends.

use rustix::process::Signal;
use test_support::{Process, Site, until};

use crate::support::{Lab, PATIENCE, open};

/// Starts the API where it cannot start, and returns its exit code and what it said.
#[track_caller]
fn refused(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let mut api = Process::start(site, "bcrl-api", arguments);
    let code = api.wait(PATIENCE).code();
    (code, api.log())
}

#[test]
fn nobody_is_let_in_from_elsewhere_unless_that_is_said() {
    let open = Site::new().set("API__LISTEN", "0.0.0.0:0");
    for (site, arguments) in [
        (&open, &[][..]),
        (&Site::new().set("API__LISTEN", "[::]:0"), &[]),
        (&Site::new(), &["--listen", "0.0.0.0:0"]),
    ] {
        let (code, said) = refused(site, arguments);
        assert_eq!(code, Some(78), "{said}");
        assert!(
            said.starts_with("error: ") && said.contains("api.allow_anonymous"),
            "{said}"
        );
        assert!(!site.path("data").exists(), "nothing was touched");
    }
    let lab = Lab::start(open.set("API__ALLOW_ANONYMOUS", "true"));
    assert_eq!(lab.client.get("/healthz").status, 200);
}

#[test]
fn a_setting_that_is_none_ends_the_start_with_file_and_line() {
    let site = Site::new();
    for (text, told) in [
        (
            "[api]\nlisten = \"127.0.0.1:0\"\nlistn = 1\n",
            "bcrl.toml, line 3: unknown field `listn`",
        ),
        (
            "\n[limits]\nqueue = 0\n",
            "bcrl.toml, line 3: limits.queue: 0 is out of range: from 1 to 75000 is due",
        ),
        (
            "retention = { jobs = \"0s\" }\n",
            "bcrl.toml, line 1: retention.jobs: 0s is out of range",
        ),
        ("[api\n", "bcrl.toml, line 1: "),
    ] {
        site.put("bcrl.toml", text);
        let (code, said) = refused(&site, &[]);
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains(told), "{said}");
    }
    let nowhere = Site::new().set("SHARED_DIR", "");
    let (code, said) = refused(&nowhere, &[]);
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("error: environment BCRL_SHARED_DIR: it is empty"),
        "{said}"
    );
    assert!(!nowhere.path("data").exists());
    let (code, said) = refused(&site, &["--config", "elsewhere.toml"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("elsewhere.toml"), "{said}");
}

#[test]
fn a_port_that_is_taken_ends_the_start() {
    let lab = Lab::start(Site::new());
    let address = lab.api.url();
    let address = address.trim_start_matches("http://");
    let (code, said) = refused(&Site::new(), &["--listen", address]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("error: listen on {address}: ")),
        "{said}"
    );
}

#[test]
fn it_ends_in_order_when_it_is_asked_to() {
    let mut lab = Lab::with(&[open("open")]);
    lab.client.submit("open", "1");
    lab.end_api();
    assert!(lab.api.log().contains("the API has ended"));
}

#[test]
fn a_request_that_is_under_way_is_answered_before_the_end() {
    let mut lab = Lab::with(&[open("open")]);
    let held = lab.lock();
    let answer = std::thread::scope(|scope| {
        let submit = scope.spawn(|| lab.client.post("/api/v1/jobs/open", "1"));
        until("the request waits for the lock", PATIENCE, || {
            let waits = |name: &String| name.starts_with(".tmp-");
            lab.requests().iter().any(waits).then_some(())
        });
        lab.api.signal(Signal::TERM);
        drop(held);
        submit.join().unwrap()
    });
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(lab.api.wait(PATIENCE).code(), Some(0));
    assert_eq!(lab.site.index()["jobs"][0]["uuid"], answer.json()["uuid"]);
}

#[test]
fn jobs_outlive_the_process() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    let Lab { site, api, .. } = lab;
    api.kill();
    let lab = Lab::start(site);
    assert_eq!(lab.client.job(&uuid)["status"], "pending");
}
