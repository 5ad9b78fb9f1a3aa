//! The simulated clients before a server whose every answer a test decides: how long it takes, and what it asks for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::submit;

/// Two jobs of one client after the other.
const TWO_JOBS: [&str; 10] = [
    "--api",
    "add",
    "--jobs",
    "2",
    "--rate",
    "1000/s",
    "--poll",
    "10ms",
    "--concurrency",
    "1",
];
const ID: &str = "0190a6f0-1c2d-7abc-8def-0123456789ab";

/// A server that answers each request as `answer` says, which is told method and path and for the how-manieth time
/// they are asked for, from 1. It lives as long as the test.
fn serve(answer: impl Fn(&str, u32) -> String + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    let counts = Arc::new(Mutex::new(std::collections::HashMap::<String, u32>::new()));
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (answer, counts) = (answer.clone(), counts.clone());
            std::thread::spawn(move || {
                let mut connection = connection.unwrap();
                let line = request(&connection);
                let count = {
                    let mut counts = counts.lock().unwrap();
                    let count = counts.entry(line.clone()).or_default();
                    *count += 1;
                    *count
                };
                // A client that has gone in the meantime is the test's business.
                let _ = connection.write_all(answer(&line, count).as_bytes());
            });
        }
    });
    url
}

/// Reads a request; its method and path.
fn request(connection: &TcpStream) -> String {
    let mut reader = BufReader::new(connection);
    let mut lines = reader.by_ref().lines().map(|line| line.unwrap());
    let first = lines.next().unwrap();
    let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    first.strip_suffix(" HTTP/1.1").unwrap().to_owned()
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn job(status: &str) -> String {
    format!(r#"{{"uuid":"{ID}","status":"{status}"}}"#)
}

#[test]
fn a_stall_shows_in_the_latency_of_every_job_that_fell_into_it() {
    const STALL: Duration = Duration::from_millis(500);
    let url = serve(|line, count| match line {
        "POST /api/v1/jobs/add" => {
            if count == 1 {
                std::thread::sleep(STALL);
            }
            answer(202, "", &job("done"))
        }
        _ => answer(200, "", "1"),
    });
    // One client after the other: the later jobs cannot even be sent while the first one stalls.
    let args = [
        "--api",
        "add",
        "--rate",
        "1000/s",
        "--jobs",
        "20",
        "--concurrency",
        "1",
    ];
    let (code, told) = submit(&url, &args);
    assert_eq!((code, &told["done"]), (Some(0), &json!(20)), "{told}");
    for name in ["submit", "submit_to_done"] {
        // Measured from when they were sent, all but the first would have taken a millisecond or so.
        let p50 = told["latency_ms"][name]["p50"].as_f64().unwrap();
        assert!(p50 > 450.0, "{name}: {told}");
    }
}

#[test]
fn a_stall_does_not_keep_the_other_jobs_from_being_sent() {
    let arrived = Arc::new(AtomicU32::new(0));
    let seen = arrived.clone();
    let url = serve(move |line, _| {
        if line.starts_with("POST") {
            seen.fetch_add(1, Ordering::SeqCst);
            // No answer before all have come: clients that wait for answers would never send them.
            test_support::until("all jobs", Duration::from_secs(20), || {
                (seen.load(Ordering::SeqCst) == 4).then_some(())
            });
            return answer(202, "", &job("done"));
        }
        answer(200, "", "1")
    });
    let (code, told) = submit(&url, &["--api", "add", "--rate", "1000/s", "--jobs", "4"]);
    assert_eq!((code, &told["done"]), (Some(0), &json!(4)), "{told}");
    assert_eq!(arrived.load(Ordering::SeqCst), 4);
}

/// When a job was submitted, seen to wait and seen to be done, whose server asks to be left alone for this long each
/// time.
fn looks(retry_after: &'static str, arguments: &[&str]) -> Vec<Instant> {
    let looks = Arc::new(Mutex::new(Vec::new()));
    let seen = looks.clone();
    let headers = format!("retry-after: {retry_after}\r\n");
    let url = serve(move |line, count| {
        let looked = || seen.lock().unwrap().push(Instant::now());
        match line {
            "POST /api/v1/jobs/add" => {
                looked();
                answer(202, &headers, &job("pending"))
            }
            "GET /api/v1/apis" => answer(200, "", r#"{"apis":[]}"#),
            line if line.ends_with("/result") => answer(200, "", "1"),
            _ => {
                looked();
                match count {
                    1 => answer(200, &headers, &job("pending")),
                    _ => answer(200, "", &job("done")),
                }
            }
        }
    });
    let usual = [
        "--api",
        "add",
        "--jobs",
        "1",
        "--poll",
        "10ms",
        "--timeout",
        "30s",
    ];
    let arguments: Vec<_> = usual.iter().chain(arguments).copied().collect();
    let (code, told) = submit(&url, &arguments);
    assert_eq!(code, Some(0), "{told}");
    let looks = looks.lock().unwrap().clone();
    assert_eq!(looks.len(), 3);
    looks
}

#[test]
fn a_job_is_looked_at_no_sooner_than_its_server_asks_for() {
    let looks = looks("1", &[]);
    for pair in looks.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_secs(1), "{looks:?}");
    }
}

#[test]
fn who_measures_may_look_more_often_than_the_server_asks_for() {
    looks("3600", &["--ignore-retry-after"]);
}

#[test]
fn trouble_that_passes_is_no_error_and_what_is_no_result_is() {
    let url = serve(|line, count| match line {
        "GET /api/v1/apis" => answer(404, "", ""),
        "POST /api/v1/jobs/add" => answer(202, "", &job("pending")),
        line if line.ends_with("/result") && count == 1 => answer(200, "", "{"),
        line if line.ends_with("/result") => answer(502, "", r#"{"detail":"gone"}"#),
        _ if count == 1 => answer(503, "retry-after: 0\r\n", ""),
        _ => answer(200, "", &job("done")),
    });
    let (code, told) = submit(&url, &TWO_JOBS);
    assert_eq!(code, Some(1));
    assert_eq!(
        told["errors"],
        json!({"result: 502": 1, "result: it is no JSON": 1}),
        "{told}"
    );
    assert_eq!((&told["accepted"], &told["done"]), (&json!(2), &json!(0)));
}

#[test]
fn a_job_that_the_server_forgot_and_an_answer_that_is_no_job_are_errors() {
    let url = serve(|line, count| match line {
        "POST /api/v1/jobs/add" if count == 1 => answer(202, "", "{}"),
        "POST /api/v1/jobs/add" => answer(202, "", &job("pending")),
        _ => answer(404, "", ""),
    });
    let (code, told) = submit(&url, &TWO_JOBS);
    assert_eq!(code, Some(1));
    assert_eq!(
        told["errors"],
        json!({"status: 404": 1, "submit: the answer is no job": 1}),
        "{told}"
    );
}

#[test]
fn a_connection_that_breaks_is_told_by_the_exit_code() {
    let url = serve(|line, _| match line {
        "POST /api/v1/jobs/add" => String::new(),
        _ => answer(200, "", "{}"),
    });
    let (code, told) = submit(&url, &["--api", "add", "--jobs", "1"]);
    assert_eq!(code, Some(4), "{told}");
    let errors = told["errors"].as_object().unwrap();
    assert_eq!(errors.len(), 1, "{told}");
    assert!(
        errors.keys().all(|what| what.starts_with("submit: ")),
        "{told}"
    );
}
