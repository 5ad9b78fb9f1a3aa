//! `bcrl fsck` and `bcrl quarantine`, on a folder whose services are at work.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use test_support::{Site, bin};

const SOON: Duration = Duration::from_secs(30);

fn bcrl(site: &Site, args: &[&str]) -> Output {
    let mut command = Command::new(bin("bcrl"));
    command.args(args).envs(site.environment());
    command.output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn fsck_finds_and_mends_beside_living_services() {
    let site = Site::new();
    site.app("echo", "import sys; print(sys.stdin.read())");
    let up = site.up();
    let client = up.client();
    client.until_api("echo", SOON);
    let job = client.submit("echo", "{\"n\":1}");
    client.until_status(&job, "done", SOON);

    let sound = bcrl(&site, &["fsck"]);
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    assert!(stdout(&sound).ends_with("all is in order\n"), "{sound:?}");

    let result = site.shared(&format!("response/{job}.json"));
    let text = std::fs::read_to_string(&result).unwrap();
    std::fs::remove_file(&result).unwrap();
    std::fs::write(&result, text.replace('1', "2")).unwrap();
    let found = bcrl(&site, &["fsck", "--json"]);
    assert_eq!(found.status.code(), Some(4), "{found:?}");
    let report: Value = serde_json::from_str(&stdout(&found)).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let checks: Vec<_> = findings.map(|finding| &finding["check"]).collect();
    assert_eq!(checks, ["result-changed", "fact-writable"], "{report}");
    assert_eq!(report["findings"][0]["job"], job);

    let mended = bcrl(&site, &["fsck", "--repair"]);
    assert_eq!(mended.status.code(), Some(4), "a result has no second copy");
    let told = stdout(&mended);
    assert!(told.contains("mended    response/"), "{told}");
    assert!(told.contains("LEFT      response/"), "{told}");

    std::fs::remove_file(&result).unwrap();
    std::fs::write(&result, text).unwrap();
    let mended = bcrl(&site, &["fsck", "--repair"]);
    assert_eq!(mended.status.code(), Some(1), "{mended:?}");
    assert_eq!(bcrl(&site, &["fsck", "--repair"]).status.code(), Some(0));

    let second = client.submit("echo", "{}");
    client.until_status(&second, "done", SOON);
}

#[test]
fn fsck_refuses_what_is_no_shared_folder() {
    let site = Site::new();
    let output = bcrl(&site, &["fsck", "--repair"]);
    assert_eq!(output.status.code(), Some(8), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("no shared folder"), "{told}");
    assert!(!site.path("data").exists());
}

#[test]
fn the_quarantine_is_looked_at_and_emptied() {
    let site = Site::new();
    // Nobody else is at work: a living API would put the entry aside itself.
    drop(site.api());
    site.put(
        "data/shared/bcrlapi/request/status.json",
        "{\"jobs\":[null]}",
    );
    assert_eq!(bcrl(&site, &["fsck", "--repair"]).status.code(), Some(1));

    let listed = bcrl(&site, &["quarantine", "ls", "--json"]);
    let thing: Value = serde_json::from_str(&stdout(&listed)).unwrap();
    let name = thing["name"].as_str().unwrap();
    assert_eq!(thing["size"], 4);
    let shown = bcrl(&site, &["quarantine", "show", name]);
    assert_eq!(stdout(&shown), "null");
    let told = stdout(&bcrl(&site, &["quarantine", "ls"]));
    assert!(told.contains(name) && told.contains("4 bytes"), "{told}");

    let unknown = bcrl(&site, &["quarantine", "drop", "../request/status.json"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    let young = bcrl(&site, &["quarantine", "drop", "--older-than", "7days"]);
    assert_eq!(stdout(&young), "0 thrown away\n");
    let dropped = bcrl(&site, &["quarantine", "drop", name]);
    assert_eq!(
        (dropped.status.code(), stdout(&dropped).as_str()),
        (Some(0), "1 thrown away\n")
    );
    assert_eq!(
        stdout(&bcrl(&site, &["quarantine", "ls"])),
        "nothing was put aside\n"
    );
}
