//! What may be done to `request/status.json`, and that no accepted job is lost by it: each with services at work, and
//! each again with services that start on it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use job_core::ids::JobId;
use job_core::status::Status;
use shared_folder::sweep::settle_at_start;
use shared_folder::{Options, SharedFolder};

use crate::support::{Site, at};

/// One done, one failed, one canceled and two pending jobs, whose index is then damaged.
struct Jobs {
    site: Site,
    expected: Vec<(JobId, Status)>,
}

impl Jobs {
    fn new() -> Self {
        let site = Site::new();
        let [done, failed, canceled, first, second] =
            [0, 1, 2, 3, 4].map(|n| site.submit("soc", n));
        let job = site.claim(1, 5);
        site.finish(&job, "{\"soc\":1}", 6);
        let job = site.claim(1, 7);
        let failure = job_core::status::Failure::new(
            job_core::status::FailureReason::ExitCode,
            "the script ended with 1",
        );
        let ended = site
            .folder
            .finish_failed(&job, &failure, &Default::default(), at(8));
        ended.unwrap();
        site.folder.cancel(canceled, at(9)).unwrap();
        let expected = vec![
            (done, Status::Done),
            (failed, Status::Failed),
            (canceled, Status::Canceled),
            (first, Status::Pending),
            (second, Status::Pending),
        ];
        Jobs { site, expected }
    }

    fn assert_all_there(&self, folder: &SharedFolder) {
        for (uuid, status) in &self.expected {
            let job = folder.job(*uuid, at(20)).unwrap().expect("it was accepted");
            assert_eq!(job.state.status(), *status);
        }
        let queue = folder.queue().unwrap();
        let ids: Vec<_> = queue.iter().map(|entry| entry.uuid).collect();
        let expected: Vec<_> = self.expected.iter().map(|(uuid, _)| *uuid).collect();
        assert_eq!(ids[..5], expected, "and in their order");
    }
}

/// Damages an index beneath services at work, and beneath services that start: nothing is lost, and both go on.
fn survives(damage: impl Fn(&Path)) {
    let jobs = Jobs::new();
    damage(&jobs.site.path("request/status.json"));
    // Readers have their last good copy; the next commit mends the file.
    for (uuid, status) in &jobs.expected {
        assert_eq!(jobs.site.status(*uuid, 10), *status);
    }
    jobs.site.submit("soc", 11);
    // Entries that somebody took out come back with the next sweep, which is settling without a lease.
    settle_at_start(&jobs.site.folder, at(12)).unwrap();
    jobs.assert_all_there(&jobs.site.folder);

    let jobs = Jobs::new();
    damage(&jobs.site.path("request/status.json"));
    let started = SharedFolder::open(jobs.site.folder.root(), Options::default()).unwrap();
    settle_at_start(&started, at(13)).unwrap();
    jobs.assert_all_there(&started);
    jobs.site.submit("soc", 14);
    assert_eq!(started.queue().unwrap().len(), 6);
}

fn rewritten(change: impl Fn(String) -> Vec<u8>) -> impl Fn(&Path) {
    move |path| {
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::write(path, change(text)).unwrap();
    }
}

fn with_entry(entry: &str) -> impl Fn(&Path) {
    rewritten(move |text| text.replace("\n]}", &format!(",\n{entry}\n]}}")).into())
}

#[test]
fn empty() {
    survives(rewritten(|_| Vec::new()));
}

#[test]
fn an_object_without_jobs() {
    survives(rewritten(|_| b"{}".into()));
}

#[test]
fn null() {
    survives(rewritten(|_| b"null".into()));
}

#[test]
fn half() {
    survives(rewritten(|text| text.as_bytes()[..text.len() / 2].into()));
}

#[test]
fn with_a_byte_order_mark() {
    survives(rewritten(|text| format!("\u{feff}{text}").into()));
}

#[test]
fn with_carriage_returns() {
    survives(rewritten(|text| text.replace('\n', "\r\n").into()));
}

#[test]
fn in_utf_16() {
    survives(rewritten(|text| {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }));
}

#[test]
fn with_an_id_twice() {
    survives(rewritten(|text| {
        let line = text.lines().nth(1).unwrap().trim_end_matches(',');
        text.replace("\n]}", &format!(",\n{line}\n]}}")).into()
    }));
}

#[test]
fn with_an_id_that_is_a_path() {
    survives(with_entry(
        r#"{"uuid":"../../x","api":"soc","status":"pending","request_date":"2026-11-20T12:00:00+09:00"}"#,
    ));
}

#[test]
fn with_an_unknown_status() {
    survives(with_entry(
        r#"{"uuid":"f47ac10b-58cc-4372-a567-0e02b2c3d479","api":"soc","status":"lost","request_date":"2026-11-20T12:00:00+09:00"}"#,
    ));
}

#[test]
fn with_an_entry_that_is_null() {
    survives(with_entry("null"));
}

#[test]
fn of_200_megabytes() {
    survives(|path| {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_len(200 << 20).unwrap();
    });
}

#[test]
fn nested_200_deep() {
    survives(rewritten(|_| {
        format!("{{\"jobs\":[{}{}]}}", "[".repeat(200), "]".repeat(200)).into()
    }));
}

#[test]
fn with_text_behind_it() {
    survives(rewritten(|text| format!("{text}# edited by hand").into()));
}

#[test]
fn a_link_to_somewhere_else() {
    survives(|path| {
        let elsewhere = path.with_file_name("elsewhere");
        std::fs::write(&elsewhere, "{\"jobs\":[]}").unwrap();
        std::fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink(&elsewhere, path).unwrap();
    });
}

#[test]
fn a_folder() {
    survives(|path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    });
}

#[test]
fn that_nobody_may_read() {
    survives(|path| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o000)).unwrap();
    });
}

#[test]
fn deleted() {
    survives(|path| std::fs::remove_file(path).unwrap());
}
