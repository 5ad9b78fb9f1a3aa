//! Who waits for a job is answered when it changes, and not before.

use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use test_support::{Answer, Site};

use crate::support::{Lab, PATIENCE, Ran, assert_problem, open};

/// A script that shows progress, writes to its log, and then waits until somebody opens the pipe `go` to write.
fn waits_for(go: &std::path::Path) -> String {
    format!(
        r#"import json, os, sys
with open(os.environ["BCRL_PROGRESS"], "a") as progress:
    progress.write(json.dumps({{"percent": 40, "message": "waiting"}}) + "\n")
print("first line", file=sys.stderr, flush=True)
open({:?}).close()
print("last\rline", file=sys.stderr)
sys.stderr.write("half")
print(1)
"#,
        go.to_str().unwrap()
    )
}

/// A site whose API says in its log who follows a job.
fn talkative() -> Site {
    Site::new().set("LOG__LEVEL", "info,api=debug")
}

/// A job that runs until it is told to go on.
struct Running {
    lab: Lab,
    uuid: String,
}

impl Running {
    fn start() -> Self {
        let site = talkative();
        let go = site.path("go");
        // A script may be another user.
        mknodat(CWD, &go, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        site.app("app", &waits_for(&go));
        let lab = Lab::with_worker(site);
        let uuid = lab.client.submit("app", "{}");
        test_support::until("progress", PATIENCE, || {
            lab.client.job(&uuid)["progress"].is_object().then_some(())
        });
        Running { lab, uuid }
    }

    fn url(&self) -> String {
        format!("/api/v1/jobs/{}", self.uuid)
    }

    /// Returns once the script goes on.
    fn go(&self) {
        drop(
            std::fs::File::options()
                .write(true)
                .open(self.lab.site.path("go"))
                .unwrap(),
        );
    }

    fn etag(&self) -> String {
        let answer = self.lab.client.get(&self.url());
        answer.header("etag").unwrap().to_owned()
    }

    fn wait(&self, seconds: u32, known: Option<&str>) -> Answer {
        let wait = format!("wait={seconds}");
        let mut headers = vec![("prefer", wait.as_str())];
        headers.extend(known.map(|known| ("if-none-match", known)));
        self.lab.client.send("GET", &self.url(), &headers, None)
    }
}

/// Asks for a waiting job with these headers.
fn ask(lab: &Lab, uuid: &str, headers: &[(&str, &str)]) -> Answer {
    let url = format!("/api/v1/jobs/{uuid}");
    lab.client.send("GET", &url, headers, None)
}

#[test]
fn a_client_that_waits_hears_of_the_end() {
    let running = Running::start();
    let etag = running.etag();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| running.wait(60, Some(&etag)));
        running.go();
        let answer = waiting.join().unwrap();
        assert_eq!(
            (answer.status, answer.header("preference-applied")),
            (200, Some("wait=60"))
        );
        assert_eq!(answer.json()["status"], "done");
    });
    // What has ended is not waited for, whatever the client knows.
    for known in [None, Some(running.etag())] {
        let asked = Instant::now();
        let answer = running.wait(60, known.as_deref());
        let expected = if known.is_some() { 304 } else { 200 };
        assert_eq!(answer.status, expected, "{known:?}");
        assert!(asked.elapsed() < PATIENCE);
    }
}

#[test]
fn where_nothing_changes_the_answer_comes_at_the_end_of_the_wait() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    let etag = ask(&lab, &uuid, &[]).header("etag").unwrap().to_owned();
    let asked = Instant::now();
    let answer = ask(
        &lab,
        &uuid,
        &[
            ("prefer", "respond-async, wait=1"),
            ("if-none-match", &etag),
        ],
    );
    assert!(asked.elapsed() >= Duration::from_secs(1));
    assert_eq!(
        (answer.status, answer.header("preference-applied")),
        (304, Some("wait=1"))
    );
    assert_eq!(answer.header("etag"), Some(&*etag));
    let answer = ask(&lab, &uuid, &[("prefer", "wait=1")]);
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (200, &json!("pending"))
    );
    // Whoever knows something else is told at once.
    let answer = ask(
        &lab,
        &uuid,
        &[("prefer", "wait=60"), ("if-none-match", "W/\"other\"")],
    );
    assert_eq!(answer.status, 200);
    // A wish that cannot be understood is none.
    for wish in [
        "wait=-1",
        "wait=abc",
        "wait=1e9",
        "wait=0",
        "handling=strict",
    ] {
        let answer = ask(&lab, &uuid, &[("prefer", wish), ("if-none-match", &etag)]);
        assert_eq!(answer.status, 304, "{wish}");
    }
}

#[test]
fn a_canceled_job_is_told_to_whoever_waits() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&lab, &uuid, &[("prefer", "wait=60")]));
        let canceled = lab
            .client
            .send("DELETE", &format!("/api/v1/jobs/{uuid}"), &[], None);
        assert_eq!(canceled.status, 200);
        // Whichever came first, the end is what it hears of.
        assert_eq!(waiting.join().unwrap().json()["status"], "canceled");
    });
}

#[test]
fn a_submission_that_waits_is_answered_with_the_job_that_ended() {
    let site = Site::new();
    site.app("echo", "import sys; print(sys.stdin.read())");
    let lab = Lab::with_worker(site);
    let submit = |wish: &str| {
        let headers = [("content-type", "application/json"), ("prefer", wish)];
        let url = "/api/v1/jobs/echo";
        lab.client.send("POST", url, &headers, Some("{\"n\":1}"))
    };
    let answer = submit("wait=60");
    let job = answer.json();
    assert_eq!((answer.status, &job["status"]), (200, &json!("done")));
    assert_eq!(answer.header("preference-applied"), Some("wait=60"));
    assert_eq!(answer.header("location"), job["links"]["self"].as_str());
    assert_eq!(answer.header("retry-after"), None);
    assert_eq!(submit("wait=0").status, 202);
}

#[test]
fn a_submission_that_nobody_runs_is_answered_as_accepted_after_the_wait() {
    let lab = Lab::with(&[open("open")]);
    let headers = [("content-type", "application/json"), ("prefer", "wait=1")];
    let asked = Instant::now();
    let answer = lab
        .client
        .send("POST", "/api/v1/jobs/open", &headers, Some("1"));
    assert!(asked.elapsed() >= Duration::from_secs(1));
    assert_eq!(
        (answer.status, answer.header("preference-applied")),
        (202, Some("wait=1"))
    );
}

#[test]
fn nobody_who_waits_holds_up_a_shutdown() {
    let mut lab = Lab::on(talkative(), &[open("open")]);
    let uuid = lab.client.submit("open", "1");
    let events = format!("/api/v1/jobs/{uuid}/events");
    let client = lab.client.clone();
    let url = format!("/api/v1/jobs/{uuid}");
    let waiting =
        thread::spawn(move || client.try_send("GET", &url, &[("prefer", "wait=60")], None));
    let client = lab.client.clone();
    let following = thread::spawn(move || client.try_send("GET", &events, &[], None));
    test_support::until("somebody who follows", PATIENCE, || {
        lab.api
            .log()
            .contains("somebody follows a job")
            .then_some(())
    });
    lab.end_api();
    // Whoever came in time got an answer; whoever came too late, none.
    if let Ok(answer) = waiting.join().unwrap() {
        assert_eq!(answer.json()["status"], "pending");
    }
    let told = events_of(&following.join().unwrap().unwrap().text());
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].kind, "status");
}

/// One event of a stream.
#[derive(Debug)]
struct Event {
    kind: String,
    id: String,
    text: String,
}

impl Event {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// Reads a stream as the standard says.
fn events_of(text: &str) -> Vec<Event> {
    let blocks = text.split("\n\n").filter(|block| block.contains("event:"));
    let event = |block: &str| {
        let fields = |name: &str| {
            let prefix = format!("{name}: ");
            let lines = block.lines();
            let values = lines.filter_map(|line| line.strip_prefix(&prefix));
            values.map(str::to_owned).collect::<Vec<_>>().join("\n")
        };
        Event {
            kind: fields("event"),
            id: fields("id"),
            text: fields("data"),
        }
    };
    blocks.map(event).collect()
}

fn log_of(events: &[Event]) -> Vec<&str> {
    let logs = events.iter().filter(|event| event.kind == "log");
    logs.map(|event| event.text.as_str()).collect()
}

#[test]
fn events_tell_a_job_from_where_the_client_came_in_to_its_end() {
    let running = Running::start();
    let url = format!("{}/events", running.url());
    let client = &running.lab.client;
    let answer = thread::scope(|scope| {
        let following = scope.spawn(|| client.get(&url));
        test_support::until("somebody who follows", PATIENCE, || {
            let log = running.lab.api.log();
            log.contains("somebody follows a job").then_some(())
        });
        running.go();
        following.join().unwrap()
    });
    assert_eq!(
        (
            answer.header("content-type"),
            answer.header("cache-control")
        ),
        (Some("text/event-stream"), Some("no-cache"))
    );
    let text = answer.text();
    assert!(text.starts_with("retry: "), "{text}");
    let told = events_of(&text);
    let first = &told[0];
    assert_eq!(first.kind, "status");
    assert_eq!(first.json()["status"], "processing");
    assert_eq!(first.json()["progress"]["percent"], 40.0);
    let last = told.last().unwrap();
    assert_eq!(
        (&*last.kind, &last.json()["status"]),
        ("end", &json!("done"))
    );
    assert_eq!(log_of(&told).join("\n"), "first line\nlast\nline\nhalf");

    // Taken up again in the middle: the job as it is, then only what was not told.
    let seen = told.iter().find(|event| event.kind == "log").unwrap();
    let again = client.send("GET", &url, &[("last-event-id", &seen.id)], None);
    let again = events_of(&again.text());
    let kinds: Vec<_> = again.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["status", "log", "end"]);
    assert_eq!(log_of(&again), ["last\nline\nhalf"]);
    // And where all was told, nothing comes, nor ever will.
    let after = client.send("GET", &url, &[("last-event-id", &last.id)], None);
    assert_eq!((after.status, after.text()), (204, String::new()));
    // What is no id of ours is none.
    let other = client.send("GET", &url, &[("last-event-id", "x")], None);
    assert_eq!(log_of(&events_of(&other.text())).len(), 1);
}

#[test]
fn a_long_log_is_told_whole_and_in_pieces() {
    let ran = Ran::script(
        "import sys\nfor n in range(40000): print('line', n, file=sys.stderr)\nsys.stderr.write('x' * 200000)\nprint(1)",
    );
    let answer = ran
        .lab
        .client
        .get(&format!("/api/v1/jobs/{}/events", ran.uuid));
    let told = events_of(&answer.text());
    let log = ran
        .lab
        .client
        .get(&format!("/api/v1/jobs/{}/log", ran.uuid))
        .text();
    let logs = log_of(&told);
    assert!(logs.len() > 5, "{}", logs.len());
    let whole: String = logs
        .iter()
        .map(|piece| match piece.starts_with('x') {
            true => (*piece).to_owned(),
            false => format!("{piece}\n"),
        })
        .collect();
    assert_eq!(whole.replace("\nx", "\n\u{0}x").replace('\u{0}', ""), log);
}

#[test]
fn a_job_that_nobody_knows_has_no_events() {
    let lab = Lab::with(&[open("open")]);
    let unknown = lab
        .client
        .get("/api/v1/jobs/f47ac10b-58cc-4372-a567-0e02b2c3d479/events");
    assert_problem(&unknown, 404, "not-found");
    let uuid = lab.client.submit("open", "1");
    let url = format!("/api/v1/jobs/{uuid}/events");
    let head = lab.client.send("HEAD", &url, &[], None);
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, Some("text/event-stream"))
    );
}
