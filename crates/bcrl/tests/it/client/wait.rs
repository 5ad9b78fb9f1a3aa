//! Waiting, and how it ends.

use std::process::{Command, Stdio};

use super::{
    ID, OTHER_ID, Outcome, STATUS, SUBMIT, bcrl, done, job, job_of, pending, play, run,
    run_with_stdin,
};
use crate::scripted_server::{ScriptedServer, answer, answer_with, hang_up, hold, problem};

#[test]
fn waiting_asks_for_changes_only() {
    let tag = "content-type: application/json\r\netag: W/\"1\"\r\n";
    let server = ScriptedServer::start(vec![
        answer_with(STATUS, 200, tag, &job(r#""status":"processing""#)),
        answer_with(STATUS, 304, tag, ""),
        answer(STATUS, 200, &done()),
    ]);
    let outcome = run(&server, &["wait", ID]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, format!("{ID} done in 3.2 s\n"));

    let requests = server.finish();
    let asked: Vec<_> = requests
        .iter()
        .map(|request| (request.header("if-none-match"), request.header("prefer")))
        .collect();
    let for_a_change = (Some("W/\"1\""), Some("wait=30"));
    assert_eq!(asked, [(None, None), for_a_change, for_a_change]);
}

#[test]
fn trouble_while_waiting_is_ridden_out_and_told_once() {
    let outcome = play(
        vec![
            hang_up(STATUS),
            problem(STATUS, 503, "busy", r#""detail":"the folder is locked""#),
            answer(STATUS, 200, &done()),
        ],
        &["wait", ID],
    );
    assert_eq!(outcome.code, Some(0));
    assert_eq!(
        outcome.stderr.matches("; trying again").count(),
        1,
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_job_that_waits_for_another_run_is_told_as_such_while_it_is_waited_for() {
    let outcome = play(
        vec![
            answer(STATUS, 200, &job(r#""status":"pending""#)),
            answer(STATUS, 200, &job(r#""status":"pending","attempt":1"#)),
            answer(STATUS, 200, &job(r#""status":"processing","attempt":2"#)),
            answer(STATUS, 200, &done()),
        ],
        &["wait", ID],
    );
    assert_eq!(outcome.code, Some(0));
    assert_eq!(
        outcome.stderr,
        format!(
            "{ID} pending\n\
             {ID} pending, to be run again (run 1 has ended)\n\
             {ID} processing\n"
        )
    );
}

#[test]
fn waiting_ends_at_its_time_out_and_the_job_goes_on() {
    let (step, _held) = hold(STATUS);
    let outcome = play(vec![step], &["wait", ID, "--timeout", "100ms"]);
    assert_eq!(outcome.code, Some(4));
    assert_eq!(
        outcome.stderr,
        format!(
            "error: gave up waiting for {ID}\n\
             hint: the job goes on; wait for it again with: bcrl wait {ID}\n"
        )
    );
}

#[test]
fn ids_are_read_from_stdin_and_the_worst_outcome_counts() {
    let other = format!("GET /api/v1/jobs/{OTHER_ID}");
    let server = ScriptedServer::start(vec![
        answer(STATUS, 200, &done()),
        answer(&other, 200, &job_of(OTHER_ID, r#""status":"canceled""#)),
    ]);
    let stdin = format!("{ID} pending\n\n{OTHER_ID}\n{ID}\n");
    let outcome = run_with_stdin(&server, &["wait", "--quiet", "-"], &stdin);
    assert_eq!(outcome.code, Some(3));
    assert_eq!(outcome.stdout, format!("{ID}\n"));
    assert_eq!(outcome.stderr, "");
    server.finish();
}

#[test]
fn an_empty_stdin_is_no_job_to_wait_for() {
    let server = ScriptedServer::start(vec![]);
    let outcome = run_with_stdin(&server, &["wait", "-"], "");
    assert_eq!(outcome.code, Some(2));
    assert_eq!(outcome.stderr, "error: there is no job id on stdin\n");
    server.finish();
}

#[test]
fn ctrl_c_ends_the_waiting_and_says_that_the_job_goes_on() {
    for args in [&["wait", ID][..], &["submit", "add", "a=1", "--wait"]] {
        let (held, arrived) = hold(STATUS);
        let mut steps = vec![held];
        if args[0] == "submit" {
            steps.push(answer(SUBMIT, 202, &pending()));
        }
        let server = ScriptedServer::start(steps);
        let child = bcrl(&server.url(), args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        arrived.recv().unwrap();
        // The shell's own `kill` is there also where procps is not.
        let kill = format!("kill -INT {}", child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );

        let outcome: Outcome = child.wait_with_output().unwrap().into();
        assert_eq!(outcome.code, Some(130));
        let hint = format!("the job goes on; wait for it again with: bcrl wait {ID}\n");
        assert!(outcome.stderr.ends_with(&hint), "{}", outcome.stderr);
        server.finish();
    }
}
