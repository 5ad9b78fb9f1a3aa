//! The call itself: addresses, keys, wrong arguments, strangers instead of the server.

use super::{ID, NOBODY, Outcome, bcrl, play};
use crate::scripted_server::{ScriptedServer, answer_with, problem};

#[test]
fn a_server_that_is_not_there_is_exit_code_4_with_a_hint() {
    for args in [&["ls"][..], &["submit", "add", "a=1"]] {
        let outcome: Outcome = bcrl(&format!("http://{NOBODY}"), args)
            .output()
            .unwrap()
            .into();
        assert_eq!(outcome.code, Some(4));
        assert_eq!(
            outcome.stderr,
            format!(
                "error: no connection to http://{NOBODY}: connection refused\n\
                 hint: is it running? start it with `scripts/up`, or set BCRL_URL or --url to where it is\n"
            )
        );
    }
}

#[test]
fn the_key_is_sent_and_never_shown() {
    let refused = problem(
        "GET /api/v1/jobs?limit=20",
        401,
        "unauthorized",
        r#""detail":"unknown key""#,
    );
    let server = ScriptedServer::start(vec![refused]);
    let output = bcrl(&server.url(), &["ls"])
        .env("BCRL_KEY", "s3cret")
        .output();
    let outcome: Outcome = output.unwrap().into();
    assert_eq!(outcome.code, Some(2));
    assert_eq!(
        outcome.stderr,
        "error: unknown key\nhint: BCRL_KEY has to hold a key that the server knows\n"
    );
    assert_eq!(
        server.finish()[0].header("authorization"),
        Some("Bearer s3cret")
    );
}

#[test]
fn a_stranger_at_the_address_is_told_as_such() {
    let list = "GET /api/v1/jobs?limit=20";
    // A redirect is not followed: it would turn a submission into something else.
    for step in [
        answer_with(list, 200, "content-type: text/html\r\n", "<html>"),
        answer_with(list, 302, "location: https://example/login\r\n", ""),
        answer_with(list, 502, "content-type: text/html\r\n", "<html>"),
    ] {
        let outcome = play(vec![step], &["ls"]);
        assert_eq!(outcome.code, Some(4));
        assert!(!outcome.stderr.contains("<html>"), "{}", outcome.stderr);
    }
}

#[test]
fn a_password_in_the_address_is_not_shown() {
    let url = format!("http://ada:s3cret@{NOBODY}");
    for args in [
        &["ls"][..],
        &["wait", ID, "--timeout", "1ms", "--url", &url],
    ] {
        let outcome: Outcome = bcrl(&url, args).output().unwrap().into();
        assert_eq!(outcome.code, Some(4));
        assert!(!outcome.stderr.contains("s3cret"), "{}", outcome.stderr);
    }
}

#[test]
fn a_wrong_call_is_exit_code_2() {
    for args in [
        &["wait"][..],
        &["status", "0190A6F0-1C2D-7ABC-8DEF-0123456789AB"],
        &["submit", "add", "num1"],
        &["submit", "add", "--timeout", "10m"],
        &["ls", "--status", "lost"],
        &["ls", "--json", "--quiet"],
        &["ls", "--url", "localhost:8080"],
    ] {
        let outcome: Outcome = bcrl(&format!("http://{NOBODY}"), args)
            .output()
            .unwrap()
            .into();
        assert_eq!(outcome.code, Some(2), "{args:?}");
        assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
    }
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome: Outcome = bcrl("", &["completions", shell]).output().unwrap().into();
        assert_eq!(outcome.code, Some(0));
        assert!(outcome.stdout.contains("submit"), "{shell}");
    }
}
