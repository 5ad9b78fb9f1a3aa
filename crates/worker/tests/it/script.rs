//! What a script gets, and what it may say while it runs.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use test_support::{Client, Site, until};

use crate::support::{PATIENCE, answer, app, leave, names, result, runs, start};

#[test]
fn the_body_comes_on_stdin_to_the_letter_and_argv_names_a_copy_of_the_request() {
    let site = Site::new();
    site.app(
        "echo",
        "import json, sys\nprint(json.dumps([sys.stdin.read(), sys.argv[1], open(sys.argv[1]).read(), len(sys.argv)]))",
    );
    let pair = start(&site, "echo");
    let body = "{\"b\" : 1.50,\n \"a\":[1e2, 123456789012345678901234567890 ],\t\"日\":\"\\u00e9本\", \"\":null}";
    let uuid = pair.client.submit("echo", body);
    let got = result(&pair.client, &uuid);
    assert_eq!(got[0], body);
    let kept = std::fs::read_to_string(site.shared(&format!("request/{uuid}.json"))).unwrap();
    assert_eq!(got[2], kept);
    assert!(kept.contains(&format!("\"params\":{body}")), "{kept}");
    let copy: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(copy["uuid"], uuid);
    assert_eq!(copy["api"], "echo");
    assert_eq!(copy["request_date"], pair.client.job(&uuid)["request_date"]);
    let path = got[1].as_str().unwrap();
    assert!(
        path.starts_with(&*site.path("data/scratch").to_string_lossy()),
        "a copy, not the fact itself: {path}"
    );
    assert_eq!(got[3], 2);
}

#[test]
fn the_environment_is_what_is_documented_and_nothing_of_the_workers() {
    let site = Site::new().set("KEY", "a secret of the worker");
    site.put(
        "apps/fit/api.toml",
        "environment = { OMP_NUM_THREADS = \"1\", LANG = \"ja_JP.UTF-8\" }",
    );
    site.app(
        "fit",
        "import json, os\nlines = open('/proc/self/environ').read().split('\\0')\n\
         tmp = os.environ['TMPDIR']\nopen(tmp + '/mine', 'w').close()\n\
         print(json.dumps([dict(line.split('=', 1) for line in lines if line), os.listdir(tmp)]))",
    );
    let pair = start(&site, "fit");
    let uuid = pair.client.submit("fit", "{}");
    let got = result(&pair.client, &uuid);
    let environment: BTreeMap<String, String> = serde_json::from_value(got[0].clone()).unwrap();
    let run = site.path(&format!("data/scratch/{uuid}-1"));
    let (tmp, progress) = (run.join("tmp"), run.join("progress"));
    let expected = [
        ("BCRL_JOB", &*uuid),
        ("BCRL_API", "fit"),
        ("BCRL_ATTEMPT", "1"),
        ("BCRL_PROGRESS", &*progress.to_string_lossy()),
        ("TMPDIR", &*tmp.to_string_lossy()),
        ("HOME", &*tmp.to_string_lossy()),
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("LANG", "ja_JP.UTF-8"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONNOUSERSITE", "1"),
        ("PYTHONUTF8", "1"),
        ("OMP_NUM_THREADS", "1"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(environment, BTreeMap::from(expected));
    assert_eq!(got[1], json!(["mine"]), "the folder is its own and empty");
}

#[test]
fn a_script_is_told_of_its_clients_trace() {
    let site = Site::new();
    let print = "import json, os\nprint(json.dumps(os.environ.get('TRACEPARENT')))";
    site.app("fit", print);
    let pair = start(&site, "fit");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (sent, told) in [(trace, json!(trace)), ("00-nonsense-01", Value::Null)] {
        let headers = [("content-type", "application/json"), ("traceparent", sent)];
        let url = "/api/v1/jobs/fit";
        let job = pair.client.send("POST", url, &headers, Some("{}")).json();
        assert_eq!(result(&pair.client, job["uuid"].as_str().unwrap()), told);
    }
}

#[test]
fn a_script_runs_in_its_folder_and_imports_the_module_beside_it() {
    let site = Site::new();
    site.put("apps/fit/helper.py", "FACTOR = 7");
    site.put("apps/fit/table.csv", "6");
    site.app(
        "fit",
        "import helper, json, os\nprint(json.dumps([helper.FACTOR * int(open('table.csv').read()), os.getcwd()]))",
    );
    let pair = start(&site, "fit");
    let folder = site.path("apps/fit").canonicalize().unwrap();
    assert_eq!(
        answer(&pair.client, "fit", "{}"),
        json!([42, folder.to_string_lossy()])
    );
    assert_eq!(
        names(&folder),
        ["helper.py", "main.py", "table.csv"],
        "nothing was compiled into it"
    );
}

fn progress(client: &Client, uuid: &str, percent: f64) -> Value {
    until(&format!("progress of {percent} %"), PATIENCE, || {
        let job = client.job(uuid);
        (job["progress"]["percent"] == percent).then(|| job["progress"].clone())
    })
}

#[test]
fn progress_is_seen_while_the_script_runs() {
    let site = Site::new();
    let say = "
def say(line):
    with open(os.environ['BCRL_PROGRESS'], 'a') as file:
        file.write(line + '\\n')
say('{\"percent\": 40, \"message\": \"half of 半分\"}')
wait_for('seen')
say('{\"percent\": 1e9, \"message\": \"' + '電' * 500 + '\"}')
say('nonsense')
wait_for('seen twice')
say('{\"percent\": -1}')
wait_for('seen three times')
print(1)
";
    app(&site, "slow", "", say);
    let pair = start(&site, "slow");
    let uuid = pair.client.submit("slow", "{}");
    assert_eq!(
        progress(&pair.client, &uuid, 40.0)["message"],
        "half of 半分"
    );
    leave(&site, "seen");
    let clamped = progress(&pair.client, &uuid, 100.0);
    assert_eq!(clamped["message"].as_str().unwrap(), "電".repeat(200));
    leave(&site, "seen twice");
    assert_eq!(
        progress(&pair.client, &uuid, 0.0),
        json!({ "percent": 0.0 })
    );
    leave(&site, "seen three times");
    assert_eq!(result(&pair.client, &uuid), 1);
    assert_eq!(pair.client.job(&uuid)["progress"], Value::Null);
}

#[test]
fn the_log_is_read_while_the_script_runs_and_when_it_has_ended() {
    let site = Site::new();
    app(
        &site,
        "slow",
        "",
        "print('begun 開始', file=sys.stderr, flush=True)\nwait_for('seen')\nprint('ended', file=sys.stderr)\nprint(1)",
    );
    let pair = start(&site, "slow");
    let uuid = pair.client.submit("slow", "{}");
    let log = format!("/api/v1/jobs/{uuid}/log");
    until("the beginning of the log", PATIENCE, || {
        (pair.client.get(&log).text() == "begun 開始\n").then_some(())
    });
    leave(&site, "seen");
    result(&pair.client, &uuid);
    assert_eq!(pair.client.get(&log).text(), "begun 開始\nended\n");
}

#[test]
fn of_a_long_log_the_middle_is_left_out() {
    let site = Site::new().set("LIMITS__LOG", "2KiB");
    site.app(
        "loud",
        "import sys\nsys.stderr.write('first\\n' + 'x' * 100_000 + '\\nlast\\n')\nprint(1)",
    );
    let pair = start(&site, "loud");
    let uuid = pair.client.submit("loud", "{}");
    result(&pair.client, &uuid);
    let log = pair.client.get(&format!("/api/v1/jobs/{uuid}/log")).text();
    assert!(
        log.starts_with("first\nxxx") && log.ends_with("xxx\nlast\n"),
        "{log}"
    );
    assert!(
        log.contains("xxx\n[… 97964 bytes left out …]\nxxx"),
        "{log}"
    );
    assert_eq!(
        log.replace("\n[… 97964 bytes left out …]\n", "").len(),
        2048
    );
}

#[test]
fn a_script_that_takes_its_own_run_apart_harms_only_itself() {
    let site = Site::new();
    app(
        &site,
        "tidy",
        "",
        "import shutil\nshutil.rmtree(os.path.dirname(os.environ['TMPDIR']), ignore_errors=True)\nprint('\"tidy\"')",
    );
    app(
        &site,
        "pipes",
        "",
        "run = os.path.dirname(os.environ['TMPDIR'])\n\
         for name in os.listdir(run):\n    path = os.path.join(run, name)\n    \
         if os.path.isfile(path):\n        os.remove(path)\n        os.mkfifo(path)\n\
         leave('piped', me())\nwait_for('go')\nprint('\"pipes\"')",
    );
    app(
        &site,
        "forge",
        "",
        "run = os.path.dirname(os.environ['TMPDIR'])\n\
         open(run + '/forged', 'w').write('no JSON')\nos.rename(run + '/forged', run + '/stdout')\nprint('\"forge\"')",
    );
    let pair = start(&site, "tidy");
    for api in ["tidy", "forge"] {
        assert_eq!(answer(&pair.client, api, "{}"), api);
    }
    // The worker looks at the progress several times a second; a pipe must not hold it up.
    let uuid = pair.client.submit("pipes", "{}");
    let script = crate::support::process(&site, "piped");
    let other = answer(&pair.client, "tidy", "{}");
    assert!(other == "tidy" && runs(&script));
    leave(&site, "go");
    assert_eq!(result(&pair.client, &uuid), "pipes");
}
