//! A submission that is sent again under its key makes no second job.

use std::sync::Arc;

use chrono::TimeDelta;
use shared_folder::submit::{Accepted, Refused, Submitter};
use shared_folder::{Options, SharedFolder};

use crate::support::{Site, at};

fn again(accepted: Accepted) -> bool {
    matches!(accepted, Accepted::Again(_))
}

/// The only record of a key.
fn record(site: &Site) -> String {
    let names = site.names("idempotency");
    assert_eq!(names.len(), 1, "{names:?}");
    format!("idempotency/{}", names[0])
}

#[test]
fn a_key_makes_one_job_however_often_it_is_sent() {
    let site = Site::new();
    let first = site.submit_with_key("a", "{\"n\":1}", 0).unwrap();
    let second = site.submit_with_key("a", "{\"n\":1}", 1).unwrap();
    assert!(!again(first) && again(second));
    assert_eq!(first.uuid(), second.uuid());
    let other = site.submit_with_key("a", "{\"n\":2}", 2);
    assert!(matches!(other, Err(Refused::KeyReused)), "{other:?}");
    assert!(!again(site.submit_with_key("b", "{\"n\":1}", 3).unwrap()));
    assert_eq!(site.folder.queue().unwrap().len(), 2);
    assert!(
        !site
            .names("idempotency")
            .iter()
            .any(|name| name.starts_with('.'))
    );
    assert!(
        !site
            .names("request")
            .iter()
            .any(|name| name.starts_with(".tmp"))
    );
}

#[test]
fn of_many_at_once_through_two_processes_one_makes_the_job() {
    let site = Site::new();
    let other = Arc::new(SharedFolder::open(site.folder.root(), Options::default()).unwrap());
    let other = Submitter::start(other);
    let uuids = std::thread::scope(|scope| {
        let send = |number: i64| {
            let (site, other) = (&site, &other);
            scope.spawn(move || {
                if number % 2 == 0 {
                    return site.submit_with_key("a", "1", number).unwrap().uuid();
                }
                let api: job_core::ids::ApiName = "soc".parse().unwrap();
                let key = shared_folder::idempotency::Key::new("anonymous", &api, "a", b"1", None);
                let request = job_core::files::Request {
                    uuid: shared_folder::job_id(at(number)),
                    api,
                    request_date: at(number),
                    params: serde_json::value::RawValue::from_string("1".into()).unwrap(),
                    idempotency_key: None,
                    webhook: None,
                    traceparent: None,
                };
                other.submit(request, Some(key)).unwrap().uuid()
            })
        };
        let sent: Vec<_> = (0..40).map(send).collect();
        let uuids = sent.into_iter().map(|sent| sent.join().unwrap());
        uuids.collect::<std::collections::HashSet<_>>()
    });
    assert_eq!(uuids.len(), 1);
    assert_eq!(site.folder.queue().unwrap().len(), 1);
}

#[test]
fn what_a_crash_left_behind_a_key_is_completed_as_the_same_job() {
    let site = Site::new();
    let first = site.submit_with_key("a", "1", 0).unwrap().uuid();
    // The record was durable, and the request was not.
    std::fs::remove_file(site.path(&format!("request/{first}.json"))).unwrap();
    std::fs::write(site.path("request/status.json"), "{\"jobs\":[]}").unwrap();
    assert_eq!(
        site.submit_with_key("a", "1", 1).unwrap(),
        Accepted::New(first)
    );
    assert_eq!(site.claim(1, 2).uuid, first);
    assert!(again(site.submit_with_key("a", "1", 3).unwrap()));
}

#[test]
fn a_known_key_is_answered_even_where_the_queue_is_full() {
    let site = Site::with(Options {
        queue_limit: 1,
        ..Options::default()
    });
    let first = site.submit_with_key("a", "1", 0).unwrap().uuid();
    assert!(site.submit_with_key("b", "1", 1).is_err());
    assert_eq!(site.submit_with_key("a", "1", 2).unwrap().uuid(), first);
    record(&site);
}

#[test]
fn a_record_that_is_damaged_is_put_aside_and_the_key_is_free() {
    let site = Site::new();
    site.submit_with_key("a", "1", 0).unwrap();
    let path = site.path(&record(&site));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "{").unwrap();
    assert!(!again(site.submit_with_key("a", "1", 1).unwrap()));
    assert_eq!(site.folder.quarantined().unwrap().len(), 1);
    assert!(again(site.submit_with_key("a", "1", 2).unwrap()));
}

#[test]
fn a_key_is_kept_as_long_as_its_job() {
    let site = Site::new();
    let uuid = site.submit_with_key("a", "1", 0).unwrap().uuid();
    let job = site.claim(1, 1);
    site.finish(&job, "1", 2);
    let path = site.path(&record(&site));
    let written = std::time::UNIX_EPOCH
        + std::time::Duration::from_millis(u64::try_from(at(0).unix_millis()).unwrap());
    let file = std::fs::File::open(&path).unwrap();
    file.set_modified(written).unwrap();
    let day = |days| at(0).plus(TimeDelta::days(days));
    for days in 0..=7 {
        shared_folder::retain::retain(&site.folder, day(days)).unwrap();
        assert!(path.exists(), "after {days} days");
    }
    shared_folder::retain::retain(&site.folder, day(8)).unwrap();
    assert!(site.folder.job(uuid, day(8)).unwrap().is_none());
    assert!(!path.exists());
    let second = 8 * 24 * 60 * 60 + 1;
    assert!(!again(site.submit_with_key("a", "1", second).unwrap()));
}
