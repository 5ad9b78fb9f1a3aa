//! `bcrl up`, as somebody meets it who has read nothing but the first lines of the README.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::Signal;
use test_support::{Process, Site, bin};

const SOON: Duration = Duration::from_secs(20);

fn bcrl(site: &Site, up: &Process, arguments: &[&str]) -> Output {
    Command::new(bin("bcrl"))
        .args(arguments)
        .current_dir(site.path(""))
        .env("BCRL_URL", up.url())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_us06_drive_cycle_runs_through_the_command_and_equals_the_integral_of_its_file() {
    let site = Site::new().with_shipped_apps();
    let up = site.up();
    let output = bcrl(
        &site,
        &up,
        &["submit", "soc", "--file", "apps/soc/example.json", "--wait"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();

    let example = std::fs::read_to_string(site.path("apps/soc/example.json")).unwrap();
    let example: serde_json::Value = serde_json::from_str(&example).unwrap();
    let numbers = |name: &str| -> Vec<f64> {
        example[name]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_f64().unwrap())
            .collect()
    };
    let (time, current) = (numbers("time_s"), numbers("current_a"));
    assert_eq!(time.len(), 601);
    let trapezoids =
        (1..time.len()).map(|n| (time[n] - time[n - 1]) * (current[n] + current[n - 1]) / 2.0);
    let capacity = example["capacity_ah"].as_f64().unwrap();
    let expected =
        example["initial_soc"].as_f64().unwrap() - trapezoids.sum::<f64>() / 3600.0 / capacity;
    assert!(
        (result["final_soc"].as_f64().unwrap() - expected).abs() < 1e-9,
        "{} {expected}",
        result["final_soc"]
    );
    assert_eq!(result["soc"].as_array().unwrap().len(), 601);
}

#[test]
fn three_plain_requests_do_the_same() {
    let site = Site::new().with_shipped_apps();
    let up = site.up();
    let client = up.client();
    let answer = client.post("/api/v1/add/12/23", "");
    assert_eq!(answer.status, 202, "{}", answer.text());
    let uuid = answer.json()["uuid"].as_str().unwrap().to_owned();
    client.until_status(&uuid, "done", SOON);
    let result = client.get(&format!("/api/v1/jobs/{uuid}/result"));
    assert_eq!(
        result.json(),
        serde_json::json!({"num1": 12, "num2": 23, "operation": "add", "result": 35})
    );
}

#[test]
fn it_greets_with_what_to_try_and_ends_cleanly_on_ctrl_c() {
    let site = Site::new().with_shipped_apps();
    let mut up = site.up();
    let greeting = up.log();
    for line in [
        format!("API     {}", up.url()),
        "apps".into(),
        "submit add num1=12 num2=23 --wait".into(),
        "Ctrl-C ends it.".into(),
    ] {
        assert!(greeting.contains(&line), "{line}: {greeting}");
    }
    up.signal(Signal::INT);
    assert_eq!(up.wait(SOON).code(), Some(0));
    assert!(no_worker_is_left(&site));
}

#[test]
fn a_service_that_cannot_start_ends_the_rest_with_its_reason() {
    let site = Site::new().with_shipped_apps();
    let first = site.up();
    let address = first.url().replace("http://", "");
    let second = Site::new().with_shipped_apps().set("API__LISTEN", &address);
    let mut up = Process::start(&second, "bcrl", &["up"]);
    assert_eq!(up.wait(SOON).code(), Some(1));
    assert!(
        up.log().contains(&format!(
            "error: API: listen on {address}: Address already in use"
        )),
        "{}",
        up.log()
    );
    assert!(no_worker_is_left(&second));
}

fn no_worker_is_left(site: &Site) -> bool {
    std::fs::read_dir(site.shared("workers"))
        .unwrap()
        .next()
        .is_none()
}

#[test]
fn settings_that_cannot_be_used_end_it_before_anything_listens() {
    let site = Site::new();
    site.put("bcrl.toml", "[api]\nlistn = \"127.0.0.1:0\"\n");
    let mut up = Process::start(&site, "bcrl", &["up"]);
    assert_eq!(up.wait(SOON).code(), Some(78));
    assert!(
        up.log()
            .contains("error: settings bcrl.toml, line 2: unknown field `listn`"),
        "{}",
        up.log()
    );
    assert!(!site.path("data").exists());
}

#[test]
fn a_containment_that_this_host_does_not_give_ends_it_as_a_setting_would() {
    let (key, value, told) = if rustix::process::geteuid().is_root() {
        (
            "WORKER__CONTAINMENT",
            "required",
            "worker: worker.containment is \"required\", but own user is not available: ",
        )
    } else {
        (
            "WORKER__USER",
            "0:0",
            "worker.user is \"0:0\", but only root can run scripts as another user",
        )
    };
    let site = Site::new().set(key, value);
    // Nobody but its owner and root reaches anything in there.
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(site.path(""), private).unwrap();
    let mut up = Process::start(&site, "bcrl", &["up"]);
    assert_eq!(up.wait(SOON).code(), Some(78), "{}", up.log());
    assert!(up.log().contains(&format!("error: {told}")), "{}", up.log());
}

#[test]
fn its_requests_have_their_lines() {
    let site = Site::new();
    let up = site.up();
    up.client().get("/healthz");
    assert_eq!(up.stop(SOON).code(), Some(0));
    let lines = site.access_log();
    let [url, method, status, ..] = &lines[0];
    assert_eq!((&**url, &**method, &**status), ("/healthz", "GET", "200"));
}

#[test]
fn its_figures_tell_of_the_runs_as_well() {
    let site = Site::new().with_shipped_apps();
    let up = site.up();
    let client = up.client();
    let uuid = client.submit("add", "{\"num1\":12,\"num2\":23}");
    client.until_status(&uuid, "done", SOON);
    let text = client.get("/metrics").text();
    for line in [
        "# HELP bcrl_claims_total ",
        "bcrl_claims_total{api=\"add\"} 1\n",
        "# HELP bcrl_runs_total ",
        "bcrl_runs_total{api=\"add\",outcome=\"done\"} 1\n",
        "# HELP bcrl_run_seconds ",
        "bcrl_run_seconds_count{api=\"add\"} 1\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
