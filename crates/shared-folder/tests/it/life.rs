//! A job from submit to retention, file by file.

use std::os::unix::fs::PermissionsExt;

use chrono::TimeDelta;
use job_core::status::{Failure, FailureReason, State, Status};
use shared_folder::finish::{Cancel, Ended, Measured};
use shared_folder::submit::Refused;
use shared_folder::view::PublishedResponse;
use shared_folder::{FolderError, Options};

use crate::support::{Site, at, offer, worker};

#[test]
fn a_job_leaves_the_specifications_files_to_the_letter() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let date = "2026-11-20T12:00:00.000+09:00";
    let entry =
        format!(r#"{{"uuid":"{uuid}","api":"soc","status":"pending","request_date":"{date}"}}"#);
    assert_eq!(
        site.read("request/status.json"),
        format!("{{\"jobs\":[\n{entry}\n]}}\n")
    );
    let request =
        format!(r#"{{"uuid":"{uuid}","api":"soc","request_date":"{date}","params":{{"n":1}}}}"#);
    assert_eq!(site.read(&format!("request/{uuid}.json")), request);

    let job = site.claim(1, 1);
    let processing = format!(
        r#""status":"processing","request_date":"{date}","token":"{}"}}"#,
        job.token
    );
    assert!(site.read("request/status.json").contains(&processing));

    assert_eq!(site.finish(&job, "{\"soc\": [1.0]}\n", 2), Ended::Published);
    assert_eq!(
        site.read(&format!("response/{uuid}.json")),
        "{\"soc\": [1.0]}\n"
    );
    let done = format!(
        r#""status":"done","request_date":"{date}","finished_date":"2026-11-20T12:00:02.000+09:00"}}"#
    );
    assert!(site.read("request/status.json").contains(&done));
    let receipt: serde_json::Value =
        serde_json::from_str(&site.read(&format!("receipt/{uuid}.json"))).unwrap();
    assert_eq!(receipt["status"], "done");
    assert_eq!(receipt["attempts"][0]["outcome"], "done");
    assert_eq!(receipt["sha256"]["response"].as_str().unwrap().len(), 64);
    for fact in ["request", "response", "receipt"] {
        let mode = std::fs::metadata(site.path(&format!("{fact}/{uuid}.json")))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o440, "{fact}");
    }
    assert!(site.names("lease").is_empty() && site.names("progress").is_empty());
}

#[test]
fn jobs_are_claimed_from_top_to_bottom_and_within_an_apis_limit() {
    let site = Site::new();
    let (first, second, third) = (
        site.submit("add", 0),
        site.submit("add", 1),
        site.submit("soc", 2),
    );
    assert_eq!(site.claim(1, 3).uuid, first);
    assert_eq!(site.claim(2, 3).uuid, third, "add runs once at a time");
    assert!(
        site.folder
            .claim(&worker(1), 1, &offer(), at(3))
            .unwrap()
            .is_none()
    );
    assert_eq!(site.status(second, 3), Status::Pending);
    assert_eq!(
        site.folder.job(second, at(3)).unwrap().unwrap().jobs_before,
        Some(0)
    );
}

#[test]
fn a_run_that_lost_its_token_cannot_end_the_job() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let first = site.claim(1, 1);
    site.folder.give_back(&first, at(2)).unwrap();
    let second = site.claim(2, 3);
    assert!(
        !site.folder.is_still_mine(&first).unwrap() && site.folder.is_still_mine(&second).unwrap()
    );
    assert_eq!(site.finish(&first, "1", 4), Ended::TooLate);
    assert_eq!(site.status(uuid, 4), Status::Processing);
    assert_eq!(site.finish(&second, "2", 5), Ended::Published);
    assert_eq!(site.finish(&first, "3", 6), Ended::TooLate);
    assert_eq!(site.read(&format!("response/{uuid}.json")), "2");
    assert_eq!(
        site.names("quarantine/late")
            .iter()
            .filter(|name| name.ends_with(".reason"))
            .count(),
        2
    );
    assert_eq!(
        (second.lease.attempt, second.lease.lost),
        (2, 0),
        "giving back counts a run and no loss"
    );
}

#[test]
fn ending_a_job_twice_for_the_same_run_ends_it_once() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let job = site.claim(1, 1);
    assert_eq!(site.finish(&job, "1", 2), Ended::Published);
    assert_eq!(
        site.finish(&job, "1", 3),
        Ended::Published,
        "a retry after a commit whose answer was lost"
    );
    assert_eq!(site.read(&format!("response/{uuid}.json")), "1");
}

#[test]
fn a_script_that_failed_is_tried_again_after_its_pause() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let job = site.claim(1, 1);
    site.folder
        .try_again(&job, FailureReason::ExitCode, at(2))
        .unwrap();
    assert!(
        site.folder
            .claim(&worker(1), 1, &offer(), at(31))
            .unwrap()
            .is_none()
    );
    let again = site.claim(1, 32);
    let failure =
        Failure::new(FailureReason::ExitCode, "the script exited with 1").with_exit_code(1);
    site.folder
        .finish_failed(
            &again,
            &failure,
            &Measured {
                run_ms: Some(5),
                ..Measured::default()
            },
            at(33),
        )
        .unwrap();
    let view = site.folder.job(uuid, at(33)).unwrap().unwrap();
    assert_eq!(
        view.state,
        State::Failed {
            finished: Some(at(33)),
            failure: Some(failure)
        }
    );
    let receipt = view.receipt.unwrap();
    assert_eq!(
        receipt
            .attempts
            .iter()
            .map(|run| run.outcome.as_str())
            .collect::<Vec<_>>(),
        ["exit_code", "exit_code"]
    );
    assert!(site.folder.response(uuid).unwrap().is_none());
}

#[test]
fn what_was_canceled_while_it_waited_never_runs() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    assert_eq!(site.folder.cancel(uuid, at(1)).unwrap(), Cancel::Canceled);
    assert_eq!(
        site.folder.cancel(uuid, at(2)).unwrap(),
        Cancel::AlreadyFinal(Status::Canceled)
    );
    assert!(
        site.folder
            .claim(&worker(1), 1, &offer(), at(3))
            .unwrap()
            .is_none()
    );
    assert_eq!(
        site.folder
            .cancel(shared_folder::job_id(at(0)), at(2))
            .unwrap(),
        Cancel::Unknown
    );
}

#[test]
fn a_running_job_is_asked_to_end_and_stays_done_if_it_was_first() {
    let site = Site::new();
    let (slow, quick) = (site.submit("soc", 0), site.submit("soc", 0));
    let (first, second) = (site.claim(1, 1), site.claim(1, 1));
    for uuid in [slow, quick] {
        assert_eq!(site.folder.cancel(uuid, at(2)).unwrap(), Cancel::Requested);
        assert!(
            site.folder
                .job(uuid, at(2))
                .unwrap()
                .unwrap()
                .cancel_requested
        );
    }
    assert!(!site.folder.is_still_mine(&first).unwrap());
    site.folder
        .finish_canceled(&first, &Measured::default(), at(3))
        .unwrap();
    site.finish(&second, "1", 3);
    assert_eq!(
        (site.status(first.uuid, 4), site.status(second.uuid, 4)),
        (Status::Canceled, Status::Done)
    );
    assert!(site.names("cancel").is_empty());
}

#[test]
fn the_first_fetch_is_noted_once() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let job = site.claim(1, 1);
    site.finish(&job, "1", 2);
    site.submitter.retrieved(uuid, at(3));
    site.submitter.retrieved(uuid, at(4));
    site.submitter.stop();
    assert!(
        site.read("request/status.json")
            .contains(r#""retrieved_date":"2026-11-20T12:00:03.000+09:00""#)
    );
}

#[test]
fn a_full_queue_refuses_and_leaves_no_file() {
    let site = Site::with(Options {
        queue_limit: 1,
        ..Options::default()
    });
    site.submit("soc", 0);
    let refused = site.try_to_submit("soc", 1).unwrap_err();
    let Refused::Folder(error) = refused else {
        panic!("{refused}");
    };
    assert!(matches!(*error, FolderError::QueueFull { limit: 1 }));
    assert_eq!(site.folder.queue().unwrap().len(), 1);
    assert_eq!(
        site.names("request").len(),
        4,
        "index, its lock, its last generation, one request: {:?}",
        site.names("request")
    );
}

#[test]
fn retention_takes_what_ended_long_ago_and_nothing_else() {
    let site = Site::new();
    let (old, waiting, running) = (
        site.submit("soc", 0),
        site.submit("fit", 0),
        site.submit("soc", 0),
    );
    let job = site.claim(1, 1);
    assert_eq!(job.uuid, old);
    site.finish(&job, "1", 2);
    assert_eq!(site.claim(1, 3).uuid, running);
    let day = TimeDelta::days(1).num_seconds();
    for days in 0..=7 {
        assert_eq!(
            shared_folder::retain::retain(&site.folder, at(days * day)).unwrap(),
            0
        );
    }
    assert_eq!(
        shared_folder::retain::retain(&site.folder, at(8 * day)).unwrap(),
        1
    );
    assert!(site.folder.job(old, at(8 * day)).unwrap().is_none());
    assert_eq!(
        (site.status(waiting, 8 * day), site.status(running, 8 * day)),
        (Status::Pending, Status::Processing)
    );
    assert!(site.names("response").is_empty() && site.names("receipt").is_empty());
}

#[test]
fn retention_does_not_believe_a_clock_that_jumped() {
    let site = Site::new();
    let job = {
        site.submit("soc", 0);
        site.claim(1, 1)
    };
    site.finish(&job, "1", 2);
    let day = TimeDelta::days(1).num_seconds();
    shared_folder::retain::retain(&site.folder, at(0)).unwrap();
    assert!(shared_folder::retain::retain(&site.folder, at(100 * day)).is_err());
    assert_eq!(site.status(job.uuid, 3), Status::Done);
    assert_eq!(
        shared_folder::retain::retain(&site.folder, at(101 * day)).unwrap(),
        1
    );
}

#[test]
fn a_result_that_was_changed_by_hand_is_not_handed_out() {
    use std::io::Read;
    let site = Site::new();
    let by_worker = site.submit("soc", 0);
    let job = site.claim(1, 1);
    site.finish(&job, "{\"soc\":0.5}", 2);
    let by_hand = site.submit("soc", 3);
    std::fs::write(
        site.path(&format!("response/{by_hand}.json")),
        "{\"soc\":0.5}",
    )
    .unwrap();
    for uuid in [by_worker, by_hand] {
        let receipt = site
            .folder
            .job(uuid, at(4))
            .unwrap()
            .unwrap()
            .receipt
            .unwrap();
        // The test's own moment is before the files' times: nothing is believed without being read.
        let now = at(4);
        for _ in 0..2 {
            let PublishedResponse::Sound(mut file) =
                site.folder.published_response(&receipt, now).unwrap()
            else {
                panic!("nobody touched it")
            };
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "{\"soc\":0.5}");
        }
        let path = site.path(&format!("response/{uuid}.json"));
        std::fs::remove_file(&path).unwrap();
        let gone = site.folder.published_response(&receipt, now).unwrap();
        assert!(matches!(gone, PublishedResponse::Gone));
        std::fs::write(&path, "{\"soc\":0.6}").unwrap();
        let changed = site.folder.published_response(&receipt, now).unwrap();
        assert!(matches!(changed, PublishedResponse::Changed), "{receipt:?}");
    }
}

#[test]
fn a_long_message_stands_whole_in_the_receipt_and_briefly_in_the_index() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let job = site.claim(1, 1);
    let message = "電".repeat(2000);
    let failure = Failure::new(FailureReason::ExitCode, message.clone());
    site.folder
        .finish_failed(&job, &failure, &Measured::default(), at(2))
        .unwrap();
    let shown = site.folder.job(uuid, at(3)).unwrap().unwrap();
    let told = |state: &State| match state {
        State::Failed {
            failure: Some(failure),
            ..
        } => failure.message.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&shown.state), message);
    let brief = told(shown.entry.state());
    assert_eq!(brief.chars().count(), 301);
    assert!(site.read("request/status.json").len() < 1500);
    // Settled once more from the facts, it is the same.
    shared_folder::sweep::settle_at_start(&site.folder, at(4)).unwrap();
    assert_eq!(
        told(site.folder.queue().unwrap().get(uuid).unwrap().state()),
        brief
    );
}
