//! What an operator types.

use std::process::{Command, Output};

use test_support::{Site, bin};

use crate::support::{ago, put, put_day, rows_of, text};

fn batch(site: &Site, arguments: &[&str]) -> Output {
    Command::new(bin("bcrl-log-batch"))
        .args(arguments)
        .envs(site.environment())
        .current_dir(site.path(""))
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn count(site: &Site) -> u64 {
    let url = format!("sqlite:{}", site.path("data/bcrl.sqlite").display());
    rows_of(&url).iter().map(|row| row.access_count).sum()
}

#[test]
fn a_run_says_whether_yesterday_has_a_file_and_ends_well_either_way() {
    let site = Site::new();
    let run = batch(&site, &["run"]);
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    assert!(
        out(&run).contains("the day has no log file"),
        "{}",
        out(&run)
    );
    put_day(&site.path("data/Log"), ago(1), 10);
    let run = batch(&site, &["run"]);
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    assert!(
        out(&run).contains("the day has a log file"),
        "{}",
        out(&run)
    );
    assert!(out(&run).contains("the day is counted"), "{}", out(&run));
    assert_eq!(count(&site), 10);
}

#[test]
fn one_day_is_counted_and_what_would_be_wrong_needs_force() {
    let site = Site::new();
    let logs = site.path("data/Log");
    let day = ago(5).to_string();
    put_day(&logs, ago(0), 7);
    put_day(&logs, ago(5), 10);
    let run = batch(&site, &["run", "--day", &day]);
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    assert_eq!(count(&site), 10);
    let run = batch(&site, &["run", "--day", &day]);
    assert!(out(&run).contains("counted already"), "{}", out(&run));

    let run = batch(&site, &["run", "--day", "today"]);
    assert_eq!(run.status.code(), Some(1));
    assert!(err(&run).contains("is not over"), "{}", err(&run));
    let run = batch(&site, &["run", "--day", "today", "--force"]);
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    assert_eq!(count(&site), 17);

    for wrong in [
        &["run", "--force"][..],
        &["run", "--day", "2026-02-30"],
        &["run", "--day", "20261101"],
    ] {
        assert_eq!(batch(&site, wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn status_tells_each_day_for_people_and_for_programs() {
    let site = Site::new();
    let logs = site.path("data/Log");
    put_day(&logs, ago(1), 10);
    put(&logs, &format!("ApiLog.{}.b.tsv", ago(1)), "bad\n");
    batch(&site, &["run"]);
    put_day(&logs, ago(4), 10);
    put(&logs, &format!("ApiLog.{}.tsv", ago(1)), text(ago(1), 11));
    let status = batch(&site, &["status"]);
    assert_eq!(status.status.code(), Some(0), "{}", err(&status));
    let table = out(&status);
    let line = |day: String| {
        let line = table.lines().find(|line| line.starts_with(&day));
        line.unwrap_or_else(|| panic!("{day}: {table}")).to_owned()
    };
    assert!(
        line(ago(1).to_string()).contains("changed since"),
        "{table}"
    );
    assert!(line(ago(4).to_string()).contains("not counted"), "{table}");
    assert!(table.contains("2 due at the next run"), "{table}");

    let json = out(&batch(&site, &["status", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let day = &json["days"][0];
    assert_eq!(day["day"], ago(1).to_string());
    assert_eq!(
        (&day["is_due"], &day["is_stored"]),
        (&true.into(), &true.into())
    );
    assert_eq!(day["run"]["result"], "done");
    let bad = &day["run"]["files"][0]["bad_line_samples"][0];
    assert_eq!((&bad["line"], &bad["text"]), (&1.into(), &"bad".into()));
}

#[test]
fn settings_that_cannot_be_used_are_told_without_their_password() {
    let site = Site::new().set("DATABASE_URL", "postgres://bcrl:hush@db.example.com/logs");
    let shown = out(&batch(&site, &["--print-config"]));
    assert!(
        shown.contains("postgres://bcrl:[redacted]@db.example.com/logs"),
        "{shown}"
    );
    assert!(!shown.contains("hush"), "{shown}");
    for (url, code) in [
        ("mysql://bcrl:hush@db/logs", 78),
        ("postgres://bcrl:hush@db:port/logs", 78),
        (
            "postgres://bcrl:hush@localhost/logs?host=/no/such/folder",
            1,
        ),
    ] {
        let site = Site::new().set("DATABASE_URL", url);
        let told = batch(&site, &["migrate"]);
        assert_eq!(told.status.code(), Some(code), "{url}: {}", err(&told));
        assert!(!err(&told).contains("hush"), "{}", err(&told));
    }
    let site = Site::new();
    let told = batch(&site, &["migrate"]);
    assert_eq!(out(&told), "the database's tables are up to date\n");
}
