//! Connections that keep the server waiting, and what becomes of them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use api::config::Patience;
use api::{Config, Server};
use boot::{Clock, Parts, Settings, Shutdown};
use serde_json::json;
use test_support::{Answer, Site, bin};

use crate::support::{
    Lab, PATIENCE, assert_problem, connect, head, open, parse, publish, raw, read_to_end,
};

/// What the server of these tests waits for, in place of many seconds.
const SHORT: Duration = Duration::from_millis(400);
/// What it does not wait for in vain within a test.
const LONG: Duration = Duration::from_secs(600);
/// The time between two bytes of whoever is slow.
const DRIP: Duration = Duration::from_millis(20);

/// An API within this process, whose patience is the test's.
struct Impatient {
    address: SocketAddr,
    shutdown: Shutdown,
    server: Option<JoinHandle<()>>,
    site: Site,
}

impl Impatient {
    fn with(patience: Patience) -> Self {
        let site = Site::new();
        publish(&site, "app1", &[open("open")]);
        let mut settings = Settings {
            data_dir: site.path("data"),
            ..Settings::default()
        };
        settings.api.listen = ([127, 0, 0, 1], 0).into();
        let config = Config {
            patience,
            ..Config::new(&settings).unwrap()
        };
        let parts = Parts {
            clock: Clock::new(settings.timezone),
            executable: bin("bcrl-api"),
        };
        let (shutdown, (tell, told)) = (Shutdown::new(), mpsc::channel());
        let end = shutdown.clone();
        let server = thread::spawn(move || {
            let server = Server::bind(config, &parts).unwrap();
            tell.send(server.address().unwrap()).unwrap();
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(server.run(end)).unwrap();
        });
        Impatient {
            address: told.recv_timeout(PATIENCE).unwrap(),
            shutdown,
            server: Some(server),
            site,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Impatient {
    fn drop(&mut self) {
        self.shutdown.cancel();
        let ended = self.server.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_some_and(|ended| ended.is_ok()));
    }
}

/// Sends one byte after another, again and again, until the server answers; what it says to its end.
#[track_caller]
fn drip(stream: &mut TcpStream, text: &str) -> Answer {
    stream.set_read_timeout(Some(DRIP)).unwrap();
    let begun = Instant::now();
    let mut answer = Vec::new();
    for byte in text.bytes().cycle() {
        assert!(begun.elapsed() < PATIENCE, "nobody says a word");
        let sent = stream.write_all(&[byte]);
        let mut piece = [0; 4096];
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock && sent.is_ok() => {}
            Err(_) => break,
        }
    }
    parse(&answer)
}

/// Reads one answer without a body, and leaves the connection open.
#[track_caller]
fn one_head(stream: &mut TcpStream) -> Answer {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        text.extend(byte);
    }
    parse(&text)
}

fn patient() -> Patience {
    Patience {
        silence: LONG,
        head: LONG,
        idle: LONG,
        body: LONG,
        stall: LONG,
    }
}

#[test]
fn who_connects_and_says_nothing_is_sent_away() {
    let api = Impatient::with(Patience {
        silence: SHORT,
        ..patient()
    });
    let begun = Instant::now();
    assert_eq!(read_to_end(&mut api.connect()), b"");
    assert!(begun.elapsed() >= SHORT);
}

#[test]
fn without_settings_nobody_who_says_nothing_stays_for_longer_than_ten_seconds() {
    let lab = Lab::start(Site::new());
    let begun = Instant::now();
    assert_eq!(read_to_end(&mut connect(&lab.api)), b"");
    let stayed = begun.elapsed();
    assert!((5..12).contains(&stayed.as_secs()), "{stayed:?}");
}

#[test]
fn a_head_that_comes_too_slowly_is_not_waited_for() {
    let api = Impatient::with(Patience {
        head: SHORT,
        ..patient()
    });
    let begun = Instant::now();
    let mut stream = api.connect();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nX: ").unwrap();
    let answer = drip(&mut stream, "x");
    assert_problem(&answer, 408, "request-timeout");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(begun.elapsed() >= SHORT);

    // Nor is the next one on the same connection.
    let mut stream = api.connect();
    stream
        .write_all(head("HEAD /healthz", &[]).as_bytes())
        .unwrap();
    assert_eq!(one_head(&mut stream).status, 200);
    let answer = drip(&mut stream, "x");
    assert_problem(&answer, 408, "request-timeout");
}

#[test]
fn a_connection_on_which_nothing_more_is_asked_is_closed() {
    let api = Impatient::with(Patience {
        idle: SHORT,
        ..patient()
    });
    // Also where another request begins in the same piece, and never goes on.
    for more in ["", "GET /healthz HTT"] {
        let mut stream = api.connect();
        let begun = Instant::now();
        let request = head("HEAD /readyz", &[]) + more;
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(one_head(&mut stream).status, 503);
        assert_eq!(read_to_end(&mut stream), b"", "{more}");
        assert!(begun.elapsed() >= SHORT);
    }
}

#[test]
fn a_body_that_comes_too_slowly_is_not_waited_for_and_makes_no_job() {
    let api = Impatient::with(Patience {
        body: SHORT,
        ..patient()
    });
    for (framing, drops) in [
        ("Content-Length: 100000", " "),
        ("Transfer-Encoding: chunked", "1\r\n \r\n"),
    ] {
        let mut stream = api.connect();
        let headers = ["Content-Type: application/json", framing];
        let head = head("POST /api/v1/jobs/open", &headers);
        stream.write_all(head.as_bytes()).unwrap();
        let answer = drip(&mut stream, drops);
        assert_problem(&answer, 408, "request-timeout");
        assert_eq!(answer.header("connection"), Some("close"), "{framing}");
    }
    assert_eq!(api.site.index(), json!({"jobs": []}));
}

#[test]
fn who_does_not_read_a_large_answer_is_sent_away() {
    const SIZE: usize = 64 << 20;
    let api = Impatient::with(Patience {
        stall: SHORT,
        ..patient()
    });
    let client = test_support::Client::new(&format!("http://{}", api.address));
    let uuid = client.submit("open", "1");
    let log = format!("data/shared/bcrlapi/log/{uuid}.log");
    api.site.put(&log, &"x".repeat(SIZE));
    let path = format!("/api/v1/jobs/{uuid}");
    for url in [format!("{path}/log"), format!("{path}/events")] {
        let mut stream = api.connect();
        let request = head(&format!("GET {url}"), &[]);
        stream.write_all(request.as_bytes()).unwrap();
        // Nothing changes about the job, so this takes its time.
        client.send("GET", &path, &[("prefer", "wait=2")], None);
        let read = read_to_end(&mut stream).len();
        assert!(read < SIZE, "{url}: {read}");
    }
    // Who reads slowly, but reads, gets all of it.
    let mut stream = api.connect();
    let request = head(&format!("GET {path}/log"), &["Connection: close"]);
    stream.write_all(request.as_bytes()).unwrap();
    let mut piece = vec![0; 8 << 20];
    let begun = Instant::now();
    let mut read = 0;
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            length => read += length,
        }
        if begun.elapsed() < 2 * SHORT {
            client.get("/healthz");
        }
    }
    assert!(read > SIZE, "{read}");
}

#[test]
fn a_thousand_slow_connections_keep_nobody_else_waiting() {
    let lab = Lab::with(&[open("open")]);
    let starts = ["", "G", "GET /healthz HTTP/1.1\r\nHost: bcrl\r\nX: "];
    let post = head(
        "POST /api/v1/jobs/open",
        &["Content-Type: application/json", "Content-Length: 9"],
    );
    let slow: Vec<_> = (0..1000)
        .map(|number| {
            let mut stream = connect(&lab.api);
            let start = starts.get(number % 4).copied().unwrap_or(&post);
            stream.write_all(start.as_bytes()).unwrap();
            stream
        })
        .collect();
    for _ in 0..50 {
        assert_eq!(lab.client.get("/healthz").status, 200);
        let uuid = lab.client.submit("open", "1");
        assert_eq!(lab.client.job(&uuid)["status"], "pending");
    }
    drop(slow);
}

#[test]
fn who_comes_when_all_places_are_taken_waits_until_somebody_leaves() {
    let site = Site::new().set("API__CONNECTIONS", "1");
    let lab = Lab::start(site);
    // As many as there are threads may be connected at the least.
    let threads = thread::available_parallelism().unwrap().get();
    let request = head("HEAD /healthz", &[]);
    let mut taken: Vec<_> = (0..threads).map(|_| connect(&lab.api)).collect();
    for stream in &mut taken {
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(one_head(stream).status, 200);
    }
    let mut late = connect(&lab.api);
    late.write_all(request.as_bytes()).unwrap();
    late.set_read_timeout(Some(SHORT)).unwrap();
    let waits = late.read(&mut [0]).unwrap_err();
    assert_eq!(waits.kind(), ErrorKind::WouldBlock);
    taken.pop();
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(one_head(&mut late).status, 200);
}

#[test]
fn who_asks_for_another_protocol_is_answered_at_once_in_this_one() {
    let lab = Lab::with(&[open("open")]);
    let submit = |length: &str| {
        let headers = [
            "Content-Type: application/json",
            "Connection: Upgrade",
            "Upgrade: websocket",
            length,
        ];
        head("POST /api/v1/jobs/open", &headers)
    };
    let begun = Instant::now();
    let answer = raw(&lab.api, submit("Content-Length: 2") + "{}");
    assert_eq!(
        (answer.status, answer.header("connection")),
        (202, Some("close"))
    );
    let answer = raw(&lab.api, submit("X: no length"));
    assert_problem(&answer, 400, "invalid-json");
    let answer = raw(
        &lab.api,
        submit("Transfer-Encoding: chunked") + "2\r\n{}\r\n0\r\n\r\n",
    );
    assert_eq!(answer.status, 202);
    let status = head(
        "GET /healthz",
        &["Connection: Upgrade", "Upgrade: websocket"],
    );
    assert_eq!(raw(&lab.api, status).status, 200);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_head_of_more_than_thirty_two_kibibytes_is_too_large() {
    let lab = Lab::with(&[open("open")]);
    let ask = |url: usize, header: usize| {
        let header = format!("X: {}", "x".repeat(header));
        let request = format!("GET /healthz?{}", "x".repeat(url));
        raw(&lab.api, head(&request, &[&header, "Connection: close"]))
    };
    assert_eq!(ask(10_000, 20_000).status, 200);
    for (url, header) in [(20_000, 20_000), (10, 40_000), (10, 200_000), (40_000, 10)] {
        let answer = ask(url, header);
        assert_problem(&answer, 431, "head-too-large");
        assert_eq!(answer.header("connection"), Some("close"));
    }
}
