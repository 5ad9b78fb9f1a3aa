//! Which jobs run when: slots, limits, order, and what wakes a worker.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use job_core::date::Date;
use serde_json::{Value, json};
use test_support::{Client, Site, until};

use crate::support::{
    NEVER, PATIENCE, answer, app, heartbeats, leave, note, result, start, without_worker,
};

fn statuses(client: &Client, jobs: &[String]) -> Vec<Value> {
    let status = |uuid: &String| client.job(uuid)["status"].clone();
    jobs.iter().map(status).collect()
}

#[test]
fn as_many_jobs_run_at_once_as_the_worker_has_slots() {
    let site = Site::new().set("WORKER__CONCURRENCY", "2");
    let wait = "leave('in-' + os.environ['BCRL_JOB'])\nwait_for('go')\nprint(1)";
    app(&site, "slow", "", wait);
    let pair = start(&site, "slow");
    let jobs = [1, 2, 3].map(|_| pair.client.submit("slow", "{}"));
    note(&site, &format!("in-{}", jobs[0]));
    note(&site, &format!("in-{}", jobs[1]));
    let both = [&jobs[0], &jobs[1]].map(|uuid| json!(uuid));
    // The heartbeat that names both was written after both were claimed, and the third was not.
    until("both in the heartbeat", PATIENCE, || {
        let beat = heartbeats(&site).remove(0);
        let running = beat["jobs"].as_array().unwrap();
        let named = |uuid: &&Value| running.iter().any(|job| job["uuid"] == **uuid);
        (both.iter().filter(named).count() == 2).then(|| assert_eq!(running.len(), 2))
    });
    assert_eq!(
        statuses(&pair.client, &jobs),
        ["processing", "processing", "pending"]
    );
    assert_eq!(pair.client.job(&jobs[2])["queue_position"], 1);
    leave(&site, "go");
    for uuid in &jobs {
        assert_eq!(result(&pair.client, uuid), 1);
    }
}

#[test]
fn an_apis_own_limit_counts_over_two_workers_and_holds_up_no_other() {
    let site = Site::new()
        .set("WORKER__CONCURRENCY", "3")
        .set("WORKER__CRON", NEVER);
    // A folder can be made once: whoever is not alone fails.
    let alone = "
os.mkdir(GATE + '/alone')
leave('in')
wait_for('go')
time.sleep(0.01)
os.rmdir(GATE + '/alone')
print(1)
";
    app(&site, "single", "concurrency = 1", alone);
    app(&site, "free", "", "print(2)");
    let pair = start(&site, "single");
    let _second = site.worker();
    let jobs: Vec<_> = (0..6).map(|_| pair.client.submit("single", "{}")).collect();
    note(&site, "in");
    assert_eq!(answer(&pair.client, "free", "{}"), 2);
    let mut expected = vec![json!("pending"); 6];
    expected[0] = json!("processing");
    assert_eq!(statuses(&pair.client, &jobs), expected);
    leave(&site, "go");
    for uuid in &jobs {
        assert_eq!(result(&pair.client, uuid), 1);
    }
}

#[test]
fn two_workers_of_one_name_work_side_by_side() {
    let site = Site::new()
        .set("WORKER__NAME", "twin")
        .set("WORKER__CONCURRENCY", "1");
    // Each needs the other one: a single worker could not run both at once.
    let meet = "
request = json.load(sys.stdin)
leave('here-%d' % request['me'])
wait_for('here-%d' % request['other'])
print(1)
";
    app(&site, "meet", "", meet);
    let pair = start(&site, "meet");
    let second = site.worker();
    let jobs = [
        pair.client.submit("meet", r#"{"me":1,"other":2}"#),
        pair.client.submit("meet", r#"{"me":2,"other":1}"#),
    ];
    let workers = jobs.map(|uuid| {
        result(&pair.client, &uuid);
        pair.client.job(&uuid)["worker"]
            .as_str()
            .unwrap()
            .to_owned()
    });
    assert_ne!(workers[0], workers[1]);
    assert!(workers.iter().all(|worker| worker.starts_with("twin-")));
    // The catalog is both's: it stays when one of them leaves.
    assert!(second.stop(PATIENCE).success());
    assert_eq!(heartbeats(&site).len(), 1);
    assert_eq!(
        pair.client.get("/api/v1/apis").json()["apis"][0]["name"],
        "meet"
    );
}

#[test]
fn two_workers_of_one_name_with_different_apps_offer_all_of_them() {
    let site = Site::new().set("WORKER__NAME", "twin");
    app(&site, "first", "", "print(1)");
    let pair = start(&site, "first");
    let shared = site.shared("").to_string_lossy().into_owned();
    let other = Site::new()
        .set("WORKER__NAME", "twin")
        .set("SHARED_DIR", &shared);
    app(&other, "second", "", "print(2)");
    let second = other.worker();
    pair.client.until_api("second", PATIENCE);
    for (api, printed) in [("first", 1), ("second", 2)] {
        let uuid = pair.client.submit(api, "{}");
        assert_eq!(result(&pair.client, &uuid), printed);
    }
    assert!(second.stop(PATIENCE).success());
    until("the second worker's API is gone", PATIENCE, || {
        let apis = pair.client.get("/api/v1/apis").json();
        let names: Vec<_> = apis["apis"]
            .as_array()
            .unwrap()
            .iter()
            .map(|api| api["name"].clone())
            .collect();
        (names == ["first"]).then_some(())
    });
}

#[test]
fn jobs_are_started_in_the_order_of_their_entries() {
    let site = Site::new().set("WORKER__CONCURRENCY", "1");
    let order = "open(GATE + '/order', 'a').write(os.environ['BCRL_JOB'] + '\\n')\nprint(1)";
    app(&site, "soc", "", order);
    app(&site, "add", "", order);
    // Each script may have another user.
    let everybody = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(site.put("gate/order", ""), everybody).unwrap();
    let (_api, client) = without_worker(&site, "soc");
    let apis = ["soc", "add", "add", "soc", "add", "soc"];
    let jobs = apis.map(|api| client.submit(api, "{}"));
    assert_eq!(client.job(&jobs[5])["queue_position"], 6);
    let index = site.index();
    let entries = index["jobs"].as_array().unwrap().iter();
    let entries: Vec<_> = entries
        .map(|entry| entry["uuid"].as_str().unwrap())
        .collect();
    assert_eq!(entries, jobs);
    let _worker = site.worker();
    for uuid in &jobs {
        result(&client, uuid);
    }
    let started = std::fs::read_to_string(site.path("gate/order")).unwrap();
    assert_eq!(started.lines().collect::<Vec<_>>(), jobs);
}

#[test]
fn a_watching_worker_needs_no_tick() {
    for watch in ["true", "poll"] {
        let site = Site::new()
            .set("WORKER__WATCH", watch)
            .set("WORKER__CRON", NEVER);
        app(&site, "soc", "", "leave('in')\nwait_for('go')\nprint(1)");
        let pair = start(&site, "soc");
        let uuid = pair.client.submit("soc", "{}");
        note(&site, "in");
        leave(&site, "go");
        assert_eq!(result(&pair.client, &uuid), 1, "watch = {watch}");
    }
}

#[test]
fn a_free_slot_is_filled_although_nobody_watches() {
    let site = Site::new()
        .set("WORKER__WATCH", "false")
        .set("WORKER__CRON", NEVER)
        .set("WORKER__CONCURRENCY", "1");
    app(&site, "soc", "", "print(sys.stdin.read())");
    let (_api, client) = without_worker(&site, "soc");
    let jobs = [1, 2, 3].map(|n| client.submit("soc", &n.to_string()));
    let _worker = site.worker();
    for (n, uuid) in (1..).zip(&jobs) {
        assert_eq!(result(&client, uuid), n);
    }
}

#[test]
fn campaign_with_watching_off_a_job_starts_at_the_next_tick() {
    let site = Site::new().set("WORKER__WATCH", "false");
    app(&site, "soc", "", "print(1)");
    let pair = start(&site, "soc");
    // A worker looks once when it starts; a later heartbeat shows that this look is over.
    until("a later heartbeat", PATIENCE, || {
        (heartbeats(&site)[0]["counter"].as_u64() > Some(3)).then_some(())
    });
    let uuid = pair.client.submit("soc", "{}");
    let job = pair
        .client
        .until_status(&uuid, "done", Duration::from_secs(65));
    let minute = |date: &Value| -> i64 {
        let date: Date = date.as_str().unwrap().parse().unwrap();
        date.unix_millis().div_euclid(60_000)
    };
    assert_eq!(
        minute(&job["started_date"]),
        minute(&job["request_date"]) + 1,
        "{job}"
    );
}
