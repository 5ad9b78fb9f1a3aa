//! The whole way over HTTP, on a `bcrl up` of its own with the shipped apps: submits a second, and the time from
//! submit to done.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement ends at the first thing that is not as it should be"
)]
#![expect(clippy::print_stdout, reason = "the figures are for people")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use test_support::{Client, Site};

/// Jobs for one figure of throughput.
const SUBMITS: usize = 1000;
/// Jobs for the figures of one job at a time.
const JOBS: usize = 100;

fn main() {
    one_at_a_time();
    for connections in [1, 16] {
        submits(connections);
    }
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
