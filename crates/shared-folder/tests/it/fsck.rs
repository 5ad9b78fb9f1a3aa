//! Checking and mending a whole folder.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chrono::TimeDelta;
use job_core::date::Date;
use job_core::ids::JobId;
use job_core::status::Status;
use shared_folder::Options;
use shared_folder::fsck::{Check, Mode, Outcome, Report, fsck};

use crate::support::{Site, at, worker};

fn run(site: &Site, mode: Mode, now: Date) -> Report {
    fsck(
        site.folder.root(),
        Options::default(),
        mode,
        now,
        &mut |_, _| {},
    )
    .unwrap()
}

fn found(report: &Report) -> Vec<(Check, Outcome)> {
    report
        .findings
        .iter()
        .map(|finding| (finding.check, finding.outcome))
        .collect()
}

/// Every file beneath the folder with its mode and content.
fn tree(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            files.extend(tree(&path));
        } else {
            let content = std::fs::read(&path).unwrap_or_default();
            let name = path.to_string_lossy().into_owned();
            files.insert(name, (metadata.permissions().mode(), content));
        }
    }
    files
}

/// Breaks a folder with one done, one running and one pending job, and sees it found and mended.
fn mends(check: Check, damage: impl FnOnce(&Site, [JobId; 3])) -> (Site, [JobId; 3]) {
    let site = Site::new();
    let [done, running, pending] = [0, 1, 2].map(|second| site.submit("soc", second));
    let job = site.claim(1, 3);
    assert_eq!(job.uuid, done);
    site.finish(&job, "{\"soc\":1}", 4);
    assert_eq!(site.claim(1, 5).uuid, running);
    assert_eq!(
        found(&run(&site, Mode::Check, at(6))),
        [],
        "it begins sound"
    );

    damage(&site, [done, running, pending]);
    let damaged = tree(site.folder.root());
    let report = run(&site, Mode::Check, at(7));
    assert_eq!(found(&report), [(check, Outcome::Found)], "{report:#?}");
    assert!(report.has_trouble_left());
    assert_eq!(tree(site.folder.root()), damaged, "a check changes nothing");

    let report = run(&site, Mode::Repair, at(8));
    assert_eq!(found(&report), [(check, Outcome::Mended)], "{report:#?}");
    assert!(!report.has_trouble_left());
    let mended = tree(site.folder.root());
    assert_eq!(found(&run(&site, Mode::Repair, at(9))), []);
    assert_eq!(
        tree(site.folder.root()),
        mended,
        "done twice, nothing changes"
    );
    (site, [done, running, pending])
}

fn edit(site: &Site, change: impl FnOnce(String) -> String) {
    let text = change(site.read("request/status.json"));
    std::fs::write(site.path("request/status.json"), text).unwrap();
}

fn rewrite(path: &Path, text: &str) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o440)).unwrap();
}

#[test]
fn a_lost_index_is_rebuilt() {
    let (site, [done, running, pending]) = mends(Check::IndexMissing, |site, _| {
        std::fs::remove_file(site.path("request/status.json")).unwrap();
    });
    assert_eq!(site.status(done, 10), Status::Done);
    // The last good generation is the one before it was claimed; its run cannot end it any more.
    assert_eq!(site.status(running, 10), Status::Pending);
    assert_eq!(site.status(pending, 10), Status::Pending);
}

#[test]
fn a_damaged_index_is_rebuilt_and_kept_for_whoever_wants_to_know() {
    let (site, _) = mends(Check::IndexDamaged, |site, _| {
        edit(site, |text| text[..text.len() / 2].to_owned());
    });
    let aside = site.folder.quarantined().unwrap();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(aside[0].name.ends_with("status.json"));
    assert!(aside[0].reason.as_ref().unwrap().contains("no index"));
}

#[test]
fn a_bad_entry_is_put_aside_alone() {
    mends(Check::EntryDamaged, |site, _| {
        edit(site, |text| {
            text.replace("\n]}", ",\n{\"uuid\":\"../x\"}\n]}")
        });
    });
}

#[test]
fn a_request_that_the_index_does_not_know_is_entered() {
    let (site, [.., pending]) = mends(Check::EntryMissing, |site, [.., pending]| {
        edit(site, |text| {
            let lines = text
                .lines()
                .filter(|line| !line.contains(&pending.to_string()));
            let text = lines.collect::<Vec<_>>().join("\n");
            text.replace("},\n]}", "}\n]}")
        });
    });
    assert_eq!(site.status(pending, 10), Status::Pending);
}

#[test]
fn an_entry_that_is_behind_its_receipt_is_brought_up() {
    mends(Check::EntryBehind, |site, _| {
        edit(site, |text| text.replacen("\"done\"", "\"pending\"", 1));
    });
}

#[test]
fn a_result_without_a_receipt_gets_one() {
    let (site, [_, running, _]) = mends(Check::ReceiptMissing, |site, [_, running, _]| {
        let path = site.path(&format!("response/{running}.json"));
        std::fs::write(&path, "1").unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o440)).unwrap();
    });
    assert_eq!(site.status(running, 10), Status::Done);
}

#[test]
fn a_damaged_receipt_is_written_anew() {
    let (site, [done, ..]) = mends(Check::ReceiptDamaged, |site, [done, ..]| {
        rewrite(&site.path(&format!("receipt/{done}.json")), "{\"uuid\":");
    });
    assert_eq!(site.status(done, 10), Status::Done);
}

#[test]
fn a_damaged_response_of_a_waiting_job_is_put_aside() {
    let (site, [.., pending]) = mends(Check::ResponseDamaged, |site, [.., pending]| {
        let path = site.path(&format!("response/{pending}.json"));
        std::fs::write(&path, "half {").unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o440)).unwrap();
    });
    assert_eq!(site.status(pending, 10), Status::Pending);
}

#[test]
fn a_job_of_a_worker_that_died_here_waits_again() {
    let (site, [_, running, _]) = mends(Check::WorkerLost, |site, _| {
        let beat = serde_json::json!({
            "worker": worker(1), "host": "here", "boot": shared_folder::heartbeat::boot_id(), "pid": 1,
            "version": "0", "counter": 1, "slots": 1, "jobs": [], "apis": [], "problems": [],
        });
        std::fs::write(
            site.path(&format!("workers/{}.json", worker(1))),
            beat.to_string(),
        )
        .unwrap();
        std::fs::write(site.path(&format!("workers/{}.lock", worker(1))), "").unwrap();
    });
    assert_eq!(site.status(running, 10), Status::Pending);
}

#[test]
fn a_damaged_lease_is_put_aside() {
    mends(Check::LeaseDamaged, |site, [_, running, _]| {
        std::fs::write(site.path(&format!("lease/{running}.json")), "{").unwrap();
    });
}

#[test]
fn what_a_job_left_is_removed() {
    let (site, _) = mends(Check::Leftover, |site, [done, ..]| {
        std::fs::write(site.path(&format!("progress/{done}.json")), "{}").unwrap();
    });
    assert_eq!(site.names("progress").len(), 0);
    mends(Check::Leftover, |site, _| {
        let stranger = shared_folder::job_id(at(0));
        std::fs::write(site.path(&format!("log/{stranger}.log")), "x").unwrap();
    });
}

#[test]
fn a_fact_that_may_be_written_to_is_sealed() {
    mends(Check::FactWritable, |site, [done, ..]| {
        let path = site.path(&format!("response/{done}.json"));
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o664)).unwrap();
    });
}

#[test]
fn a_deletion_that_was_cut_off_is_finished() {
    let site = Site::new();
    let uuid = site.submit("soc", 0);
    let job = site.claim(1, 1);
    site.finish(&job, "1", 2);
    std::fs::remove_file(site.path(&format!("request/{uuid}.json"))).unwrap();
    assert_eq!(
        found(&run(&site, Mode::Check, at(3))),
        [],
        "it is kept for seven days"
    );
    // The entry goes last; here the index was lost as well.
    edit(&site, |_| "{\"jobs\":[]}".to_owned());
    let later = at(3).plus(TimeDelta::days(8));
    let report = run(&site, Mode::Repair, later);
    assert_eq!(
        found(&report),
        [(Check::DeletionUnfinished, Outcome::Mended)]
    );
    for folder in ["request", "response", "receipt"] {
        let of_job = site.names(folder).into_iter();
        assert_eq!(
            of_job
                .filter(|name| name.contains(&uuid.to_string()))
                .count(),
            0
        );
    }
}

#[test]
fn a_result_that_changed_or_is_gone_is_told_and_left() {
    let site = Site::new();
    let jobs = [0, 1].map(|second| site.submit("soc", second));
    for _ in jobs {
        let job = site.claim(1, 2);
        site.finish(&job, "{\"soc\":1}", 3);
    }
    let [changed, gone] = jobs.map(|uuid| site.path(&format!("response/{uuid}.json")));
    rewrite(&changed, "{\"soc\":2}");
    std::fs::remove_file(gone).unwrap();
    for _ in 0..2 {
        let mut left = found(&run(&site, Mode::Repair, at(4)));
        left.sort_by_key(|(check, _)| *check == Check::ResultMissing);
        let expected = [Check::ResultChanged, Check::ResultMissing];
        assert_eq!(left, expected.map(|check| (check, Outcome::Left)));
    }
}

#[test]
fn what_is_somebodys_is_told_and_stays() {
    let site = Site::new();
    site.submit("soc", 0);
    std::fs::write(site.path("notes.txt"), "mine").unwrap();
    std::fs::write(site.path("request/old.json"), "mine").unwrap();
    let report = run(&site, Mode::Repair, at(1));
    assert!(!report.has_trouble_left());
    assert_eq!(found(&report), [(Check::Foreign, Outcome::Found); 2]);
    assert_eq!(site.read("notes.txt"), "mine");
}

#[test]
fn a_folder_that_is_no_shared_folder_is_refused_and_not_made_one() {
    let home = tempfile::tempdir().unwrap();
    let error = fsck(
        home.path(),
        Options::default(),
        Mode::Repair,
        at(0),
        &mut |_, _| {},
    );
    assert!(error.unwrap_err().to_string().contains("no shared folder"));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn the_quarantine_is_listed_read_and_emptied() {
    use std::io::Read;
    let site = Site::new();
    site.submit("soc", 0);
    edit(&site, |text| text.replace("\n]}", ",\nnull\n]}"));
    run(&site, Mode::Repair, at(1));
    let [thing] = site.folder.quarantined().unwrap().try_into().unwrap();
    let mut text = String::new();
    let open = site.folder.open_quarantined(&thing.name).unwrap();
    open.unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), thing.size), ("null", Some(4)));
    for name in ["../request/status.json", "late", ".", "late/../x", ""] {
        assert!(
            site.folder.open_quarantined(name).unwrap().is_none(),
            "{name}"
        );
        assert!(!site.folder.drop_quarantined(name).unwrap(), "{name}");
    }
    assert!(site.folder.drop_quarantined(&thing.name).unwrap());
    assert!(!site.folder.drop_quarantined(&thing.name).unwrap());
    assert_eq!(site.folder.quarantined().unwrap(), []);
    assert_eq!(site.names("quarantine"), ["late"]);
}

#[test]
fn an_end_that_was_changed_by_hand_is_found_and_mended() {
    let (site, [done, ..]) = mends(Check::EntryBehind, |site, _| {
        edit(site, |text| {
            text.replace("\"status\":\"done\"", "\"status\":\"failed\"")
        });
    });
    assert_eq!(site.status(done, 9), Status::Done);
}
