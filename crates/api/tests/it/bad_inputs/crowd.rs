//! More clients than there is room for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use test_support::{Site, until};

use crate::support::{Lab, PATIENCE, connect, head, open, parse};

const CROWD: usize = 10_000;
/// So many of them may wait.
const PLACES: usize = 5_000;
/// For ten thousand connections on a machine that does other things as well.
const LONG: Duration = Duration::from_secs(60);

/// Each connection is an open file, and by default a process may have no more than 1,024.
fn allow_many_files() {
    let most = getrlimit(Resource::Nofile).maximum;
    assert!(
        most.is_none_or(|most| most > CROWD as u64 + 500),
        "{most:?} files are too few for this test"
    );
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// The status of the answer that comes, once it is there.
fn status(stream: &mut TcpStream) -> (u16, String) {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    let answer = parse(&text);
    (answer.status, answer.text())
}

#[test]
fn of_ten_thousand_clients_that_would_wait_as_many_do_as_there_are_places() {
    allow_many_files();
    let site = Site::new().set("API__CONNECTIONS", "12000");
    let lab = Lab::on(site, &[open("open")]);
    let uuid = lab.client.submit("open", "1");
    let path = format!("/api/v1/jobs/{uuid}");
    let wait = head(
        &format!("GET {path}"),
        &["Prefer: wait=60", "Connection: close"],
    );
    let begun = Instant::now();
    let mut crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let mut stream = connect(&lab.api);
            stream.write_all(wait.as_bytes()).unwrap();
            stream
        })
        .collect();
    let figure = |name: &str| {
        let text = lab.client.get("/metrics").text();
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.map_or(0, |value| value.trim().parse::<usize>().unwrap())
    };
    until("all of them were heard", LONG, || {
        let waiting = figure("bcrl_waiting_clients ");
        let refused = figure("bcrl_problems_total{kind=\"rate-limited\"} ");
        (waiting == PLACES && refused == CROWD - PLACES).then_some(())
    });
    // Whoever does not wait is answered meanwhile.
    let asked = Instant::now();
    assert_eq!(lab.client.job(&uuid)["status"], "pending");
    assert!(asked.elapsed() < PATIENCE, "{:?}", asked.elapsed());

    let canceled = lab.client.send("DELETE", &path, &[], None);
    assert_eq!(canceled.status, 200);
    let answers: Vec<_> = crowd.iter_mut().map(status).collect();
    let told = |status: u16, word: &str| {
        let told = answers
            .iter()
            .filter(|(is, text)| *is == status && text.contains(word));
        told.count()
    };
    assert_eq!(told(200, "\"status\":\"canceled\""), PLACES);
    assert_eq!(told(429, "/problems/rate-limited"), CROWD - PLACES);
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    until("nobody waits any more", PATIENCE, || {
        (figure("bcrl_waiting_clients ") == 0).then_some(())
    });
}
