//! Receivers are told that jobs have ended: in time, once, and signed.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use serde_json::{Value, json};
use sha2::Sha256;
use test_support::{Client, Site, until};

use crate::receiver::{Reaction, Receiver, Told, status};
use crate::support::{Lab, PATIENCE, assert_problem, open};

/// The bytes that the tests' secret stands for: 32 sevens.
const KEY: [u8; 32] = [7; 32];
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(KEY))
}

/// A site that reaches receivers of this machine, and tries again at once.
fn site() -> Site {
    Site::new()
        .set("WEBHOOK__SECRETS", &secret())
        .set("WEBHOOK__ALLOW", "127.0.0.0/8")
        .set("WEBHOOK__PAUSES", "10ms,10ms,10ms,10ms,10ms")
}

fn lab() -> Lab {
    Lab::on(site(), &[open("open")])
}

/// The URL of a submission whose end this URL is told.
fn url(api: &str, receiver: &str) -> String {
    format!("/api/v1/jobs/{api}?webhook={}", encoded(receiver))
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Submits a job whose end this URL is told.
#[track_caller]
fn submit(client: &Client, receiver: &str) -> String {
    let answer = client.post(&url("open", receiver), "1");
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()["uuid"].as_str().unwrap().to_owned()
}

/// Ends a job that no worker runs.
#[track_caller]
fn cancel(client: &Client, uuid: &str) {
    let answer = client.send("DELETE", &format!("/api/v1/jobs/{uuid}"), &[], None);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Submits a job that ends at once.
#[track_caller]
fn submit_ended(client: &Client, receiver: &str) -> String {
    let uuid = submit(client, receiver);
    cancel(client, &uuid);
    uuid
}

/// Waits until the record of a job is so, and returns it.
#[track_caller]
fn until_record(lab: &Lab, uuid: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let name = format!("webhook/{uuid}.json");
    until(&format!("{name}: {}", lab.read(&name)), PATIENCE, || {
        let record: Value = serde_json::from_str(&lab.read(&name)).unwrap();
        is_so(&record).then_some(record)
    })
}

fn is_over(record: &Value) -> bool {
    record.get("next_date").is_none()
}

/// Checks a signature as the specification says it is made.
#[track_caller]
fn assert_signed(told: &Told) {
    let id = told.header("webhook-id");
    let timestamp = told.header("webhook-timestamp");
    let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
    mac.update(format!("{id}.{timestamp}.{}", told.body).as_bytes());
    let due = STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(told.header("webhook-signature"), format!("v1,{due}"));
}

#[test]
fn a_receiver_that_fails_five_times_is_told_until_it_takes_it() {
    let lab = lab();
    let receiver = Receiver::start(vec![
        status(500),
        status(404),
        status(301),
        status(100),
        status(429),
        status(204),
    ]);
    let headers = [("content-type", "application/json"), ("traceparent", TRACE)];
    let submitted = url("open", &receiver.url());
    let answer = lab.client.send("POST", &submitted, &headers, Some("1"));
    let uuid = answer.json()["uuid"].as_str().unwrap().to_owned();
    cancel(&lab.client, &uuid);
    let record = until_record(&lab, &uuid, is_over);
    let told = receiver.told();
    assert_eq!(
        (told.len(), &record["tries"], &record["last_status"]),
        (6, &json!(6), &json!(204))
    );
    assert!(record["delivered_date"].is_string(), "{record}");
    for told in &told {
        assert_signed(told);
        assert_eq!(told.header("webhook-id"), record["event_id"]);
        assert_eq!(told.header("content-type"), "application/json");
        assert_eq!(told.header("traceparent"), TRACE);
        assert!(told.header("user-agent").starts_with("bcrl-api/"));
    }
    assert!(told.iter().all(|again| again.body == told[0].body));
    let job = lab.client.job(&uuid);
    let data = json!({"uuid": uuid, "api": "open", "status": "canceled", "links": job["links"]});
    let event = json!({"type": "job.canceled", "timestamp": job["finished_date"], "data": data});
    assert_eq!(told[0].json(), event);
}

#[test]
fn done_and_failed_jobs_are_told_with_links_to_where_clients_reach_the_api() {
    let site = site().set("API__PUBLIC_URL", "https://jobs.example.com/bcrl/");
    site.app(
        "open",
        "import sys; sys.exit(int(sys.stdin.read()) - 1 or print(1))",
    );
    let lab = Lab::with_worker(site);
    let receiver = Receiver::glad();
    let sent = url("open", &receiver.url());
    for (body, kind) in [("1", "job.done"), ("4", "job.failed")] {
        let uuid = lab.client.post(&sent, body).json()["uuid"].clone();
        let told = until(kind, PATIENCE, || {
            let mut told = receiver.told().into_iter();
            told.find(|told| uuid == told.job())
        });
        let event = told.json();
        assert_eq!(event["type"], kind);
        let link = format!(
            "https://jobs.example.com/bcrl/api/v1/jobs/{}/result",
            told.job()
        );
        assert_eq!(event["data"]["links"]["result"], link);
    }
}

#[test]
fn while_secrets_change_each_of_them_signs() {
    let home = Site::new();
    let file = home.put("secret", &format!("{}\n", secret()));
    let site = site()
        .set(
            "WEBHOOK__SECRETS",
            &format!("whsec_{}", STANDARD.encode([9; 24])),
        )
        .set("WEBHOOK__SECRET_FILES", file.to_str().unwrap());
    let mut lab = Lab::on(site, &[open("open")]);
    let receiver = Receiver::glad();
    submit_ended(&lab.client, &receiver.url());
    let told = &receiver.until_told(1)[0];
    let signatures: Vec<_> = told.header("webhook-signature").split(' ').collect();
    assert_eq!(signatures.len(), 2);
    assert!(
        signatures
            .iter()
            .all(|signature| signature.starts_with("v1,"))
    );
    let warned = lab
        .api
        .says("others can read a secret's file; take that away with chmod o=");
    assert_eq!(warned["file"], file.to_str().unwrap());
    assert!(!lab.api.log().contains("whsec_"), "{}", lab.api.log());
}

#[test]
fn a_webhook_that_cannot_be_is_refused_before_there_is_a_job() {
    let lab = Lab::on(
        Site::new().set("WEBHOOK__SECRETS", &secret()),
        &[open("open")],
    );
    for (receiver, told) in [
        ("", "an http or https URL"),
        ("example.com/hook", "an http or https URL"),
        ("ftp://example.com/hook", "an http or https URL"),
        ("https://user:word@example.com/hook", "without user"),
        ("https://example.com/hook#part", "without a fragment"),
        ("http://127.0.0.1/hook", "internal"),
        ("http://2130706433/hook", "internal"),
        ("http://[::ffff:10.0.0.1]/hook", "internal"),
        ("http://169.254.169.254/latest/meta-data", "internal"),
        (
            &format!("https://example.com/{}", "a".repeat(2000)),
            "at most 2000",
        ),
    ] {
        let answer = lab.client.post(&url("open", receiver), "1");
        let problem = assert_problem(&answer, 400, "bad-request");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("webhook: ") && detail.contains(told),
            "{detail}"
        );
        let checked = format!("{}&validate_only=true", url("open", receiver));
        assert_eq!(lab.client.post(&checked, "1").status, 400, "{receiver}");
    }
    let fine = url("open", "https://example.com/hook");
    for query in ["&webhook=https%3A%2F%2Fexample.com", "&webhok=x"] {
        let answer = lab.client.post(&format!("{fine}{query}"), "1");
        assert_problem(&answer, 400, "bad-request");
    }
    let checked = lab.client.post(&format!("{fine}&validate_only=true"), "1");
    assert_eq!(checked.status, 200, "{}", checked.text());
    assert_eq!(lab.requests(), [""; 0]);
}

#[test]
fn without_a_secret_no_webhook_is_taken() {
    let lab = Lab::with(&[open("open")]);
    let answer = lab
        .client
        .post(&url("open", "https://example.com/hook"), "1");
    let problem = assert_problem(&answer, 400, "bad-request");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("webhook.secrets")
    );
}

#[test]
fn a_webhook_belongs_to_its_submission_and_to_no_rerun() {
    let lab = lab();
    let receiver = Receiver::glad();
    let send = |url: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "a"),
        ];
        lab.client.send("POST", url, &headers, Some("1"))
    };
    let first = send(&url("open", &receiver.url()));
    assert_eq!(first.status, 202);
    let again = send(&url("open", &receiver.url()));
    assert_eq!(again.json()["uuid"], first.json()["uuid"]);
    for other in [
        url("open", &receiver.named_url()),
        "/api/v1/jobs/open".into(),
    ] {
        assert_problem(&send(&other), 422, "idempotency-key-reused");
    }
    let uuid = first.json()["uuid"].as_str().unwrap().to_owned();
    let rerun = format!("/api/v1/jobs/{uuid}/rerun");
    let without = lab.client.post(&rerun, "").json()["uuid"].clone();
    let asked = format!("{rerun}?webhook={}", encoded(&receiver.url()));
    let with = lab.client.post(&asked, "").json()["uuid"].clone();
    let record = |uuid: &Value| {
        lab.site
            .shared(&format!("webhook/{}.json", uuid.as_str().unwrap()))
    };
    assert!(!record(&without).exists() && record(&with).exists());
}

#[test]
fn what_a_killed_process_left_is_delivered_by_the_next() {
    let site = site().set("WEBHOOK__PAUSES", "1s");
    let lab = Lab::on(site, &[open("open")]);
    let receiver = Receiver::start(vec![status(500), status(200)]);
    let uuid = submit_ended(&lab.client, &receiver.url());
    let first = until_record(&lab, &uuid, |record| record["tries"] == 1);
    assert_eq!(first["last_status"], 500);
    let Lab { site, api, .. } = lab;
    api.kill();
    let lab = Lab::start(site);
    let record = until_record(&lab, &uuid, is_over);
    assert_eq!(
        (&record["tries"], &record["last_status"]),
        (&json!(2), &json!(200))
    );
    let told = receiver.told();
    assert_eq!(told[0].header("webhook-id"), told[1].header("webhook-id"));
    assert_eq!((told.len(), &told[0].body), (2, &told[1].body));
}

#[test]
fn a_job_that_ends_while_no_api_runs_is_told_when_one_starts() {
    let site = site();
    let go = site.path("go");
    // A script may be another user.
    mknodat(CWD, &go, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    site.app(
        "open",
        &format!("open({:?}).close(); print(1)", go.to_str().unwrap()),
    );
    let worker = site.worker();
    let receiver = Receiver::glad();
    let api = site.api();
    let uuid = submit(&api.client(), &receiver.url());
    api.client().until_status(&uuid, "processing", PATIENCE);
    api.kill();
    drop(std::fs::File::options().write(true).open(&go).unwrap());
    until("the end of the job", PATIENCE, || {
        (site.index()["jobs"][0]["status"] == "done").then_some(())
    });
    assert!(receiver.told().is_empty());
    let _api = site.api();
    assert_eq!(receiver.until_told(1)[0].job(), uuid);
    drop(worker);
}

#[test]
fn of_two_processes_one_delivers_and_the_other_takes_over() {
    let lab = lab();
    let other = lab.site.api();
    let receiver = Receiver::start(vec![status(503), status(200)]);
    let clients = [lab.client.clone(), other.client()];
    let submit_some = || -> HashSet<String> {
        let clients = clients.iter().cycle().take(20);
        clients
            .map(|client| submit_ended(client, &receiver.url()))
            .collect()
    };
    let first = submit_some();
    let records: Vec<_> = first
        .iter()
        .map(|uuid| until_record(&lab, uuid, is_over))
        .collect();
    let tries: u64 = records
        .iter()
        .map(|record| record["tries"].as_u64().unwrap())
        .sum();
    let mut counts: HashMap<String, u64> = HashMap::new();
    for told in receiver.told() {
        *counts.entry(told.job()).or_default() += 1;
    }
    assert_eq!(counts.keys().cloned().collect::<HashSet<_>>(), first);
    assert_eq!(counts.values().sum::<u64>(), tries, "each try is sent once");
    assert_eq!(tries, 21, "the first of all failed, and nothing else");

    let logs = [lab.api.log(), other.log()];
    let delivers = "this process delivers";
    let who: Vec<_> = logs.iter().map(|log| log.contains(delivers)).collect();
    assert_eq!(who.iter().filter(|delivers| **delivers).count(), 1);
    // The one that delivers dies; the other one takes over, and tells of jobs that it took and of others.
    let second = submit(&clients[0], &receiver.url());
    let third = submit(&clients[1], &receiver.url());
    let Lab {
        site, api, client, ..
    } = lab;
    let left = if who[0] {
        api.kill();
        other.client()
    } else {
        other.kill();
        client
    };
    for uuid in [&second, &third] {
        cancel(&left, uuid);
    }
    let told = receiver.until_told(23);
    let told: HashSet<_> = told[21..].iter().map(Told::job).collect();
    assert_eq!(told, HashSet::from([second, third]));
    drop(site);
}

#[test]
fn a_slow_receiver_holds_up_neither_others_nor_the_shutdown() {
    let mut lab = lab();
    let slow = Receiver::start(vec![Reaction::Silence]);
    let (endless, glad) = (Receiver::start(vec![Reaction::Endless]), Receiver::glad());
    for _ in 0..6 {
        submit_ended(&lab.client, &slow.url());
    }
    slow.until_told(4);
    let uuid = submit_ended(&lab.client, &glad.url());
    assert_eq!(glad.until_told(1)[0].job(), uuid);
    let uuid = submit_ended(&lab.client, &endless.url());
    until_record(&lab, &uuid, |record| record["last_status"] == 200);
    assert_eq!(slow.told().len(), 4, "no more than four at once");
    let asked = Instant::now();
    lab.end_api();
    assert!(asked.elapsed().as_secs() < 10, "{:?}", asked.elapsed());
}

#[test]
fn a_name_that_means_this_machine_is_refused_when_it_is_connected_to() {
    let lab = Lab::on(site().set("WEBHOOK__ALLOW", ""), &[open("open")]);
    let receiver = Receiver::glad();
    let uuid = submit_ended(&lab.client, &receiver.named_url());
    let record = until_record(&lab, &uuid, is_over);
    assert_eq!(record["tries"], 6);
    let error = record["last_error"].as_str().unwrap();
    assert!(error.contains("internal addresses"), "{error}");
    assert!(receiver.told().is_empty());
}

#[test]
fn a_receiver_that_is_not_allowed_any_more_is_not_told() {
    let lab = lab();
    let receiver = Receiver::glad();
    let uuid = submit(&lab.client, &receiver.url());
    let Lab { site, api, .. } = lab;
    api.kill();
    let lab = Lab::start(site.set("WEBHOOK__ALLOW", "10.0.0.0/8"));
    cancel(&lab.client, &uuid);
    let record = until_record(&lab, &uuid, is_over);
    assert!(record["last_error"].as_str().unwrap().contains("internal"));
    assert!(receiver.told().is_empty());
}

#[test]
fn an_api_without_a_secret_says_that_webhooks_wait() {
    let lab = lab();
    submit(&lab.client, "https://example.com/hook");
    let Lab { site, api, .. } = lab;
    api.kill();
    let mut lab = Lab::start(site.set("WEBHOOK__SECRETS", ""));
    lab.api.says(
        "webhooks wait in the folder, and this process delivers none: webhook.secrets are not set",
    );
}

#[test]
fn a_redirect_is_not_followed() {
    let lab = lab();
    let target = Receiver::glad();
    let location = format!("location: {}\r\n", target.url());
    let receiver = Receiver::start(vec![Reaction::Answer(307, location)]);
    let uuid = submit_ended(&lab.client, &receiver.url());
    let record = until_record(&lab, &uuid, is_over);
    assert_eq!(
        (&record["tries"], &record["last_status"]),
        (&json!(6), &json!(307))
    );
    assert!(target.told().is_empty());
}

#[test]
fn a_receiver_that_is_gone_is_not_asked_again() {
    let mut lab = lab();
    let receiver = Receiver::start(vec![status(410)]);
    let uuid = submit_ended(&lab.client, &receiver.url());
    let given_up = "a webhook is given up; bcrl webhooks replay sends it anew";
    assert_eq!(lab.api.says(given_up)["job.id"], uuid);
    let record = until_record(&lab, &uuid, is_over);
    assert_eq!((&record["tries"], receiver.told().len()), (&json!(1), 1));
    assert!(record.get("delivered_date").is_none());
}

#[test]
fn a_wish_for_a_pause_is_granted() {
    let lab = lab();
    let wish = Reaction::Answer(503, "retry-after: 3600\r\n".into());
    let receiver = Receiver::start(vec![wish]);
    let uuid = submit_ended(&lab.client, &receiver.url());
    let record = until_record(&lab, &uuid, |record| record["tries"] == 1);
    let date = |text: &Value| {
        text.as_str()
            .unwrap()
            .parse::<job_core::date::Date>()
            .unwrap()
    };
    let ended = date(&lab.client.job(&uuid)["finished_date"]);
    let pause = date(&record["next_date"]).since(ended);
    assert!(pause.num_minutes() >= 60, "{pause}");
}

#[test]
fn records_that_are_none_are_made_again_and_stop_nobody() {
    let lab = lab();
    let receiver = Receiver::glad();
    let [damaged, lost, sound] = [0, 1, 2].map(|_| submit(&lab.client, &receiver.url()));
    let Lab { site, api, .. } = lab;
    api.kill();
    let record = |uuid: &str| site.shared(&format!("webhook/{uuid}.json"));
    std::fs::write(record(&damaged), "{").unwrap();
    std::fs::remove_file(record(&lost)).unwrap();
    std::fs::create_dir(record(&lost)).unwrap();
    let lab = Lab::start(site);
    for uuid in [&damaged, &lost, &sound] {
        cancel(&lab.client, uuid);
    }
    let told: HashSet<_> = receiver.until_told(3).iter().map(Told::job).collect();
    assert_eq!(told, HashSet::from([damaged, lost, sound]));
    let aside = lab.names("quarantine");
    assert_eq!(aside.len(), 5, "two, their reasons, and late/: {aside:?}");
}

#[test]
fn a_try_that_cannot_be_noted_is_not_repeated_and_stops_nobody() {
    let mut lab = lab();
    let receiver = Receiver::glad();
    let unnoted = submit(&lab.client, &receiver.url());
    // Whoever was told of a later one has read the record of the first.
    submit_ended(&lab.client, &receiver.url());
    receiver.until_told(1);
    // A file cannot be renamed to where a folder stands.
    let path = lab.site.shared(&format!("webhook/{unnoted}.json"));
    let aside = path.with_extension("aside");
    let exchange = || renameat_with(CWD, &path, CWD, &aside, RenameFlags::EXCHANGE).unwrap();
    std::fs::create_dir(&aside).unwrap();
    exchange();
    cancel(&lab.client, &unnoted);
    let warning = "what came of a webhook cannot be noted yet; after a restart before that it is sent again, as the same event";
    assert_eq!(lab.api.says(warning)["job.id"], unnoted);
    let last = submit_ended(&lab.client, &receiver.url());
    until_record(&lab, &last, is_over);
    let told: Vec<_> = receiver.told().iter().map(Told::job).collect();
    assert_eq!(told[1..], [unnoted.clone(), last]);
    // Once it can be noted it is.
    exchange();
    until_record(&lab, &unnoted, |record| record["tries"] == 1);
    assert_eq!(receiver.told().len(), 3);
}

#[test]
fn an_event_that_is_asked_for_again_is_the_same_event() {
    let lab = lab();
    let receiver = Receiver::glad();
    let uuid = submit_ended(&lab.client, &receiver.url());
    until_record(&lab, &uuid, is_over);
    std::fs::write(lab.site.shared(&format!("webhook/{uuid}.replay")), "").unwrap();
    let told = receiver.until_told(2);
    assert_eq!(told[0].header("webhook-id"), told[1].header("webhook-id"));
    assert_eq!(told[0].body, told[1].body);
    until_record(&lab, &uuid, |record| {
        is_over(record) && record["tries"] == 1
    });
    let mark = format!("{uuid}.replay");
    assert!(!lab.names("webhook").contains(&mark));
}
