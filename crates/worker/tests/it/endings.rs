//! How runs end that come to no result, and what their job says of it.

use serde_json::{Value, json};
use test_support::{Client, Site, until};

use crate::support::{
    PATIENCE, answer, app, document, heartbeats, outcomes, process, receipt, result, runs, start,
};

/// Runs a job that is to fail, and returns its failure.
#[track_caller]
fn failure(client: &Client, api: &str) -> Value {
    let uuid = client.submit(api, "{}");
    let job = client.until_ended(&uuid, PATIENCE);
    assert_eq!(job["status"], "failed", "{job}");
    let answer = client.get(&format!("/api/v1/jobs/{uuid}/result"));
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert_eq!(answer.json()["failure"], job["failure"]);
    job["failure"].clone()
}

#[test]
fn each_failure_has_its_reason_and_words_that_help() {
    let site = Site::new()
        .set("LIMITS__RESULT", "1KiB")
        .set("WORKER__GRACE", "300ms");
    for (api, manifest, main) in [
        ("exit", "", "sys.exit('time_s must increase')"),
        ("raise", "", "1 / 0"),
        ("syntax", "", "def"),
        ("signal", "", "os.kill(os.getpid(), signal.SIGSEGV)"),
        (
            "timeout",
            "timeout = \"1s\"",
            "outlive_sigterm()\ntime.sleep(600)",
        ),
        ("two", "", "print('{}')\nprint('{}')"),
        ("nan", "", "print(json.dumps(float('nan')))"),
        ("bytes", "", "os.write(1, b'\"\\xff\"')"),
        ("large", "", "print('\"' + 'x' * 2000 + '\"')"),
        (
            "memory",
            "memory = \"64MiB\"",
            "hold = b'x' * 200_000_000\ntime.sleep(600)",
        ),
        ("nothing", "", ""),
        ("missing", "python = \"no/such\"", ""),
    ] {
        app(&site, api, manifest, main);
    }
    let pair = start(&site, "exit");
    for (api, reason, words, code) in [
        (
            "exit",
            "exit_code",
            "the script exited with 1; the end of its log:\ntime_s must increase",
            Some(1),
        ),
        (
            "raise",
            "exit_code",
            "ZeroDivisionError: division by zero",
            Some(1),
        ),
        ("syntax", "exit_code", "SyntaxError", Some(1)),
        ("signal", "signal", "signal 11 ended the script", None),
        (
            "timeout",
            "timeout",
            "the script ran longer than the 1 s that its API allows",
            None,
        ),
        (
            "two",
            "invalid_output",
            "trailing characters at line 2 column 1",
            Some(0),
        ),
        ("nan", "invalid_output", "at line 1 column 1", Some(0)),
        ("bytes", "invalid_output", "invalid UTF-8", Some(0)),
        ("large", "output_too_large", "printed 2003 bytes", None),
        (
            "memory",
            "memory",
            "more than the 67108864 bytes that its API allows",
            None,
        ),
        ("nothing", "no_result", "printed nothing", Some(0)),
        ("missing", "spawn_error", "the worker's log says why", None),
    ] {
        let failure = failure(&pair.client, api);
        assert_eq!(failure["reason"], reason, "{api}: {failure}");
        assert!(
            failure["message"].as_str().unwrap().contains(words),
            "{api}: {failure}"
        );
        assert_eq!(failure["exit_code"].as_i64(), code, "{api}: {failure}");
    }
}

#[test]
fn the_last_four_kilobytes_of_the_log_are_in_the_failure() {
    let site = Site::new();
    app(
        &site,
        "loud",
        "",
        "print('first', 'x' * 10_000, file=sys.stderr)\nsys.exit('last')",
    );
    let pair = start(&site, "loud");
    let failure = failure(&pair.client, "loud");
    let message = failure["message"].as_str().unwrap();
    assert!(
        message.ends_with("xxx\nlast") && !message.contains("first"),
        "{message}"
    );
    assert!((4000..4300).contains(&message.len()), "{}", message.len());
}

#[test]
fn a_receipt_tells_all_about_the_run() {
    let site = Site::new();
    app(&site, "exit", "", "sys.exit(3)");
    let pair = start(&site, "exit");
    let uuid = pair.client.submit("exit", "{}");
    pair.client.until_status(&uuid, "failed", PATIENCE);
    let receipt = receipt(&site, &uuid);
    assert_eq!(receipt["exit_code"], 3);
    assert_eq!(receipt["attempt"], 1);
    assert_eq!(receipt["worker"], heartbeats(&site)[0]["worker"]);
    assert!(receipt["run_ms"].is_u64() && receipt["max_memory"].as_u64().unwrap() > 0);
    assert_eq!(receipt["sha256"]["app"].as_str().unwrap().len(), 64);
    assert_eq!(outcomes(&site, &uuid), ["exit_code"]);
    assert!(!site.shared(&format!("response/{uuid}.json")).exists());
}

#[test]
fn a_script_that_may_be_run_again_waits_half_a_minute() {
    let site = Site::new();
    app(
        &site,
        "again",
        "retries = 1",
        "print('once', file=sys.stderr)\nsys.exit(7)",
    );
    let pair = start(&site, "again");
    let uuid = pair.client.submit("again", "{}");
    let lease = until("the retry", PATIENCE, || {
        document(&site, &format!("lease/{uuid}.json"))
            .filter(|lease| lease["retry_date"].is_string())
    });
    pair.client.until_status(&uuid, "pending", PATIENCE);
    assert_eq!((&lease["failed"], &lease["lost"]), (&json!(1), &json!(0)));
    assert_eq!(lease["attempts"][0]["outcome"], "exit_code");
    assert_eq!(lease["token"], Value::Null);
    let date = |value: &Value| -> job_core::date::Date { value.as_str().unwrap().parse().unwrap() };
    let pause = date(&lease["retry_date"]).since(date(&lease["attempts"][0]["ended_date"]));
    assert_eq!(pause.num_milliseconds(), 30_000);
    let job = pair.client.job(&uuid);
    assert_eq!(
        (&job["attempt"], &job["failure"]),
        (&json!(1), &Value::Null)
    );
    let log = pair.client.get(&format!("/api/v1/jobs/{uuid}/log")).text();
    assert_eq!(log, "once\n");
}

#[test]
fn five_starts_that_fail_in_a_row_rest_an_api_until_its_own_folder_changes() {
    let site = Site::new();
    app(&site, "broken", "python = \"no/such\"", "print(1)");
    app(&site, "sound", "", "print(2)");
    let mut pair = start(&site, "broken");
    for _ in 0..5 {
        assert_eq!(failure(&pair.client, "broken")["reason"], "spawn_error");
    }
    let line = pair
        .worker
        .says("the script cannot be started: the API is not claimed until its folder changes");
    assert_eq!(
        (&line["level"], &line["job.api"], &line["strikes"]),
        (&json!("ERROR"), &json!("broken"), &json!(5))
    );
    let resting = pair.client.submit("broken", "{}");
    assert_eq!(answer(&pair.client, "sound", "{}"), 2);
    until("the problem in the heartbeat", PATIENCE, || {
        let beats = heartbeats(&site);
        let problems = beats[0]["problems"].as_array().unwrap();
        (*problems
            == [json!(
                "broken: its script could not be started 5 times in a row"
            )])
        .then_some(())
    });

    // Another folder is no reason to try again.
    app(&site, "newcomer", "", "print(3)");
    pair.client.until_api("newcomer", PATIENCE);
    assert_eq!(answer(&pair.client, "newcomer", "{}"), 3);
    assert_eq!(answer(&pair.client, "sound", "{}"), 2);
    assert_eq!(pair.client.job(&resting)["status"], "pending");

    app(&site, "broken", "", "print(1)");
    assert_eq!(result(&pair.client, &resting), 1);
    until("a heartbeat without problems", PATIENCE, || {
        (heartbeats(&site)[0]["problems"] == json!([])).then_some(())
    });
}

#[test]
fn a_request_that_was_spoiled_fails_alone() {
    let site = Site::new();
    app(&site, "soc", "", "wait_for('go')\nprint(sys.stdin.read())");
    let pair = start(&site, "soc");
    // With the worker gone, nobody claims them before they are spoiled.
    assert!(pair.worker.stop(PATIENCE).success());
    let [edited, removed, sound] = [1, 2, 3].map(|n| pair.client.submit("soc", &n.to_string()));
    let request = |uuid: &str| format!("data/shared/bcrlapi/request/{uuid}.json");
    std::fs::remove_file(site.path(&request(&removed))).unwrap();
    site.put(&request(&edited), "{\"uuid\": 1");
    crate::support::leave(&site, "go");
    let _worker = site.worker();
    assert_eq!(result(&pair.client, &sound), 3);
    for (uuid, reason) in [(edited, "invalid_request"), (removed, "request_missing")] {
        let job = pair.client.until_ended(&uuid, PATIENCE);
        assert_eq!(job["failure"]["reason"], reason, "{job}");
    }
}

#[test]
fn without_a_python_jobs_fail_and_the_heartbeat_says_why() {
    let site = Site::new().set("WORKER__PYTHON", "/no/such/python");
    app(&site, "soc", "", "print(1)");
    let mut pair = start(&site, "soc");
    let failure = failure(&pair.client, "soc");
    assert_eq!(failure["reason"], "spawn_error");
    // Clients are told no path of the server; its log tells operators.
    assert!(!failure["message"].as_str().unwrap().contains("python"));
    let line = pair.worker.says("a script could not be started");
    let why = "cannot start /no/such/python: No such file or directory (os error 2)";
    assert_eq!(
        (&line["level"], &line["error"]),
        (&json!("ERROR"), &json!(why))
    );
    assert_eq!(
        heartbeats(&site)[0]["problems"],
        json!(["worker.python /no/such/python: No such file or directory (os error 2)"])
    );
}

#[test]
fn a_retry_runs_when_its_date_has_come() {
    let site = Site::new();
    app(
        &site,
        "again",
        "retries = 1",
        "print(os.environ['BCRL_ATTEMPT'], file=sys.stderr)\nFIRST and sys.exit(7)\nprint(os.environ['BCRL_ATTEMPT'])",
    );
    let pair = start(&site, "again");
    let uuid = pair.client.submit("again", "{}");
    let file = format!("lease/{uuid}.json");
    let mut lease = until("the retry", PATIENCE, || {
        document(&site, &file).filter(|lease| lease["retry_date"].is_string())
    });
    lease["retry_date"] = lease["claimed"].clone();
    site.put(&format!("data/shared/bcrlapi/{file}"), &lease.to_string());
    // Whatever wakes the worker.
    let other = pair.client.submit("again", "{}");
    assert_eq!(result(&pair.client, &uuid), 2);
    assert_eq!(outcomes(&site, &uuid), ["exit_code", "done"]);
    let log = pair.client.get(&format!("/api/v1/jobs/{uuid}/log")).text();
    assert_eq!(log, "1\n2\n");
    pair.client.until_status(&other, "pending", PATIENCE);
}

#[test]
fn a_job_that_is_done_leaves_nothing_running() {
    let site = Site::new();
    app(
        &site,
        "parent",
        "",
        "daemon('daemon', dict(os.environ))\ndaemon('nameless', {})\nsubprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\nprint(1)",
    );
    let pair = start(&site, "parent");
    let uuid = pair.client.submit("parent", "{}");
    assert_eq!(result(&pair.client, &uuid), 1);
    assert!(test_support::processes_with("BCRL_JOB", &uuid).is_empty());
    for name in ["daemon", "nameless"] {
        assert!(!runs(&process(&site, name)), "{name} still runs");
    }
}
