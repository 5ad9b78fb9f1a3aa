//! Lines get into the files of their days, whatever happens, and nobody waits for it.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use access_log::{AccessLog, routes as names};
use job_core::access_log::Line;

use crate::support::{DAY, at_noon, line, lines, routes, start};

#[test]
fn a_line_stands_in_the_file_of_its_own_day() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("Log");
    let log = start(&dir);
    log.note(line(b"/evening", "2026-11-20T23:59:59.999+09:00"));
    log.note(line(b"/morning", "2026-11-21T00:00:00.000+09:00"));
    // It ended after midnight.
    log.note(line(b"/late", "2026-11-20T23:59:59.000+09:00"));
    log.stop();
    let urls = |day: &str| -> Vec<Vec<u8>> {
        let lines = lines(&dir, &format!("ApiLog.{day}.tsv"));
        let read = lines.iter().map(|line| Line::parse(line).unwrap());
        read.map(|line| line.url().to_vec()).collect()
    };
    assert_eq!(urls("2026-11-20"), [&b"/evening"[..], b"/late"]);
    assert_eq!(urls("2026-11-21"), [b"/morning"]);
    for day in ["2026-11-20", "2026-11-21"] {
        let named = names::read(&dir, day.parse().unwrap()).unwrap();
        assert_eq!(named, Some(routes(&["/a"])));
    }
}

#[test]
fn an_instance_has_files_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().to_owned();
    let log = AccessLog::start(dir, Some("b".parse().unwrap()), routes(&[]));
    log.note(at_noon(b"/"));
    log.stop();
    assert_eq!(lines(home.path(), &format!("ApiLog.{DAY}.b.tsv")).len(), 1);
}

#[test]
fn names_that_change_are_written_at_once_and_those_of_the_day_stay() {
    let home = tempfile::tempdir().unwrap();
    let log = start(home.path());
    log.note(at_noon(b"/"));
    let day = DAY.parse().unwrap();
    let until = |expected: &[&str]| {
        let end = Instant::now() + Duration::from_secs(20);
        while names::read(home.path(), day).unwrap() != Some(routes(expected)) {
            assert!(Instant::now() < end, "{expected:?}");
            std::thread::yield_now();
        }
    };
    until(&["/a"]);
    log.rename(routes(&["/b"]));
    until(&["/b", "/a"]);
}

#[test]
fn lines_are_dropped_while_the_folder_is_missing_and_nobody_is_held_up() {
    let home = tempfile::tempdir().unwrap();
    let (dir, away) = (home.path().join("Log"), home.path().join("away"));
    let log = start(&dir);
    std::fs::rename(&dir, &away).unwrap();
    log.note(at_noon(b"/lost"));
    log.stop();
    assert!(!dir.exists());
    let log = start(&dir);
    log.note(at_noon(b"/kept"));
    log.stop();
    assert_eq!(lines(&dir, &format!("ApiLog.{DAY}.tsv")).len(), 1);
}

#[test]
fn a_disk_that_hangs_holds_nobody_up() {
    /// More than there is room for.
    const LINES: usize = 40_000;
    let home = tempfile::tempdir().unwrap();
    // A pipe that nobody reads takes 64 KiB, and then hangs whoever writes.
    let path = home.path().join(format!("ApiLog.{DAY}.tsv"));
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    let reader = File::options().read(true).write(true).open(&path).unwrap();
    let log = start(home.path());
    // Whoever waited for the disk would wait for ever.
    for _ in 0..LINES {
        log.note(at_noon(
            b"/a/path/that/is/not/very/short/and/fills/the/pipe",
        ));
    }
    // Somebody reads: the writer goes on, and ends.
    let drain = std::thread::spawn(move || {
        let mut reader = reader;
        let mut piece = [0; 1 << 16];
        let mut text = Vec::new();
        while !text.ends_with(b"the end\n") {
            let length = reader.read(&mut piece).unwrap();
            text.extend_from_slice(&piece[..length]);
        }
        text
    });
    log.stop();
    let mut end = File::options().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut end, b"the end\n").unwrap();
    let text = drain.join().unwrap();
    let whole = text
        .split(|byte| *byte == b'\n')
        .filter(|line| Line::parse(line).is_ok());
    let whole = whole.count();
    assert!((1..LINES).contains(&whole), "{whole} lines came through");
}

#[test]
fn half_a_line_of_a_killed_process_spoils_no_other() {
    let home = tempfile::tempdir().unwrap();
    let name = format!("ApiLog.{DAY}.tsv");
    std::fs::write(
        home.path().join(&name),
        "/whole\tGET\t200\t1.000\t2026-11-21T12:00:00.000+09:00\n/hal",
    )
    .unwrap();
    let log = start(home.path());
    log.note(at_noon(b"/new"));
    log.stop();
    let lines = lines(home.path(), &name);
    let good: Vec<_> = lines.iter().map(|line| Line::parse(line).is_ok()).collect();
    assert_eq!(good, [true, false, true]);
}

#[test]
fn many_writers_of_one_file_write_whole_lines_and_lose_none() {
    const WRITERS: usize = 8;
    const LINES: usize = 4000;
    let home = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let dir = home.path();
            scope.spawn(move || {
                // Each has files of its own open, as another process would.
                for part in 0..4 {
                    let log = start(dir);
                    for n in 0..LINES / 4 {
                        let filler = "x".repeat((n * 7) % 1000);
                        log.note(at_noon(format!("/{writer}/{part}/{n}/{filler}").as_bytes()));
                    }
                    log.stop();
                }
            });
        }
    });
    let mut urls: Vec<_> = lines(home.path(), &format!("ApiLog.{DAY}.tsv"))
        .iter()
        .map(|line| Line::parse(line).unwrap().url().to_vec())
        .collect();
    assert_eq!(urls.len(), WRITERS * LINES);
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len(), WRITERS * LINES);
}
