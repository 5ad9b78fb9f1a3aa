//! The client against a server that answers by a script: outputs, exit codes, and what is sent.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::scripted_server::{ScriptedServer, Step};

mod call;
mod look;
mod submit;
mod wait;

/// Nobody listens on port 1, and no test can be given it.
const NOBODY: &str = "127.0.0.1:1";
const ID: &str = "0190a6f0-1c2d-7abc-8def-0123456789ab";
const OTHER_ID: &str = "0190a6f0-1c2d-7abc-8def-0123456789ac";
const SUBMIT: &str = "POST /api/v1/jobs/add";
const STATUS: &str = "GET /api/v1/jobs/0190a6f0-1c2d-7abc-8def-0123456789ab";
const RESULT: &str = "GET /api/v1/jobs/0190a6f0-1c2d-7abc-8def-0123456789ab/result";

/// A job's JSON with these members beside its id and API.
fn job(members: &str) -> String {
    job_of(ID, members)
}

fn job_of(id: &str, members: &str) -> String {
    format!(r#"{{"uuid":"{id}","api":"add",{members}}}"#)
}

fn pending() -> String {
    job(r#""status":"pending","queue_position":2"#)
}

fn done() -> String {
    job(
        r#""status":"done","request_date":"2023-10-01T00:00:00.000+09:00","finished_date":"2023-10-01T00:00:03.250+09:00""#,
    )
}

fn bcrl(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bcrl"));
    command
        .args(args)
        .env("BCRL_URL", url)
        .env("LC_ALL", "C")
        .env("TZ", "Asia/Tokyo")
        .env_remove("BCRL_KEY")
        .stdin(Stdio::null());
    command
}

/// What a run of the command came to.
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Outcome {
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn run(server: &ScriptedServer, args: &[&str]) -> Outcome {
    bcrl(&server.url(), args).output().unwrap().into()
}

fn run_with_stdin(server: &ScriptedServer, args: &[&str], stdin: &str) -> Outcome {
    let mut child = bcrl(&server.url(), args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap().into()
}

/// Runs a command against these steps, all of which have to be used.
fn play(steps: Vec<Step>, args: &[&str]) -> Outcome {
    let server = ScriptedServer::start(steps);
    let outcome = run(&server, args);
    server.finish();
    outcome
}
