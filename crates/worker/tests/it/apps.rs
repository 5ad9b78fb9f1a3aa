//! The apps folder, changed under a running worker and a running API server.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use test_support::{Client, Site, until};

use crate::support::{
    PATIENCE, answer, app, bcrl_worker, document, heartbeats, leave, note, result, start, text,
};

fn names(client: &Client) -> Vec<Value> {
    let apis = client.get("/api/v1/apis").json();
    let apis = apis["apis"].as_array().unwrap().iter();
    apis.map(|api| api["name"].clone()).collect()
}

#[track_caller]
fn until_names(client: &Client, expected: &[&str]) {
    until(&format!("the APIs {expected:?}"), PATIENCE, || {
        (names(client) == expected).then_some(())
    });
}

#[track_caller]
fn until_problems(site: &Site, expected: &[&str]) {
    until(&format!("the problems {expected:?}"), PATIENCE, || {
        (heartbeats(site)[0]["problems"] == json!(expected)).then_some(())
    });
}

#[test]
fn a_folder_that_comes_is_an_api_and_one_that_goes_leaves_its_jobs_waiting() {
    let site = Site::new().set("WORKER__CONCURRENCY", "1");
    app(&site, "first", "", "leave('in')\nwait_for('go')\nprint(1)");
    let pair = start(&site, "first");
    until_names(&pair.client, &["first"]);

    app(
        &site,
        "fit",
        "route = \"POST /api/v1/fit\"",
        "print(sys.stdin.read())",
    );
    until_names(&pair.client, &["first", "fit"]);
    let answered = pair.client.post("/api/v1/fit", "42");
    assert_eq!(answered.status, 202, "{}", answered.text());
    assert_eq!(
        result(&pair.client, answered.json()["uuid"].as_str().unwrap()),
        42
    );

    // One job runs, two wait; then the folder goes.
    let running = pair.client.submit("first", "{}");
    note(&site, "in");
    let [waiting, other] = ["first", "fit"].map(|api| pair.client.submit(api, "7"));
    let aside = site.path("first.aside");
    std::fs::rename(site.path("apps/first"), &aside).unwrap();
    until_names(&pair.client, &["fit"]);
    assert_eq!(pair.client.post("/api/v1/jobs/first", "{}").status, 404);
    leave(&site, "go");
    assert_eq!(result(&pair.client, &other), 7);
    assert_eq!(
        result(&pair.client, &running),
        1,
        "a run goes on to its end"
    );
    assert_eq!(pair.client.job(&waiting)["status"], "pending");

    std::fs::rename(&aside, site.path("apps/first")).unwrap();
    assert_eq!(result(&pair.client, &waiting), 1);
}

#[test]
fn a_script_that_changes_is_run_as_it_is_then() {
    let site = Site::new();
    site.app("fit", "print(1)");
    let pair = start(&site, "fit");
    assert_eq!(answer(&pair.client, "fit", "{}"), 1);
    let digest = |uuid: &str| {
        document(&site, &format!("receipt/{uuid}.json")).unwrap()["sha256"]["app"].clone()
    };
    let before = pair.client.submit("fit", "{}");
    result(&pair.client, &before);
    site.app("fit", "print(2)");
    assert_eq!(answer(&pair.client, "fit", "{}"), 2);
    until("the new digest in a receipt", PATIENCE, || {
        let uuid = pair.client.submit("fit", "{}");
        assert_eq!(result(&pair.client, &uuid), 2);
        (digest(&uuid) != digest(&before)).then_some(())
    });
}

#[test]
fn a_broken_folder_is_left_out_with_file_and_line_until_it_is_mended() {
    let site = Site::new();
    app(&site, "sound", "", "print(1)");
    app(&site, "fit", "\ntimout = \"1s\"", "print(2)");
    site.put(
        "apps/curve/request.schema.json",
        "{\n  \"type\": \"objekt\"\n}",
    );
    site.app("curve", "print(3)");
    site.put("apps/half/api.toml", "");
    let mut pair = start(&site, "sound");
    until_names(&pair.client, &["sound"]);
    assert_eq!(pair.client.post("/api/v1/jobs/fit", "{}").status, 404);
    let at = |file: &str| site.path("apps").join(file).display().to_string();
    let problems = [
        format!(
            "{}, line 2: at \"/type\": \"objekt\" is not valid under any of the schemas listed in the 'anyOf' keyword",
            at("curve/request.schema.json")
        ),
        format!("{}, line 2: unknown field `timout`", at("fit/api.toml")),
        format!("{}: there is no such file", at("half/main.py")),
    ];
    let beat = heartbeats(&site).remove(0);
    let told = beat["problems"].as_array().unwrap();
    assert_eq!(told.len(), 3, "{told:?}");
    for (told, problem) in told.iter().zip(&problems) {
        let told = told.as_str().unwrap();
        assert!(told.starts_with(problem), "{told}");
        let line = pair.worker.says(&format!("an app is left out: {told}"));
        assert_eq!(line["level"], "WARN");
    }
    assert_eq!(answer(&pair.client, "sound", "{}"), 1);

    app(&site, "fit", "timeout = \"1m\"", "print(2)");
    site.put("apps/curve/request.schema.json", "{\"type\": \"object\"}");
    site.app("half", "print(4)");
    until_names(&pair.client, &["curve", "fit", "half", "sound"]);
    until_problems(&site, &[]);
    assert_eq!(pair.client.post("/api/v1/jobs/curve", "[]").status, 422);
    for (api, printed) in [("fit", 2), ("curve", 3), ("half", 4)] {
        assert_eq!(answer(&pair.client, api, "{}"), printed);
    }

    // One that breaks while it is offered is offered no longer.
    site.put("apps/fit/api.toml", "timeout = 1");
    until_names(&pair.client, &["curve", "half", "sound"]);
    until("the problem in the heartbeat", PATIENCE, || {
        let beat = heartbeats(&site).remove(0);
        (beat["problems"].as_array().unwrap().len() == 1).then_some(())
    });
}

#[test]
fn an_apps_folder_that_is_missing_is_a_problem_until_it_comes() {
    let site = Site::new();
    std::fs::remove_dir(site.path("apps")).unwrap();
    let _worker = site.worker();
    let api = site.api();
    let beat = heartbeats(&site).remove(0);
    let problem = beat["problems"][0].as_str().unwrap().to_owned();
    assert!(
        problem.contains("the folder of the apps cannot be listed"),
        "{problem}"
    );
    app(&site, "fit", "", "print(1)");
    api.client().until_api("fit", PATIENCE);
    assert_eq!(answer(&api.client(), "fit", "{}"), 1);
}

#[test]
fn a_folder_that_was_prepared_is_run_with_its_own_python_from_then_on() {
    let site = Site::new();
    app(&site, "fit", "", "print(json.dumps(sys.prefix))");
    site.put("apps/fit/requirements.txt", "# nothing yet\n");
    let pair = start(&site, "fit");
    let prefix = site.path("apps/fit/.venv");
    assert_ne!(
        answer(&pair.client, "fit", "{}"),
        prefix.to_string_lossy().as_ref()
    );
    let output = bcrl_worker(&site, &["prepare"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    until("the folder's own Python", PATIENCE, || {
        (answer(&pair.client, "fit", "{}") == prefix.to_string_lossy().as_ref()).then_some(())
    });
}

#[test]
fn a_python_that_is_mended_is_tried_again() {
    let site = Site::new();
    app(&site, "fit", "python = \"run\"", "print(1)");
    let run = site.put("apps/fit/run", "#!/bin/sh\nexec python3 \"$@\"\n");
    let mut pair = start(&site, "fit");
    let failing: Vec<_> = (0..5).map(|_| pair.client.submit("fit", "{}")).collect();
    for uuid in &failing {
        let job = pair.client.until_ended(uuid, PATIENCE);
        assert_eq!(job["failure"]["reason"], "spawn_error", "{job}");
    }
    pair.worker
        .says("the script cannot be started: the API is not claimed until its folder changes");
    let waiting = pair.client.submit("fit", "{}");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(run, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(result(&pair.client, &waiting), 1);
}

#[test]
fn a_catalog_that_was_damaged_or_removed_is_published_again() {
    let site = Site::new();
    app(&site, "echo", "", "print(sys.stdin.read())");
    let pair = start(&site, "echo");
    let folder = site.shared("catalog");
    let name = crate::support::names(&folder)
        .into_iter()
        .find(|name| name.ends_with(".json"))
        .unwrap();
    let file = folder.join(name);
    let whole = std::fs::read(&file).unwrap();
    let half = whole[..whole.len() / 2].to_vec();
    for damage in [
        &|| std::fs::write(&file, &half),
        &|| std::fs::remove_file(&file),
        &|| std::fs::remove_file(&file).and_then(|()| symlink(site.path("apps"), &file)),
    ] as [&dyn Fn() -> std::io::Result<()>; 3]
    {
        damage().unwrap();
        until("a whole catalog", PATIENCE, || {
            let plain = file.symlink_metadata().is_ok_and(|found| found.is_file());
            (plain && std::fs::read(&file).unwrap() == whole).then_some(())
        });
    }
    until_names(&pair.client, &["echo"]);
    assert_eq!(answer(&pair.client, "echo", "{\"n\":1}"), json!({ "n": 1 }));
}
