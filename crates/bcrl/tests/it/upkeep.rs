//! `bcrl fsck`, `bcrl quarantine` and `bcrl webhooks`, on a folder whose services are at work.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
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

#[test]
fn webhooks_are_listed_shown_and_sent_anew() {
    // Nobody listens there, and nobody is asked twice.
    let receiver = "http://127.0.0.1:9/hook";
    let secret = bcrl(&Site::new(), &["webhooks", "secret"]);
    let secret = stdout(&secret);
    assert!(
        secret.starts_with("whsec_") && secret.ends_with('\n'),
        "{secret}"
    );
    let site = Site::new()
        .set("WEBHOOK__SECRETS", secret.trim())
        .set("WEBHOOK__ALLOW", "127.0.0.1")
        .set("WEBHOOK__PAUSES", "");
    site.app("echo", "import sys; print(sys.stdin.read())");
    let up = site.up();
    let client = up.client();
    client.until_api("echo", SOON);
    let ls = |arguments: &[&str]| {
        let arguments = [&["webhooks", "ls"], arguments].concat();
        stdout(&bcrl(&site, &arguments))
    };
    assert_eq!(ls(&[]), "no webhook is undelivered\n");
    assert_eq!(ls(&["--all"]), "no job has a webhook\n");

    let submitted = bcrl(
        &site,
        &[
            "--url",
            &up.url(),
            "--quiet",
            "submit",
            "echo",
            "n=1",
            "--webhook",
            receiver,
        ],
    );
    let job = stdout(&submitted).trim().to_owned();
    let given_up = |tries: u64| {
        test_support::until("the end of a webhook", SOON, || {
            let told: Value = serde_json::from_str(&ls(&["--json"])).ok()?;
            let is_so = told["standing"] == "given_up" && told["tries"] == tries;
            is_so.then_some(told)
        })
    };
    let told = given_up(1);
    assert_eq!(
        (&told["uuid"], &told["status"]),
        (&json!(job), &json!("done"))
    );
    let shown = stdout(&bcrl(&site, &["webhooks", "show", &job]));
    let expected = format!("{job}  done: was given up (1 try, ");
    assert!(
        shown.starts_with(&expected) && shown.contains(receiver),
        "{shown}"
    );

    // Another one takes what comes.
    let event = told["event_id"].as_str().unwrap().to_owned();
    assert!(shown.contains(&event), "{shown}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("webhook/{job}.json");
    let port = listener.local_addr().unwrap().port();
    let record = std::fs::read_to_string(site.shared(&name)).unwrap();
    let record = record.replace(":9/", &format!(":{port}/"));
    site.put(&format!("data/shared/bcrlapi/{name}"), &record);
    let replayed = bcrl(&site, &["webhooks", "replay", &job]);
    assert_eq!(replayed.status.code(), Some(0), "{replayed:?}");
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = String::new();
    let mut lines = BufReader::new(&stream);
    while !head.ends_with("\r\n\r\n") {
        assert!(lines.read_line(&mut head).unwrap() > 0, "{head}");
    }
    assert!(head.contains(&format!("webhook-id: {event}\r\n")), "{head}");
    stream.write_all(b"HTTP/1.1 204 x\r\n\r\n").unwrap();
    test_support::until("the delivery", SOON, || {
        (ls(&[]) == "no webhook is undelivered\n").then_some(())
    });
    assert!(
        ls(&["--all"]).contains("was delivered at"),
        "{}",
        ls(&["--all"])
    );

    let unknown = bcrl(
        &site,
        &["webhooks", "replay", "f47ac10b-58cc-4372-a567-0e02b2c3d479"],
    );
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    let config = bcrl(&site, &["up", "--print-config"]);
    let config = stdout(&config);
    assert!(
        config.contains("[redacted]") && !config.contains("whsec_"),
        "{config}"
    );
}
