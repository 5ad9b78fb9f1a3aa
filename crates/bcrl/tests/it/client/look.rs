//! Looking at jobs and APIs, and fetching what jobs made.

use std::io::Read;
use std::process::Stdio;

use super::{ID, OTHER_ID, Outcome, RESULT, STATUS, SUBMIT, bcrl, job, job_of, play, run};
use crate::scripted_server::{ScriptedServer, answer, answer_with, problem};

#[test]
fn one_unknown_job_does_not_keep_the_others_from_being_told() {
    let other = format!("GET /api/v1/jobs/{OTHER_ID}");
    let server = ScriptedServer::start(vec![
        problem(STATUS, 404, "not-found", r#""detail":"no such job""#),
        answer(&other, 200, &job_of(OTHER_ID, r#""status":"pending""#)),
    ]);
    let outcome = run(&server, &["status", ID, OTHER_ID]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stdout.contains(OTHER_ID));
    assert!(
        outcome.stderr.starts_with("error: no such job\n"),
        "{}",
        outcome.stderr
    );
    server.finish();
}

#[test]
fn json_is_the_server_s_own_one_document_a_line() {
    let pretty = format!(
        "{{\n \"uuid\": \"{ID}\", \"api\": \"add\",\n \"status\": \"pending\", \"new\": 1.50}}\n"
    );
    let outcome = play(
        vec![answer(STATUS, 200, &pretty)],
        &["--json", "status", ID],
    );
    assert_eq!(
        outcome.stdout,
        format!("{{\"uuid\":\"{ID}\",\"api\":\"add\",\"status\":\"pending\",\"new\":1.50}}\n")
    );
}

#[test]
fn a_list_goes_on_from_page_to_page_until_its_limit() {
    let page = |ids: &[&str], next: &str| {
        let jobs: Vec<String> = ids
            .iter()
            .map(|id| job_of(id, r#""status":"failed","request_date":"2023-10-01T00:00:00.000Z","finished_date":"2023-10-01T00:02:10.000Z""#))
            .collect();
        format!(r#"{{"jobs":[{}]{next}}}"#, jobs.join(","))
    };
    let steps = || {
        vec![
            answer(
                "GET /api/v1/jobs?status=failed&limit=3",
                200,
                &page(&[ID, OTHER_ID], r#","next":"a/b=""#),
            ),
            answer(
                "GET /api/v1/jobs?status=failed&limit=1&cursor=a%2Fb%3D",
                200,
                &page(&[ID], r#","next":"c""#),
            ),
        ]
    };
    let args = ["ls", "--status", "failed", "--limit", "3"];
    let outcome = play(steps(), &args);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let row = |id: &str| format!("{id}  add  failed  2023-10-01 09:00:00  2 m 10 s\n");
    assert_eq!(
        outcome.stdout,
        format!(
            "id                                    api  status  requested            took\n{}{}{}",
            row(ID),
            row(OTHER_ID),
            row(ID)
        )
    );

    let outcome = play(steps(), &[&args[..], &["--quiet"]].concat());
    assert_eq!(outcome.stdout, format!("{ID}\n{OTHER_ID}\n{ID}\n"));
}

#[test]
fn a_result_goes_to_stdout_or_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("result.json");
    let outcome = play(vec![answer(RESULT, 200, "[1]")], &["result", ID]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), "[1]"));

    let args = ["result", ID, "--output", file.to_str().unwrap()];
    let outcome = play(vec![answer(RESULT, 200, "[1]")], &args);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), ""),
        "{}",
        outcome.stderr
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"[1]");

    // Half a result leaves the file as it was.
    let half = answer_with(
        RESULT,
        200,
        "transfer-encoding: chunked\r\n",
        "3\r\n[2,\r\n",
    );
    let outcome = play(vec![half], &args);
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    assert_eq!(std::fs::read(&file).unwrap(), b"[1]");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_table_is_fetched_as_csv_where_that_is_asked_for() {
    let csv = format!("{RESULT}?format=csv");
    let outcome = play(
        vec![answer(&csv, 200, "a\r\n1\r\n")],
        &["result", ID, "--csv"],
    );
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), "a\r\n1\r\n")
    );
    let detail = r#""detail":"the result is no table: take it as JSON""#;
    let outcome = play(
        vec![problem(&csv, 406, "not-acceptable", detail)],
        &["result", ID, "--csv"],
    );
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("take it as JSON"));
}

#[test]
fn there_is_no_result_before_the_end() {
    let detail = r#""detail":"the job is processing""#;
    let outcome = play(
        vec![problem(RESULT, 409, "result-not-ready", detail)],
        &["result", ID],
    );
    assert_eq!(outcome.code, Some(2));
    assert_eq!(
        outcome.stderr,
        format!("error: the job is processing\nhint: wait for it with: bcrl wait {ID}\n")
    );
    let outcome = play(
        vec![problem(
            RESULT,
            409,
            "job-failed",
            r#""detail":"the job failed""#,
        )],
        &["result", ID],
    );
    assert_eq!(outcome.code, Some(1));
}

#[test]
fn a_reader_who_has_gone_is_not_told_of_errors() {
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let server = ScriptedServer::start(vec![answer(RESULT, 200, &large)]);
    let mut child = bcrl(&server.url(), &["result", ID])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let outcome: Outcome = child.wait_with_output().unwrap().into();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    server.finish();
}

#[test]
fn the_log_is_printed_as_it_is() {
    let log = answer_with(
        &format!("{STATUS}/log"),
        200,
        "content-type: text/plain\r\n",
        "Traceback\n",
    );
    let outcome = play(vec![log], &["log", ID]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), "Traceback\n")
    );
}

#[test]
fn cancel_tells_what_it_came_to() {
    let cancel = STATUS.replace("GET", "DELETE");
    let running = job(r#""status":"processing","cancel_requested":true"#);
    let outcome = play(vec![answer(&cancel, 200, &running)], &["cancel", ID]);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(
        outcome.stdout,
        format!("{ID} processing, its end is requested\n")
    );

    let ended = problem(&cancel, 409, "job-final", r#""detail":"the job is done""#);
    let outcome = play(vec![ended], &["cancel", ID]);
    assert_eq!(outcome.code, Some(2));
    assert_eq!(outcome.stderr, "error: the job is done\n");
}

#[test]
fn apis_are_listed_in_the_language_of_the_locale_and_described() {
    let apis = r#"{"apis":[{"name":"add","label":{"ja":"足し算API","en":"Addition"},"description":"Adds two numbers.",
        "routes":[{"method":"POST","pattern":"/api/v1/jobs/add"},{"method":"POST","pattern":"/api/v1/add/{num1}/{num2}"}],
        "schema":{"type":"object","required":["num1"],"properties":{"num1":{"type":"integer"}}},
        "example":{"num1": 12}},
        {"name":"soc","label":{"ja":"充電率","en":"State of charge"},
        "routes":[{"method":"POST","pattern":"/api/v1/jobs/soc"}]}]}"#;
    let step = || vec![answer("GET /api/v1/apis", 200, apis)];

    let server = ScriptedServer::start(step());
    let output = bcrl(&server.url(), &["apis"])
        .env("LC_ALL", "ja_JP.UTF-8")
        .output();
    let outcome: Outcome = output.unwrap().into();
    server.finish();
    assert_eq!(
        outcome.stdout,
        "name  label      route\n\
         add   足し算API  POST /api/v1/add/{num1}/{num2}\n\
         soc   充電率     POST /api/v1/jobs/soc\n"
    );

    let server = ScriptedServer::start(step());
    let outcome = run(&server, &["apis", "add"]);
    assert_eq!(
        outcome.stdout,
        format!(
            "add  Addition\n\n  Adds two numbers.\n\n\
             route\n  POST /api/v1/add/{{num1}}/{{num2}}\n  POST /api/v1/jobs/add\n\n\
             body\n  name  type\n  num1  integer  required\n\n\
             example\n  {{\"num1\":12}}\n\n\
             try it\n  bcrl submit add num1=12 --wait\n  \
             curl -X POST {}/api/v1/jobs/add -H 'Content-Type: application/json' -d '{{\"num1\":12}}'\n",
            server.url()
        )
    );
    server.finish();

    let outcome = play(step(), &["apis", "sum"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.starts_with("error: there is no API sum\n"));
}

#[test]
fn a_long_example_is_shown_in_part_and_tried_from_a_file() {
    let values = vec!["1.5"; 1000].join(",");
    let apis = format!(
        r#"{{"apis":[{{"name":"fit","label":{{"ja":"f","en":"f"}},"example":{{"values":[{values}]}}}}]}}"#
    );
    let server = ScriptedServer::start(vec![answer("GET /api/v1/apis", 200, &apis)]);
    let outcome = run(&server, &["apis", "fit"]);
    let url = server.url();
    server.finish();
    let (_, page) = outcome.stdout.split_once("example\n").unwrap();
    let (example, commands) = page.split_once("\n\n").unwrap();
    let [start, end] = ["  {\"values\":[1.5,", "… (4 kB in all)"];
    assert!(example.starts_with(start) && example.ends_with(end) && example.len() < 400);
    assert_eq!(
        commands,
        format!(
            "try it\n  bcrl apis --json fit | jq .example > fit.json\n  \
             bcrl submit fit --file fit.json --wait\n  \
             curl -X POST {url}/api/v1/jobs/fit -H 'Content-Type: application/json' -d @fit.json\n"
        )
    );
}

#[test]
fn every_request_asks_for_the_language_of_the_locale() {
    let labelled = job(r#""status":"pending","label":"足し算API""#);
    for (locale, language) in [("ja_JP.UTF-8", "ja"), ("C", "en"), ("de_DE.UTF-8", "en")] {
        let server = ScriptedServer::start(vec![
            answer(STATUS, 200, &labelled),
            answer("GET /api/v1/jobs?limit=20", 200, r#"{"jobs":[]}"#),
            answer(SUBMIT, 202, &labelled),
        ]);
        let ask = |args: &[&str]| -> Outcome {
            let output = bcrl(&server.url(), args).env("LC_ALL", locale).output();
            output.unwrap().into()
        };
        let outcome = ask(&["status", ID]);
        assert!(
            outcome.stdout.contains("\napi     add (足し算API)\n"),
            "{}",
            outcome.stdout
        );
        ask(&["ls"]);
        ask(&["submit", "add", "num1=12"]);
        for request in server.finish() {
            assert_eq!(request.header("accept-language"), Some(language));
        }
    }
}

#[test]
fn the_status_of_a_job_that_waits_for_another_run_says_so() {
    let again = job(r#""status":"pending","attempt":1"#);
    let outcome = play(vec![answer(STATUS, 200, &again)], &["status", ID]);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(
        outcome.stdout,
        format!(
            "id       {ID}\n\
             api      add\n\
             status   pending, to be run again (run 1 has ended)\n\
             attempt  1\n"
        )
    );
}
