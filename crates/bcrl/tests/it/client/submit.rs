//! Submitting, and seeing a job through.

use std::time::{Duration, Instant};

use super::{
    ID, NOBODY, Outcome, RESULT, STATUS, SUBMIT, bcrl, done, job, pending, play, run,
    run_with_stdin,
};
use crate::scripted_server::{ScriptedServer, Step, answer, answer_with, hang_up, problem};

#[test]
fn pairs_are_the_body_and_the_id_is_printed() {
    let server = ScriptedServer::start(vec![answer(SUBMIT, 202, &pending())]);
    let outcome = run(&server, &["submit", "add", "num1=12", "name=Ada"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, format!("{ID} pending\n"));
    assert_eq!(
        outcome.stderr,
        format!("wait for it with: bcrl wait {ID}\n")
    );

    let requests = server.finish();
    let request = &requests[0];
    assert_eq!(request.body, r#"{"name":"Ada","num1":12}"#);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("authorization"), None);
}

#[test]
fn a_webhook_is_a_value_of_the_query() {
    let due = format!("{SUBMIT}?webhook=https%3A%2F%2Fexample%2Ecom%2Fhook%3Fa%3D1");
    let url = "https://example.com/hook?a=1";
    let outcome = play(
        vec![answer(&due, 202, &pending())],
        &["submit", "add", "num1=12", "--webhook", url],
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

#[test]
fn pairs_go_over_the_file_and_a_file_alone_is_sent_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("request.json");
    std::fs::write(&file, "{\"num1\": 1.0,\n \"num2\": 2}\n").unwrap();
    let file = file.to_str().unwrap();

    let server = ScriptedServer::start(vec![
        answer(SUBMIT, 202, &pending()),
        answer(SUBMIT, 202, &pending()),
    ]);
    run(&server, &["submit", "add", "--file", file]);
    run(&server, &["submit", "add", "--file", file, "num2=3"]);
    let requests = server.finish();
    assert_eq!(requests[0].body, "{\"num1\": 1.0,\n \"num2\": 2}\n");
    assert_eq!(requests[1].body, r#"{"num1":1.0,"num2":3}"#);
}

#[test]
fn without_file_and_pairs_the_body_is_stdin() {
    let server = ScriptedServer::start(vec![
        answer(SUBMIT, 202, &pending()),
        answer(SUBMIT, 202, &pending()),
    ]);
    run_with_stdin(&server, &["submit", "add"], "{\"num1\":1}");
    run(&server, &["submit", "add"]);
    let requests = server.finish();
    assert_eq!(requests[0].body, "{\"num1\":1}");
    assert_eq!(requests[1].body, "{}");
}

#[test]
fn a_body_that_is_no_json_is_not_sent() {
    let server = ScriptedServer::start(vec![]);
    let outcome = run_with_stdin(&server, &["submit", "add"], "{\n\"num1\": }");
    assert_eq!(outcome.code, Some(2));
    assert_eq!(
        outcome.stderr,
        "error: stdin: expected value at line 2 column 9\n"
    );
    server.finish();
}

#[test]
fn submit_and_wait_prints_the_result_byte_for_byte() {
    let result = "{\"sum\": 3.50}";
    let outcome = play(
        vec![
            answer(SUBMIT, 202, &pending()),
            answer(STATUS, 200, &pending()),
            answer(
                STATUS,
                200,
                &job(r#""status":"processing","progress":{"percent":40,"message":"adding"}"#),
            ),
            answer(STATUS, 200, &done()),
            answer(RESULT, 200, result),
        ],
        &["submit", "add", "num1=1", "--wait"],
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, result);
    assert_eq!(
        outcome.stderr,
        format!(
            "{ID} pending, number 2 in the queue\n\
             {ID} processing, 40 %: adding\n\
             {ID} done in 3.2 s\n"
        )
    );
}

#[test]
fn a_failed_job_is_exit_code_1_with_its_reason() {
    let failed = job(
        r#""status":"failed","failure":{"reason":"exit_code","message":"exit code 1\nValueError: x"}"#,
    );
    let steps = || {
        vec![
            answer(SUBMIT, 202, &pending()),
            answer(STATUS, 200, &failed),
        ]
    };

    let outcome = play(steps(), &["submit", "add", "--wait", "a=1"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert!(
        outcome.stderr.ends_with(&format!(
            "error: add failed: exit_code: exit code 1\n  ValueError: x\n\
             hint: what it wrote to stderr: bcrl log {ID}\n"
        )),
        "{}",
        outcome.stderr
    );

    let outcome = play(steps(), &["submit", "add", "--wait", "--json", "a=1"]);
    assert_eq!(
        (outcome.code, outcome.stdout),
        (Some(1), format!("{failed}\n"))
    );

    let outcome = play(vec![answer(STATUS, 200, &failed)], &["wait", ID]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(
        outcome.stdout,
        format!("{ID} failed: exit_code: exit code 1\n")
    );
}

#[test]
fn a_canceled_job_is_exit_code_3() {
    let canceled = job(r#""status":"canceled""#);
    let outcome = play(
        vec![
            answer(SUBMIT, 202, &pending()),
            answer(STATUS, 200, &canceled),
        ],
        &["submit", "add", "--wait", "a=1"],
    );
    assert_eq!(outcome.code, Some(3));
    assert!(
        outcome.stderr.ends_with("error: add canceled\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn what_is_wrong_with_a_body_is_told_for_each_pointer() {
    let errors = r##""detail":"the body does not fit","errors":[{"pointer":"#/num1","detail":"is no integer"},{"pointer":"#/num2","detail":"is missing"}]"##;
    let outcome = play(
        vec![problem(SUBMIT, 422, "validation-failed", errors)],
        &["submit", "add", "num1=x"],
    );
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        outcome.stderr,
        "error: the body does not fit\n  #/num1: is no integer\n  #/num2: is missing\n\
         hint: what it takes: bcrl apis add\n"
    );
}

/// What leaves it open whether the job was taken.
fn undecided() -> [Step; 4] {
    let half = "content-type: application/json\r\ncontent-length: 900\r\n";
    [
        hang_up(SUBMIT),
        answer_with(SUBMIT, 202, half, "{"),
        problem(SUBMIT, 500, "internal", r#""detail":"broke off""#),
        answer_with(SUBMIT, 504, "content-type: text/html\r\n", "<html>"),
    ]
}

#[test]
fn a_submission_that_may_have_arrived_is_sent_again_under_its_key() {
    for lost in undecided() {
        let server = ScriptedServer::start(vec![lost, answer(SUBMIT, 202, &pending())]);
        let outcome = run(&server, &["submit", "add", "num1=12"]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert_eq!(outcome.stdout, format!("{ID} pending\n"));
        let requests = server.finish();
        let keys: Vec<_> = requests
            .iter()
            .map(|sent| sent.header("idempotency-key"))
            .collect();
        let key = keys[0].unwrap();
        assert!(
            key.len() == 38 && key.starts_with('"') && key.ends_with('"'),
            "{key}"
        );
        assert_eq!(keys[0], keys[1]);
        assert_eq!(requests[0].body, requests[1].body);
    }
}

#[test]
fn where_it_stays_open_whether_a_job_was_taken_that_is_said() {
    let [first, second, third, _] = undecided();
    let outcome = play(vec![first, second, third], &["submit", "add", "num1=12"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(4), ""));
    let said = "; the job may have been taken\nhint: look with `bcrl ls` before submitting again\n";
    assert!(outcome.stderr.contains("error: "), "{}", outcome.stderr);
    assert!(outcome.stderr.ends_with(said), "{}", outcome.stderr);
}

#[test]
fn a_submission_of_which_nothing_was_done_is_sent_again_when_the_server_says() {
    let busy = |headers: &str| {
        let json = r#"{"type":"/problems/busy","status":503,"detail":"the folder is locked"}"#;
        answer_with(SUBMIT, 503, headers, json)
    };
    let asked = Instant::now();
    let outcome = play(
        vec![
            busy("retry-after: 1\r\n"),
            problem(SUBMIT, 429, "rate-limited", r#""detail":"too often""#),
            answer(SUBMIT, 202, &pending()),
        ],
        &["submit", "--quiet", "add", "num1=12"],
    );
    assert!(asked.elapsed() >= Duration::from_secs(1));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, format!("{ID}\n"));
    assert_eq!(
        outcome.stderr,
        "the folder is locked; trying again in 1 s\ntoo often; trying again\n"
    );

    // Three tries, and no more.
    let outcome = play(
        vec![busy(""), busy(""), busy("retry-after: 7\r\n")],
        &["submit", "add", "num1=12"],
    );
    assert_eq!(outcome.code, Some(4));
    assert!(
        outcome
            .stderr
            .ends_with("error: the folder is locked\nhint: try again in 7 s\n"),
        "{}",
        outcome.stderr
    );

    // An hour is the user's to wait.
    let outcome = play(
        vec![busy("retry-after: 3600\r\n")],
        &["submit", "add", "num1=12"],
    );
    assert_eq!(outcome.code, Some(4));
    assert_eq!(
        outcome.stderr,
        "error: the folder is locked\nhint: try again in 3600 s\n"
    );
}

#[test]
fn a_server_that_cannot_be_reached_is_tried_three_times() {
    let asked = Instant::now();
    let outcome: Outcome = bcrl(&format!("http://{NOBODY}"), &["submit", "add", "num1=12"])
        .output()
        .unwrap()
        .into();
    assert_eq!(outcome.code, Some(4));
    assert!(!outcome.stderr.contains("taken"), "{}", outcome.stderr);
    // The two pauses between three tries.
    assert!(asked.elapsed() >= Duration::from_millis(200 + 400));
}

#[test]
fn an_unknown_api_is_told_with_close_names() {
    let apis = r#"{"apis":[{"name":"soc","label":{"ja":"x","en":"y"}},{"name":"add","label":{"ja":"x","en":"y"}}]}"#;
    let steps = vec![
        problem(
            "POST /api/v1/jobs/ad",
            404,
            "not-found",
            r#""detail":"no such API""#,
        ),
        answer("GET /api/v1/apis", 200, apis),
    ];
    let outcome = play(steps, &["submit", "ad", "num1=12"]);
    assert_eq!(outcome.code, Some(2));
    assert_eq!(
        outcome.stderr,
        "error: there is no API ad\nhint: there is: add; see `bcrl apis`\n"
    );

    // A name that could not stand in a path is not sent.
    let outcome = play(
        vec![answer("GET /api/v1/apis", 200, apis)],
        &["submit", "../status", "num1=12"],
    );
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("there is: add, soc"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn hints_name_the_server_of_the_command_line() {
    let server = ScriptedServer::start(vec![answer(SUBMIT, 202, &pending())]);
    let args = ["--url", &server.url(), "submit", "add", "a=1"];
    let outcome: Outcome = bcrl(&format!("http://{NOBODY}"), &args)
        .output()
        .unwrap()
        .into();
    assert_eq!(
        outcome.stderr,
        format!("wait for it with: bcrl --url {} wait {ID}\n", server.url())
    );
    server.finish();
}
