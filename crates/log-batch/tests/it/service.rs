//! The program as it runs on a host.

use std::time::Duration;

use job_core::date::Date;
use test_support::{Postgresql, Process, Site, until};

use crate::support::{ago, clock, put_day, rows_of, run};

/// A request is picked up within so long.
const PICKED_UP: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(30);

fn sqlite(site: &Site) -> String {
    format!("sqlite:{}", site.path("data/bcrl.sqlite").display())
}

#[test]
fn at_its_start_it_counts_what_is_due_and_then_waits_for_half_past_midnight_of_the_zone() {
    for host in ["UTC", "America/New_York", "Asia/Tokyo"] {
        let site = Site::new().with("TZ", host);
        put_day(&site.path("data/Log"), ago(1), 10);
        let mut batch = Process::start(&site, "bcrl-log-batch", &[]);
        let next = &batch.says("the log batch is ready")["next"];
        let next: Date = next.as_str().unwrap().parse().unwrap();
        let told = next.to_string();
        assert!(told.ends_with("T00:30:00.000+09:00"), "{host}: {told}");
        let wait = next.since(clock().now());
        assert!(wait <= chrono::TimeDelta::days(1), "{host}: {told}");
        batch.says("the day has a log file");
        batch.says("the day is counted");
        assert_eq!(batch.stop(SOON).code(), Some(0));
        assert_eq!(rows_of(&sqlite(&site)).len(), 6);
    }
}

#[test]
fn a_request_is_picked_up_within_ten_seconds() {
    let site = Site::new();
    put_day(&site.path("data/Log"), ago(0), 10);
    let mut batch = Process::start(&site, "bcrl-log-batch", &[]);
    batch.says("the day has no log file");
    run(async || {
        let db = log_db::LogDb::new(&sqlite(&site).parse().unwrap());
        db.request(ago(0), clock().now()).await.unwrap();
    });
    until("the day is counted", PICKED_UP, || {
        let rows = rows_of(&sqlite(&site));
        (rows.len() == 6).then_some(())
    });
    assert_eq!(batch.stop(SOON).code(), Some(0));
}

#[test]
fn a_database_that_is_away_at_the_start_or_later_is_waited_for() {
    let mut server = Postgresql::start();
    let url = server.url();
    let site = Site::new().set("DATABASE_URL", &url);
    put_day(&site.path("data/Log"), ago(1), 100);
    server.end();
    let mut batch = Process::start(&site, "bcrl-log-batch", &[]);
    batch.says("the log batch cannot work now; it tries again until it can");
    server.begin();
    batch.says("the log batch works again");
    let rows = rows_of(&url);
    assert_eq!(rows.iter().map(|row| row.access_count).sum::<u64>(), 100);

    server.end();
    put_day(&site.path("data/Log"), ago(1), 150);
    until("the loss is noticed", SOON, || {
        (batch.log().matches("cannot work now").count() == 2).then_some(())
    });
    server.begin();
    until("it works again", SOON, || {
        (batch.log().matches("works again").count() == 2).then_some(())
    });
    run(async || {
        let db = log_db::LogDb::new(&url.parse().unwrap());
        db.request(ago(1), clock().now()).await.unwrap();
    });
    until("the day is exact", PICKED_UP, || {
        let count: u64 = rows_of(&url).iter().map(|row| row.access_count).sum();
        (count == 150).then_some(())
    });
    assert_eq!(batch.stop(SOON).code(), Some(0));
}

#[test]
fn everything_in_one_process_counts_as_well() {
    let site = Site::new();
    put_day(&site.path("data/Log"), ago(1), 10);
    let mut up = site.up();
    up.says("the day is counted");
    assert_eq!(up.stop(SOON).code(), Some(0));
    assert_eq!(rows_of(&sqlite(&site)).len(), 6);
}
