//! The whole way over HTTP, on a `bcrl up` of its own with the shipped apps: submits a second, and the time from
//! submit to done; how late a thousand clients that wait are answered (`waiting` alone gives only that); and what a
//! thousand connections that only keep the server waiting cost all others (`slow` alone).

#![expect(
    clippy::unwrap_used,
    reason = "a measurement ends at the first thing that is not as it should be"
)]
#![expect(clippy::print_stdout, reason = "the figures are for people")]
#![expect(
    clippy::disallowed_methods,
    reason = "this process ends jobs as a worker would, and asks the clock as boot does"
)]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use job_core::date::Date;
use job_core::ids::WorkerId;
use shared_folder::finish::{Ended, Measured};
use shared_folder::{Options, SharedFolder};
use test_support::{Client, Site};

/// Jobs for one figure of throughput.
const SUBMITS: usize = 1000;
/// Jobs for the figures of one job at a time.
const JOBS: usize = 100;
/// Clients that wait at once, each for a job of its own.
const WAITING: usize = 1000;
/// Connections that keep the server waiting.
const SLOW: usize = 1000;
/// So long somebody asks beside them: longer than any of them stays.
const ASKING: Duration = Duration::from_secs(15);
/// The pause between the ends of two of their jobs: far more jobs a second than scripts could end.
const BETWEEN_ENDS: Duration = Duration::from_millis(10);

fn main() {
    let asked_for = |name| std::env::args().any(|argument| argument == name);
    if asked_for("waiting") {
        return waiting();
    }
    if asked_for("slow") {
        return beside_slow_ones();
    }
    one_at_a_time();
    for connections in [1, 16] {
        submits(connections);
    }
    waiting();
    beside_slow_ones();
}

/// From the submit to a start and to an end, on an idle site.
fn one_at_a_time() {
    let site = Site::new().with_shipped_apps();
    let up = site.up();
    let client = up.client();
    let body = "{\"num1\":12,\"num2\":23}";
    client.until_status(&client.submit("add", body), "done", Duration::from_secs(10));
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..JOBS {
        let begun = Instant::now();
        let uuid = client.submit("add", body);
        let path = format!("/api/v1/jobs/{uuid}");
        let job = loop {
            let job = client.get(&path).json();
            if job["status"] == "done" {
                break job;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        ends.push(begun.elapsed().as_secs_f64() * 1e3);
        let millis = |name: &str| {
            job[name]
                .as_str()
                .unwrap()
                .parse::<job_core::date::Date>()
                .unwrap()
                .unix_millis()
        };
        starts.push((millis("started_date") - millis("request_date")) as f64);
    }
    tell(
        &format!("submit to start, ms, {JOBS} jobs one at a time"),
        starts,
    );
    tell(
        &format!("submit to done, ms, {JOBS} jobs of `add` one at a time"),
        ends,
    );
}

/// Submits alone, from so many connections at once; nobody runs the jobs meanwhile.
fn submits(connections: usize) {
    let site = Site::new().with_shipped_apps();
    // A worker that publishes its catalog and leaves.
    drop(site.worker());
    let api = site.api();
    api.client().until_api("soc", Duration::from_secs(10));
    let body = "{\"capacity_ah\":2.5,\"initial_soc\":0.9,\"time_s\":[0,1,2],\"current_a\":[1,1,1]}";
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let mut millis: Vec<f64> = std::thread::scope(|scope| {
        let submitting: Vec<_> = (0..connections)
            .map(|_| {
                let (client, next): (Client, _) = (Client::new(&api.url()), &next);
                scope.spawn(move || {
                    let mut millis = Vec::new();
                    while next.fetch_add(1, Ordering::Relaxed) < SUBMITS {
                        let begun = Instant::now();
                        client.submit("soc", body);
                        millis.push(begun.elapsed().as_secs_f64() * 1e3);
                    }
                    millis
                })
            })
            .collect();
        submitting
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    millis.sort_by(f64::total_cmp);
    println!(
        "submits a second, {SUBMITS} over {connections} connections: {:.0}",
        SUBMITS as f64 / seconds
    );
    tell(
        &format!("one submit, ms, over {connections} connections"),
        millis,
    );
}

/// A thousand clients that wait for a thousand jobs, which end one after another: how late each is answered, and what
/// the server's memory comes to.
fn waiting() {
    let site = Site::new().with_shipped_apps();
    drop(site.worker());
    let api = site.api();
    api.client().until_api("add", Duration::from_secs(10));
    let folder = SharedFolder::open(&site.shared(""), Options::default()).unwrap();
    let client = api.client();
    let uuids: Vec<String> = (0..WAITING)
        .map(|_| client.submit("add", "{\"num1\":12,\"num2\":23}"))
        .collect();
    let printed = site.put("printed", "35");
    let address = api.url().replace("http://", "");
    let ends = Mutex::new(HashMap::new());
    let late: Vec<f64> = std::thread::scope(|scope| {
        let wait = |uuid: &String| {
            let mut stream = TcpStream::connect(&address).unwrap();
            let request = format!(
                "GET /api/v1/jobs/{uuid} HTTP/1.1\r\nHost: {address}\r\nPrefer: wait=60\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).unwrap();
            let (uuid, ends) = (uuid.clone(), &ends);
            scope.spawn(move || answers_late(stream, &uuid, ends))
        };
        let waiting: Vec<_> = uuids.iter().map(wait).collect();
        // All of them are heard before the first job ends.
        until_as_many(&client, "bcrl_waiting_clients", WAITING);
        end_all(&folder, &printed, &ends);
        waiting
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    tell(
        &format!(
            "from a job's end to its client's answer, ms, {WAITING} clients of {WAITING} jobs"
        ),
        late,
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", api.pid().as_raw_nonzero()));
    let status = status.unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:"));
    println!(
        "most memory of the API server: {}",
        &peak.unwrap()[6..].trim()
    );
}

/// How long a healthy client waits for answers, alone and beside a thousand that send a byte now and then.
fn beside_slow_ones() {
    let site = Site::new().with_shipped_apps();
    drop(site.worker());
    let api = site.api();
    let client = api.client();
    client.until_api("add", Duration::from_secs(10));
    let uuid = client.submit("add", "{\"num1\":12,\"num2\":23}");
    let path = format!("/api/v1/jobs/{uuid}");
    let ask = || -> Vec<f64> {
        let (begun, mut millis) = (Instant::now(), Vec::new());
        while begun.elapsed() < ASKING {
            let asked = Instant::now();
            assert_eq!(client.get(&path).status, 200);
            millis.push(asked.elapsed().as_secs_f64() * 1e3);
        }
        millis
    };
    tell("answers to one client alone, ms", ask());
    let over = AtomicBool::new(false);
    let address = api.url().replace("http://", "");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| keep_waiting(&address, &over));
        // All of them are connected before anything is measured.
        until_as_many(&client, "bcrl_connections", SLOW);
        tell(&format!("the same beside {SLOW} slow connections"), ask());
        over.store(true, Ordering::Relaxed);
        let again = slow.join().unwrap();
        println!("slow connections that were closed, and opened again: {again}");
    });
}

/// Waits until a figure of the server is at least so much.
fn until_as_many(client: &Client, figure: &str, many: usize) {
    test_support::until(figure, Duration::from_secs(30), || {
        let figures = client.get("/metrics").text();
        let told = figures.lines().find_map(|line| line.strip_prefix(figure));
        let told: f64 = told?.trim().parse().ok()?;
        (told >= many as f64).then_some(())
    });
}

/// Keeps connections of which one half sends a byte a second and the other nothing, and opens another where one is
/// closed; how many times.
fn keep_waiting(address: &str, over: &AtomicBool) -> usize {
    let sends = |number: usize| number.is_multiple_of(2);
    let open = |number| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        if sends(number) {
            let head = b"GET /healthz HTTP/1.1\r\nHost: bcrl\r\nX: ";
            stream.write_all(head).unwrap();
        }
        stream
    };
    let mut slow: Vec<_> = (0..SLOW).map(open).collect();
    let mut again = 0;
    while !over.load(Ordering::Relaxed) {
        for (number, stream) in slow.iter_mut().enumerate() {
            let closed = stream.read(&mut [0; 1024]).is_ok();
            if closed || sends(number) && stream.write_all(b"x").is_err() {
                *stream = open(number);
                again += 1;
            }
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    again
}

/// The delays of one client's answers: it asks on while its job goes on.
fn answers_late(
    mut stream: TcpStream,
    uuid: &str,
    ends: &Mutex<HashMap<String, Instant>>,
) -> Option<f64> {
    let address = stream.peer_addr().unwrap();
    loop {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let heard = Instant::now();
        if answer.contains("\"status\":\"done\"") {
            // Whoever ends the job may be told of it later than its client.
            let ended = loop {
                if let Some(ended) = ends.lock().unwrap().get(uuid) {
                    break *ended;
                }
                std::thread::yield_now();
            };
            return Some(heard.saturating_duration_since(ended).as_secs_f64() * 1e3);
        }
        // It began to run: on to the next change.
        stream = TcpStream::connect(address).unwrap();
        let request = format!(
            "GET /api/v1/jobs/{uuid} HTTP/1.1\r\nHost: {address}\r\nPrefer: wait=60\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
    }
}

/// Claims and ends all jobs, as a worker would.
fn end_all(folder: &SharedFolder, printed: &Path, ends: &Mutex<HashMap<String, Instant>>) {
    let worker = WorkerId::new("bench", Default::default()).unwrap();
    let offer = [("add".parse().unwrap(), None)].into();
    let now = || Date::new(chrono::Utc::now().fixed_offset());
    while let Some(job) = folder.claim(&worker, 1, &offer, now()).unwrap() {
        let measured = Measured::default();
        let ended = folder.finish_done(&job, printed, &measured, now());
        assert_eq!(ended.unwrap(), Ended::Published);
        let uuid = job.uuid.to_string();
        ends.lock().unwrap().insert(uuid, Instant::now());
        std::thread::sleep(BETWEEN_ENDS);
    }
}

fn tell(what: &str, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    let at = |share: f64| figures[((figures.len() - 1) as f64 * share) as usize];
    println!(
        "{what}: p50 {:.1}, p95 {:.1}, p99 {:.1}, most {:.1}",
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
}
