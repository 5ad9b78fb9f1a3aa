//! The list of jobs: its order, its filters, and its pages.

use serde_json::{Value, json};
use test_support::Site;

use crate::support::{Lab, assert_no_null, assert_problem, open, publish};

/// The ids of a list's answer.
fn ids(list: &Value) -> Vec<&str> {
    let jobs = list["jobs"].as_array().unwrap();
    jobs.iter()
        .map(|job| job["uuid"].as_str().unwrap())
        .collect()
}

#[test]
fn the_newest_job_stands_first() {
    let lab = Lab::with(&[open("open")]);
    assert_eq!(lab.client.get("/api/v1/jobs").json(), json!({"jobs": []}));
    let submitted: Vec<_> = (0..3)
        .map(|n| lab.client.submit("open", &n.to_string()))
        .collect();
    let answer = lab.client.get("/api/v1/jobs");
    assert_eq!((answer.status, answer.header("link")), (200, None));
    let list = answer.json();
    assert_no_null(&list);
    assert_eq!(ids(&list), submitted.iter().rev().collect::<Vec<_>>());
    let this = format!("/api/v1/jobs/{}", submitted[2]);
    assert_eq!(
        list["jobs"][0],
        json!({
            "uuid": submitted[2], "api": "open", "label": "openのAPI", "status": "pending",
            "request_date": list["jobs"][0]["request_date"], "updated_date": list["jobs"][0]["request_date"],
            "links": {
                "self": this, "result": format!("{this}/result"), "events": format!("{this}/events"),
                "log": format!("{this}/log"),
            },
        })
    );
}

#[test]
fn filters_show_what_fits_all_of_them() {
    let lab = Lab::with(&[open("a"), open("b")]);
    let submit = |api: &str| {
        let job = lab.client.post(&format!("/api/v1/jobs/{api}"), "1").json();
        let date = job["request_date"].as_str().unwrap().replace('+', "%2B");
        (job["uuid"].as_str().unwrap().to_owned(), date)
    };
    let [(a1, _), (b1, noon), (a2, _), (b2, _)] = ["a", "b", "a", "b"].map(submit);
    lab.client
        .send("DELETE", &format!("/api/v1/jobs/{a2}"), &[], None);
    let listed = |query: &str| {
        let list = lab.client.get(&format!("/api/v1/jobs?{query}")).json();
        ids(&list)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let all = [b2, a2, b1, a1];
    let [b2, a2, b1, a1] = &all;
    assert_eq!(listed("api=a"), [a2.as_str(), a1]);
    assert_eq!(listed("status=canceled"), [a2.as_str()]);
    assert_eq!(listed("status=pending&api=a"), [a1.as_str()]);
    assert_eq!(listed("status=done"), [""; 0]);
    assert_eq!(listed("api=nobody"), [""; 0]);
    assert_eq!(listed(""), all);
    // Two of one millisecond are on the same side.
    let (since, before) = (
        listed(&format!("from={noon}")),
        listed(&format!("to={noon}")),
    );
    assert!(since.contains(b1) && since.contains(b2) && !before.contains(b1));
    assert_eq!([since, before].concat(), all);
    assert_eq!(listed("from=2999-01-01T00:00:00Z"), [""; 0]);
    assert_eq!(
        listed("to=2999-01-01T09:00:00%2B09:00&limit=1"),
        [b2.as_str()]
    );
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let lab = Lab::with(&[open("a"), open("b")]);
    let mut due: Vec<_> = (0..7)
        .map(|n| lab.client.submit("a", &n.to_string()))
        .collect();
    lab.client.submit("b", "1");
    due.reverse();
    let mut seen: Vec<String> = Vec::new();
    let mut path = "/api/v1/jobs?api=a&limit=3".to_owned();
    let mut sizes = Vec::new();
    loop {
        let answer = lab.client.get(&path);
        let list = answer.json();
        sizes.push(ids(&list).len());
        seen.extend(ids(&list).into_iter().map(str::to_owned));
        // Between two pages there comes a job, which belongs on a page that was read already.
        lab.client.submit("a", "0");
        let Some(next) = list["next"].as_str() else {
            assert_eq!(answer.header("link"), None);
            break;
        };
        path = format!("/api/v1/jobs?api=a&limit=3&cursor={next}");
        assert_eq!(
            answer.header("link"),
            Some(format!("<{path}>; rel=\"next\"").as_str())
        );
    }
    assert_eq!((sizes, seen), (vec![3, 3, 1], due));
}

#[test]
fn the_oldest_come_first_where_that_is_asked_for() {
    let lab = Lab::with(&[open("a")]);
    let due: Vec<_> = (0..5)
        .map(|n| lab.client.submit("a", &n.to_string()))
        .collect();
    let page = |query: &str| lab.client.get(&format!("/api/v1/jobs?{query}"));
    let first = page("order=oldest&limit=3").json();
    let next = first["next"].as_str().unwrap();
    let rest = page(&format!("order=oldest&limit=3&cursor={next}")).json();
    assert_eq!([ids(&first), ids(&rest)].concat(), due);
    assert_eq!(rest.get("next"), None);
    assert_problem(&page(&format!("cursor={next}")), 400, "bad-request");
    assert_problem(&page("order=up"), 400, "bad-request");
}

#[test]
fn a_list_goes_on_where_the_last_job_of_a_page_was_removed() {
    let lab = Lab::with(&[open("a")]);
    let jobs: Vec<_> = (0..3)
        .map(|n| lab.client.submit("a", &n.to_string()))
        .collect();
    let first = lab.client.get("/api/v1/jobs?limit=2").json();
    let next = first["next"].as_str().unwrap();
    let held = lab.lock();
    let index = lab.read("request/status.json");
    let kept: Vec<_> = index
        .lines()
        .filter(|line| !line.contains(&jobs[1]))
        .collect();
    std::fs::remove_file(lab.site.shared(&format!("request/{}.json", jobs[1]))).unwrap();
    lab.site
        .put("data/shared/bcrlapi/request/status.json", &kept.join("\n"));
    drop(held);
    let rest = lab
        .client
        .get(&format!("/api/v1/jobs?limit=2&cursor={next}"));
    assert_eq!(ids(&rest.json()), [&jobs[0]]);
}

#[test]
fn a_page_that_is_just_full_is_the_last_one() {
    let lab = Lab::with(&[open("open")]);
    lab.client.submit("open", "1");
    lab.client.submit("open", "2");
    let list = lab.client.get("/api/v1/jobs?limit=2").json();
    assert_eq!((ids(&list).len(), list.get("next")), (2, None));
}

#[test]
fn a_page_holds_a_thousand_jobs_at_most_and_a_hundred_where_nothing_is_said() {
    let site = Site::new();
    publish(&site, "app1", &[open("open")]);
    let date = "2026-11-20T12:00:00.000+09:00";
    let mut entries = Vec::new();
    std::fs::create_dir_all(site.shared("request")).unwrap();
    for n in 0..1001 {
        let uuid = uuid::Uuid::from_u128(0x0190_a6f0_1c2d_7abc_8def_0000_0000_0000 + n);
        let request =
            json!({"uuid": uuid, "api": "open", "request_date": date, "params": n as u64});
        let path = site.shared(&format!("request/{uuid}.json"));
        std::fs::write(path, request.to_string()).unwrap();
        entries
            .push(json!({"uuid": uuid, "api": "open", "status": "pending", "request_date": date}));
    }
    let index = json!({"jobs": entries}).to_string();
    std::fs::write(site.shared("request/status.json"), index).unwrap();
    let lab = Lab::start(site);
    let size = |query: &str| ids(&lab.client.get(&format!("/api/v1/jobs{query}")).json()).len();
    assert_eq!(size(""), 100);
    for limit in ["1000", "1001", "9223372036854775807"] {
        assert_eq!(size(&format!("?limit={limit}")), 1000, "{limit}");
    }
}

#[test]
fn what_was_ended_by_hand_is_settled_before_it_is_listed() {
    let lab = Lab::with(&[open("open")]);
    let [done, lost] = ["1", "2"].map(|body| lab.client.submit("open", body));
    let response = format!("data/shared/bcrlapi/response/{done}.json");
    let index = lab.read("request/status.json").replace("pending", "done");
    let held = lab.lock();
    lab.site.put(&response, "[1]");
    lab.site
        .put("data/shared/bcrlapi/request/status.json", &index);
    drop(held);
    let list = lab.client.get("/api/v1/jobs").json();
    assert_eq!(ids(&list), [&lost, &done]);
    let (lost, done) = (&list["jobs"][0], &list["jobs"][1]);
    assert_eq!(
        (&lost["status"], &lost["failure"]["reason"]),
        (&json!("failed"), &json!("result_missing"))
    );
    assert_eq!(done["status"], "done");
    assert!(lost["finished_date"].is_string() && done["finished_date"].is_string());
}
