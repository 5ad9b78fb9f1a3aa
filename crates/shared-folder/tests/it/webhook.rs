//! Webhooks' records: they come and go with their jobs, and one process alone changes them.

use std::sync::Arc;

use chrono::TimeDelta;
use job_core::date::Date;
use job_core::files::Request;
use job_core::ids::JobId;
use job_core::webhook::{Standing, Tried, Webhook};
use shared_folder::fsck::{Check, Mode, Outcome, fsck};
use shared_folder::idempotency::Key;
use shared_folder::retain::retain;
use shared_folder::submit::{Accepted, Refused};
use shared_folder::webhook::{Deliveries, Listing};
use shared_folder::{Options, SharedFolder, job_id};

use crate::support::{Site, at};

const URL: &str = "https://example.com/hook";

fn try_to_submit(
    site: &Site,
    url: &str,
    key: Option<&str>,
    second: i64,
) -> Result<Accepted, Refused> {
    let request = Request {
        uuid: job_id(at(second)),
        api: "soc".parse().unwrap(),
        request_date: at(second),
        params: serde_json::value::RawValue::from_string("1".into()).unwrap(),
        idempotency_key: key.map(str::to_owned),
        webhook: Some(url.to_owned()),
        traceparent: None,
    };
    let known_by = |key| Key::new("anonymous", &request.api, key, b"1", Some(url));
    let key = key.map(known_by);
    site.submitter.submit(request, key)
}

fn submit(site: &Site, second: i64) -> JobId {
    try_to_submit(site, URL, None, second).unwrap().uuid()
}

fn deliveries(site: &Site) -> Deliveries {
    site.folder
        .take_deliveries()
        .unwrap()
        .expect("nobody delivers")
}

fn list(deliveries: &Deliveries) -> Listing {
    deliveries.list(None, at(0)).unwrap().unwrap()
}

fn record(uuid: JobId) -> String {
    format!("webhook/{uuid}.json")
}

/// The names in `webhook/` but for that of the lock.
fn names(site: &Site) -> Vec<String> {
    let names = site.names("webhook").into_iter();
    names.filter(|name| name != ".lock").collect()
}

fn failed() -> Tried {
    Tried::Failed {
        reason: "refused".into(),
    }
}

#[test]
fn a_job_with_a_webhook_has_its_record_from_the_start() {
    let site = Site::new();
    site.submit("soc", 0);
    let uuid = submit(&site, 1);
    assert_eq!(names(&site), [format!("{uuid}.json")]);
    assert_eq!(
        site.read(&record(uuid)),
        format!(
            r#"{{"url":"{URL}","event_id":"evt_{uuid}","tries":0,"next_date":"{}"}}"#,
            at(1)
        )
    );
    let request = site.read(&format!("request/{uuid}.json"));
    assert!(
        request.ends_with(&format!(r#","webhook":"{URL}"}}"#)),
        "{request}"
    );
    assert_eq!(site.folder.webhooks().unwrap(), [uuid]);
}

#[test]
fn a_refused_submission_leaves_no_record() {
    let site = Site::with(Options {
        queue_limit: 1,
        ..Options::default()
    });
    let uuid = submit(&site, 0);
    assert!(try_to_submit(&site, URL, None, 1).is_err());
    assert_eq!(names(&site), [format!("{uuid}.json")]);
}

#[test]
fn another_webhook_under_one_key_is_another_submission() {
    let site = Site::new();
    let first = try_to_submit(&site, URL, Some("a"), 0).unwrap();
    let again = try_to_submit(&site, URL, Some("a"), 1).unwrap();
    assert_eq!(again, Accepted::Again(first.uuid()));
    for other in [
        try_to_submit(&site, "https://example.com/other", Some("a"), 2),
        site.submit_with_key("a", "1", 3),
    ] {
        assert!(matches!(other, Err(Refused::KeyReused)), "{other:?}");
    }
    assert_eq!(names(&site), [format!("{}.json", first.uuid())]);
}

#[test]
fn what_a_crash_cut_off_is_completed_with_its_record() {
    let site = Site::new();
    let first = try_to_submit(&site, URL, Some("a"), 0).unwrap().uuid();
    // The records were durable, and the request was not.
    std::fs::remove_file(site.path(&format!("request/{first}.json"))).unwrap();
    std::fs::write(site.path("request/status.json"), "{\"jobs\":[]}").unwrap();
    let second = try_to_submit(&site, URL, Some("a"), 1).unwrap();
    assert_eq!(second, Accepted::New(first));
    let webhook = site.folder.webhook(first).unwrap().unwrap();
    assert_eq!(webhook.event_id, format!("evt_{first}"));
}

#[test]
fn one_process_delivers_and_the_next_once_that_one_has_ended() {
    let site = Site::new();
    let other = SharedFolder::open(site.folder.root(), Options::default()).unwrap();
    let other = Arc::new(other);
    let first = deliveries(&site);
    assert!(other.take_deliveries().unwrap().is_none());
    drop(first);
    assert!(other.take_deliveries().unwrap().is_some());
}

#[test]
fn an_ended_job_is_told_and_what_came_of_it_is_noted() {
    let site = Site::new();
    let uuid = submit(&site, 0);
    let deliveries = deliveries(&site);
    assert_eq!(list(&deliveries).records, [uuid].into());
    let ended = || deliveries.ended_among([uuid].into_iter()).unwrap();
    assert!(ended().is_empty() && deliveries.ended(uuid, at(1)).unwrap().is_none());
    site.folder.cancel(uuid, at(1)).unwrap();
    assert_eq!(ended(), [uuid]);
    assert!(deliveries.ended(uuid, at(1)).unwrap().is_some());

    let webhook = deliveries.read(uuid, at(2)).unwrap().unwrap();
    let webhook = webhook.after(failed(), &[TimeDelta::minutes(5)], at(2));
    deliveries.note(uuid, &webhook).unwrap();
    assert_eq!(deliveries.read(uuid, at(3)).unwrap(), Some(webhook.clone()));

    assert!(site.folder.replay_webhook(uuid).unwrap());
    assert_eq!(list(&deliveries).replays, [uuid]);
    let anew = deliveries.start_anew(uuid, at(4)).unwrap().unwrap();
    assert_eq!((anew.tries, anew.standing()), (0, Standing::Open(at(4))));
    assert_eq!(anew.event_id, webhook.event_id);
    assert_eq!(list(&deliveries).replays, []);
    let nobodys = "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap();
    assert!(!site.folder.replay_webhook(nobodys).unwrap());
}

#[test]
fn the_records_are_listed_again_only_where_something_may_have_changed() {
    let site = Site::new();
    let deliveries = deliveries(&site);
    let uuid = submit(&site, 0);
    let young = deliveries.list(None, at(0)).unwrap().unwrap();
    assert_eq!(
        young.stamp, None,
        "it may change within one tick of its clock"
    );
    let later: Date = "2100-01-01T00:00:00Z".parse().unwrap();
    let stamp = deliveries.list(None, later).unwrap().unwrap().stamp;
    assert!(deliveries.list(stamp.as_ref(), later).unwrap().is_none());
    site.folder.replay_webhook(uuid).unwrap();
    let changed = deliveries.list(stamp.as_ref(), later).unwrap();
    assert_eq!(changed.unwrap().replays, [uuid]);
}

#[test]
fn a_record_that_is_none_is_put_aside_and_made_again() {
    let site = Site::new();
    let deliveries = deliveries(&site);
    let [text, folder, link] = [0, 1, 2].map(|second| submit(&site, second));
    let path = |uuid| site.path(&record(uuid));
    std::fs::write(path(text), "{\"url\":").unwrap();
    std::fs::remove_file(path(folder)).unwrap();
    std::fs::create_dir(path(folder)).unwrap();
    std::fs::remove_file(path(link)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path(link)).unwrap();
    for uuid in [text, folder, link] {
        let webhook = deliveries.read(uuid, at(9)).unwrap().unwrap();
        assert_eq!(webhook, Webhook::new(uuid, URL.into(), at(9)));
        assert_eq!(deliveries.read(uuid, at(10)).unwrap(), Some(webhook));
    }
    assert_eq!(site.folder.quarantined().unwrap().len(), 3);
}

#[test]
fn retention_takes_the_record_with_its_job() {
    let site = Site::new();
    let deliveries = deliveries(&site);
    let [ended, waiting] = [0, 1].map(|second| submit(&site, second));
    site.folder.cancel(ended, at(2)).unwrap();
    let webhook = deliveries.read(ended, at(2)).unwrap().unwrap();
    site.folder.replay_webhook(ended).unwrap();
    // A crash left a record whose request never came.
    let nobodys = job_id(at(0));
    std::fs::copy(site.path(&record(ended)), site.path(&record(nobodys))).unwrap();
    for days in 0..=7 {
        retain(&site.folder, at(0).plus(TimeDelta::days(days))).unwrap();
        assert!(site.path(&record(ended)).exists(), "after {days} days");
    }
    retain(&site.folder, at(0).plus(TimeDelta::days(8))).unwrap();
    assert_eq!(names(&site), [format!("{waiting}.json")]);
    // A try that was under way meanwhile brings nothing back.
    deliveries.note(ended, &webhook).unwrap();
    assert_eq!(names(&site), [format!("{waiting}.json")]);
}

#[test]
fn fsck_knows_the_records_and_removes_those_of_no_job() {
    let site = Site::new();
    let uuid = submit(&site, 0);
    let _deliveries = deliveries(&site);
    site.folder.replay_webhook(uuid).unwrap();
    let check = |mode| {
        let root = site.folder.root();
        fsck(root, Options::default(), mode, at(9), &mut |_, _| {}).unwrap()
    };
    assert_eq!(check(Mode::Check).findings, []);
    let nobodys = job_id(at(0));
    std::fs::copy(site.path(&record(uuid)), site.path(&record(nobodys))).unwrap();
    let findings = check(Mode::Repair).findings;
    let found: Vec<_> = findings
        .iter()
        .map(|found| (found.check, found.outcome, found.job))
        .collect();
    assert_eq!(found, [(Check::Leftover, Outcome::Mended, Some(nobodys))]);
    assert_eq!(names(&site).len(), 2);
}
