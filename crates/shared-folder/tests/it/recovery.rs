//! What a crash or somebody's hand left behind.

use std::time::Duration;

use job_core::catalog::Catalog;
use job_core::files::{Heartbeat, RunningJob};
use job_core::lease::Beat;
use job_core::status::{State, Status};
use shared_folder::claim::ClaimedJob;
use shared_folder::finish::Ended;
use shared_folder::heartbeat::Presence;
use shared_folder::sweep::{Duty, Sweeper, settle_at_start};

use crate::support::{Site, at, offer, worker};

const BEAT: Beat = Beat {
    lease: Duration::from_secs(60),
    heartbeat: Duration::from_secs(10),
    sweep: Duration::from_secs(15),
};

fn sweep(site: &Site, sweeper: &mut Sweeper, second: u64) -> usize {
    let now = at(i64::try_from(second).unwrap());
    sweeper
        .run_once(
            &site.folder,
            &Catalog::default(),
            now,
            Duration::from_secs(second),
        )
        .unwrap()
}

fn beat(by: u128, counter: u64, jobs: &[&ClaimedJob]) -> Heartbeat {
    Heartbeat {
        worker: worker(by),
        host: "app1".into(),
        boot: shared_folder::heartbeat::boot_id(),
        pid: 1,
        version: "0".into(),
        counter,
        slots: 1,
        jobs: jobs
            .iter()
            .map(|job| RunningJob {
                uuid: job.uuid,
                token: job.token,
            })
            .collect(),
        apis: Vec::new(),
        problems: Vec::new(),
    }
}

#[test]
fn a_job_is_rescued_once_its_worker_was_silent_for_a_lease() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let presence = Presence::announce(site.folder.clone(), worker(1)).unwrap();
    let job = site.claim(1, 0);
    let mut sweeper = Sweeper::new(Duty::Rescue, BEAT);
    for second in (0..=60).step_by(15) {
        presence.beat(&beat(1, second, &[&job])).unwrap();
        assert_eq!(sweep(&site, &mut sweeper, second), 0);
    }
    for second in (75..=120).step_by(15) {
        assert_eq!(
            sweep(&site, &mut sweeper, second),
            0,
            "the lease is not over after {second} s"
        );
    }
    assert_eq!(sweep(&site, &mut sweeper, 121), 1);
    assert_eq!(site.status(uuid, 121), Status::Pending);
    assert_eq!(site.claim(2, 122).lease.lost, 1);
    presence.beat(&beat(1, 99, &[&job])).unwrap();
    assert!(!site.folder.is_still_mine(&job).unwrap());
}

#[test]
fn a_process_of_this_machine_that_has_ended_is_not_waited_for() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let presence = Presence::announce(site.folder.clone(), worker(1)).unwrap();
    let job = site.claim(1, 0);
    presence.beat(&beat(1, 1, &[&job])).unwrap();
    let mut sweeper = Sweeper::new(Duty::Rescue, BEAT);
    assert_eq!(sweep(&site, &mut sweeper, 1), 0);
    // The kernel closes a dead process's files; nothing else tells of it.
    drop(presence);
    assert_eq!(sweep(&site, &mut sweeper, 2), 1);
    assert_eq!(site.status(uuid, 2), Status::Pending);
    assert!(site.names("workers").is_empty());
}

#[test]
fn a_job_fails_when_its_workers_died_as_often_as_is_allowed() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let mut sweeper = Sweeper::new(Duty::Rescue, BEAT);
    for n in 1..=3 {
        let start = u64::try_from(n).unwrap() * 1000;
        site.claim(n, i64::try_from(start).unwrap());
        sweep(&site, &mut sweeper, start);
        assert_eq!(sweep(&site, &mut sweeper, start + 61), 1);
    }
    let view = site.folder.job(uuid, at(4000)).unwrap().unwrap();
    let State::Failed {
        failure: Some(failure),
        ..
    } = view.state
    else {
        panic!("{:?}", view.state)
    };
    assert_eq!(failure.reason.as_str(), "worker_lost");
    assert_eq!(view.receipt.unwrap().attempts.len(), 3);
}

#[test]
fn a_lost_index_is_rebuilt_from_the_facts_in_order() {
    let site = Site::new();
    let jobs: Vec<_> = (0..20).map(|n| site.submit("soc", n)).collect();
    let done = site.claim(1, 30);
    site.finish(&done, "1", 31);
    site.folder.cancel(jobs[1], at(32)).unwrap();
    let whole = site.read("request/status.json");
    for damage in [
        None,
        Some(&b""[..]),
        Some(b"{\"jobs\":[\n{\"uu"),
        Some(b"\xff\xfe{\0"),
        Some(b"null"),
    ] {
        std::fs::remove_file(site.path("request/.status.prev.json")).unwrap();
        match damage {
            None => std::fs::remove_file(site.path("request/status.json")).unwrap(),
            Some(bytes) => std::fs::write(site.path("request/status.json"), bytes).unwrap(),
        }
        settle_at_start(&site.folder, at(40)).unwrap();
        assert_eq!(site.read("request/status.json"), whole, "{damage:?}");
        // A commit, so that there is a last generation to remove.
        site.folder.give_back(&site.claim(9, 41), at(41)).unwrap();
    }
    let aside = site.names("quarantine");
    assert_eq!(
        aside
            .iter()
            .filter(|name| name.ends_with("status.json"))
            .count(),
        4,
        "{aside:?}"
    );
}

#[test]
fn a_sweep_mends_the_index_before_anybody_commits() {
    let site = Site::new();
    let jobs: Vec<_> = (0..3).map(|n| site.submit("soc", n)).collect();
    let whole = site.read("request/status.json");
    let mut sweeper = Sweeper::new(Duty::Settle, BEAT);
    for damage in ["", "{\"jobs\":[\n{\"uu", "null"] {
        std::fs::write(site.path("request/status.json"), damage).unwrap();
        assert_eq!(
            site.status(jobs[0], 9),
            Status::Pending,
            "readers have the last good copy"
        );
        sweep(&site, &mut sweeper, 10);
        assert_eq!(site.read("request/status.json"), whole, "{damage:?}");
    }
    let with_a_bad_entry = whole.replace("[\n", "[\nnull,\n");
    std::fs::write(site.path("request/status.json"), with_a_bad_entry).unwrap();
    sweep(&site, &mut sweeper, 11);
    assert_eq!(site.read("request/status.json"), whole);
}

#[test]
fn the_last_good_generation_keeps_what_the_facts_do_not_tell() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let noted = site
        .read("request/status.json")
        .replace("\"api\"", "\"note\":\"電池A\",\"api\"");
    std::fs::write(site.path("request/status.json"), noted).unwrap();
    site.submit("soc", 1);
    site.submit("soc", 2);
    std::fs::write(site.path("request/status.json"), "{").unwrap();
    assert_eq!(
        site.folder.cancel(uuid, at(3)).unwrap(),
        shared_folder::finish::Cancel::Canceled
    );
    let text = site.read("request/status.json");
    assert!(text.contains(r#""note":"電池A""#), "{text}");
    assert_eq!(text.lines().count(), 5, "three jobs: {text}");
}

#[test]
fn a_crash_between_the_facts_and_the_index_is_settled() {
    let site = Site::new();
    let (a, b) = (site.submit("soc", 0), site.submit("soc", 1));
    let before = site.read("request/status.json");
    let job = site.claim(1, 2);
    site.finish(&job, "1", 3);
    site.folder.cancel(b, at(3)).unwrap();
    // As if the process had died before each commit.
    std::fs::write(site.path("request/status.json"), &before).unwrap();
    assert_eq!(
        (site.status(a, 4), site.status(b, 4)),
        (Status::Done, Status::Canceled),
        "readers see the facts"
    );
    assert_eq!(settle_at_start(&site.folder, at(5)).unwrap(), 2);
    assert_eq!(settle_at_start(&site.folder, at(6)).unwrap(), 0);
    assert!(!site.read("request/status.json").contains("pending"));
}

#[test]
fn a_third_partys_end_is_shown_once_a_receipt_was_written_for_it() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let text = site.read("request/status.json").replace("pending", "done");
    std::fs::write(site.path("request/status.json"), text).unwrap();
    std::fs::write(
        site.path(&format!("response/{uuid}.json")),
        "{\"by\":\"hand\"}",
    )
    .unwrap();
    assert_eq!(site.status(uuid, 1), Status::Done);
    assert!(site.path(&format!("receipt/{uuid}.json")).exists());
}

#[test]
fn a_third_party_that_says_done_without_a_result_has_failed() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let text = site.read("request/status.json").replace("pending", "done");
    std::fs::write(site.path("request/status.json"), text).unwrap();
    let State::Failed {
        failure: Some(failure),
        ..
    } = site.folder.job(uuid, at(1)).unwrap().unwrap().state
    else {
        panic!()
    };
    assert_eq!(failure.reason.as_str(), "result_missing");
}

#[test]
fn bad_entries_go_to_quarantine_alone() {
    let site = Site::new();
    let (a, b) = (site.submit("soc", 0), site.submit("soc", 1));
    let text = site
        .read("request/status.json")
        .replace("[\n", "[\nnull,\n{\"uuid\":\"../../x\"},\n");
    std::fs::write(site.path("request/status.json"), text).unwrap();
    site.folder.cancel(a, at(2)).unwrap();
    assert_eq!(
        (site.status(a, 3), site.status(b, 3)),
        (Status::Canceled, Status::Pending)
    );
    assert_eq!(
        site.names("quarantine")
            .iter()
            .filter(|name| name.ends_with("entry.json"))
            .count(),
        2
    );
}

#[test]
fn a_request_that_was_broken_by_hand_fails_its_job_and_no_other() {
    let site = Site::new();
    let (broken, gone, sound) = (
        site.submit("soc", 0),
        site.submit("soc", 1),
        site.submit("soc", 2),
    );
    let path = site.path(&format!("request/{broken}.json"));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "{\"uuid\":1").unwrap();
    std::fs::remove_file(site.path(&format!("request/{gone}.json"))).unwrap();
    assert_eq!(site.claim(1, 3).uuid, sound);
    for (uuid, reason) in [(broken, "invalid_request"), (gone, "request_missing")] {
        let State::Failed {
            failure: Some(failure),
            ..
        } = site.folder.job(uuid, at(4)).unwrap().unwrap().state
        else {
            panic!()
        };
        assert_eq!(failure.reason.as_str(), reason);
    }
}

#[test]
fn links_and_pipes_are_never_followed_or_waited_for() {
    let site = Site::new();
    let (a, b) = (site.submit("soc", 0), site.submit("soc", 1));
    std::os::unix::fs::symlink("/etc/hostname", site.path(&format!("response/{a}.json"))).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        site.path(&format!("response/{b}.json")),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    assert!(site.folder.response(a).is_err() && site.folder.response(b).is_err());
    assert_eq!(settle_at_start(&site.folder, at(2)).unwrap(), 2);
    assert_eq!(
        (site.status(a, 3), site.status(b, 3)),
        (Status::Pending, Status::Pending)
    );
}

#[test]
fn a_lease_that_cannot_be_read_holds_up_nobody() {
    let site = Site::new();
    let (first, second, third) = (
        site.submit("soc", 0),
        site.submit("soc", 1),
        site.submit("soc", 2),
    );
    std::fs::create_dir(site.path(&format!("lease/{first}.json"))).unwrap();
    std::fs::write(site.path(&format!("lease/{second}.json")), "{").unwrap();
    std::fs::create_dir(site.path(&format!("progress/{third}.json"))).unwrap();
    for uuid in [first, second, third] {
        assert_eq!(site.status(uuid, 3), Status::Pending);
        let job = site.claim(1, 4);
        assert_eq!((job.uuid, job.lease.attempt), (uuid, 1));
        assert_eq!(site.status(uuid, 5), Status::Processing);
        site.finish(&job, "1", 6);
        assert_eq!(site.status(uuid, 7), Status::Done);
    }
    let aside = site.names("quarantine");
    assert_eq!(
        aside
            .iter()
            .filter(|name| name.ends_with(".reason"))
            .count(),
        2,
        "{aside:?}"
    );
}

#[test]
fn an_index_that_is_gone_is_answered_from_the_last_good_copy() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    assert_eq!(site.folder.queue().unwrap().len(), 1);
    std::fs::remove_file(site.path("request/status.json")).unwrap();
    assert_eq!(site.folder.queue().unwrap().len(), 1);
    assert_eq!(site.status(uuid, 1), Status::Pending);
    site.submit("soc", 2);
    assert_eq!(site.folder.queue().unwrap().len(), 2);
}

#[test]
fn lists_show_no_end_that_has_no_receipt() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let by_hand = "done\",\"finished_date\":\"2026-11-20T12:00:01+09:00";
    let text = site.read("request/status.json").replace("pending", by_hand);
    std::fs::write(site.path("request/status.json"), text).unwrap();
    let entries = vec![site.folder.queue().unwrap().get(uuid).unwrap().clone()];
    assert_eq!(entries[0].status(), Status::Done);
    let shown = site.folder.settled(entries, at(2)).unwrap();
    assert_eq!(shown[0].status(), Status::Failed, "there is no result");
    assert_eq!(site.status(uuid, 3), Status::Failed);
}

#[test]
fn a_folder_in_place_of_a_request_or_receipt_holds_up_nobody() {
    let site = Site::new();
    let known = site.submit("soc", 0);
    let unknown = shared_folder::job_id(at(1));
    let other = site.submit("soc", 2);
    std::fs::create_dir(site.path(&format!("receipt/{known}.json"))).unwrap();
    std::fs::create_dir(site.path(&format!("request/{unknown}.json"))).unwrap();
    std::fs::remove_file(site.path(&format!("request/{other}.json"))).unwrap();
    std::fs::create_dir(site.path(&format!("request/{other}.json"))).unwrap();
    let mut sweeper = Sweeper::new(Duty::Settle, BEAT);
    sweep(&site, &mut sweeper, 3);
    assert_eq!(site.claim(1, 4).uuid, known, "the receipt was put aside");
    assert!(
        site.folder
            .claim(&worker(1), 1, &offer(), at(5))
            .unwrap()
            .is_none()
    );
    for uuid in [unknown, other] {
        assert_eq!(site.status(uuid, 6), Status::Failed);
        let receipt = site.read(&format!("receipt/{uuid}.json"));
        assert!(receipt.contains("invalid_request"), "{receipt}");
    }
}

#[test]
fn a_request_that_is_another_jobs_is_not_run() {
    let site = Site::new();
    let (first, second) = (site.submit("soc", 0), site.submit("soc", 1));
    let (one, two) = (
        site.path(&format!("request/{first}.json")),
        site.path(&format!("request/{second}.json")),
    );
    std::fs::remove_file(&one).unwrap();
    std::fs::copy(&two, &one).unwrap();
    assert_eq!(site.claim(1, 2).uuid, second);
    let receipt = site.read(&format!("receipt/{first}.json"));
    assert!(receipt.contains(&second.to_string()), "{receipt}");
}

#[test]
fn a_job_that_is_settled_by_its_receipt_leaves_nothing_behind() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let job = site.claim(1, 1);
    let lease = site.read(&format!("lease/{uuid}.json"));
    let before = site.read("request/status.json");
    site.finish(&job, "1", 2);
    // As after a kill between the receipt and what comes behind it.
    std::fs::write(site.path(&format!("lease/{uuid}.json")), lease).unwrap();
    std::fs::write(site.path(&format!("progress/{uuid}.json")), "{}").unwrap();
    std::fs::write(site.path("request/status.json"), before).unwrap();
    settle_at_start(&site.folder, at(3)).unwrap();
    assert_eq!(site.status(uuid, 4), Status::Done);
    assert_eq!(
        (site.names("lease"), site.names("progress")),
        (vec![], vec![])
    );
}

#[test]
fn a_run_whose_receipt_failed_the_last_time_ends_its_job_itself() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let job = site.claim(1, 1);
    // Its response was published, and the disk was full before its receipt was.
    std::fs::write(site.path(&format!("response/{uuid}.json")), "{\"soc\":1}").unwrap();
    let ended = site.finish(&job, "{\"soc\":1}", 2);
    assert_eq!(ended, Ended::Published);
    let receipt = site
        .folder
        .job(uuid, at(3))
        .unwrap()
        .unwrap()
        .receipt
        .unwrap();
    assert_eq!(receipt.attempt, Some(1));
    assert_eq!(site.names("quarantine/late"), Vec::<String>::new());
}

#[test]
fn a_receipt_that_became_a_link_is_put_aside_and_written_anew() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let job = site.claim(1, 1);
    site.finish(&job, "1", 2);
    let receipt = site.path(&format!("receipt/{uuid}.json"));
    std::fs::remove_file(&receipt).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &receipt).unwrap();
    assert_eq!(site.status(uuid, 3), Status::Done);
    assert!(receipt.symlink_metadata().unwrap().is_file());
    assert_eq!(site.folder.quarantined().unwrap().len(), 1);
}

/// Changes the text of the index by hand.
fn edit(site: &Site, from: &str, to: &str) {
    let text = site.read("request/status.json");
    assert!(text.contains(from), "{text}");
    std::fs::write(site.path("request/status.json"), text.replace(from, to)).unwrap();
}

#[test]
fn an_end_that_was_changed_by_hand_is_set_right_before_it_is_listed() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let job = site.claim(1, 1);
    site.finish(&job, "1", 2);
    edit(&site, "\"status\":\"done\"", "\"status\":\"failed\"");
    let listed = site.folder.queue().unwrap().iter().cloned().collect();
    let listed = site.folder.settled(listed, at(3)).unwrap();
    assert_eq!(listed[0].status(), Status::Done);
    assert_eq!(site.status(uuid, 3), Status::Done);
    assert!(site.read("request/status.json").contains("\"done\""));
}

#[test]
fn a_receipt_that_states_no_end_is_put_aside_and_written_anew() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let job = site.claim(1, 1);
    site.finish(&job, "1", 2);
    let receipt = format!("receipt/{uuid}.json");
    let other = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
    for (from, to) in [("\"done\"", "\"pending\""), (&*uuid.to_string(), other)] {
        let text = site.read(&receipt).replace(from, to);
        std::fs::remove_file(site.path(&receipt)).unwrap();
        std::fs::write(site.path(&receipt), text).unwrap();
        assert_eq!(site.status(uuid, 3), Status::Done);
        assert!(site.read(&receipt).contains(&uuid.to_string()));
    }
    assert_eq!(site.folder.quarantined().unwrap().len(), 2);
}

#[test]
fn what_was_put_aside_is_kept_for_thirty_days_however_old_it_was() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let request = site.path(&format!("request/{uuid}.json"));
    std::fs::remove_file(&request).unwrap();
    let response = site.path(&format!("response/{uuid}.json"));
    std::fs::write(&response, "no JSON").unwrap();
    let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = std::fs::File::options()
        .write(true)
        .open(&response)
        .unwrap();
    file.set_modified(long_ago).unwrap();
    sweep(&site, &mut Sweeper::new(Duty::Settle, BEAT), 1);
    assert_eq!(site.folder.quarantined().unwrap().len(), 1);
    let today = site.folder.quarantined().unwrap()[0].date.unwrap();
    let in_days = |days| today.plus(chrono::TimeDelta::days(days));
    for (days, kept) in [(28, 1), (31, 0)] {
        // The first look at such a clock believes nothing of it.
        let _ = shared_folder::retain::retain(&site.folder, in_days(days));
        let _ = shared_folder::retain::retain(&site.folder, in_days(days));
        let _ = shared_folder::retain::retain(
            &site.folder,
            in_days(days).plus(chrono::TimeDelta::hours(25)),
        );
        assert_eq!(
            site.folder.quarantined().unwrap().len(),
            kept,
            "after {days} days"
        );
    }
    assert_eq!(site.names("quarantine"), ["late"]);
}
