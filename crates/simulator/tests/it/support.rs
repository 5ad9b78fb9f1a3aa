//! Starting `bcrl-sim` in both its roles, and what a simulated APP server leaves for others to see.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use test_support::{Client, Process, Site, bin};

/// Far more than anything here takes on a busy machine: reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A site whose dead APP servers are found out by their lock, not by waiting.
pub(crate) fn site() -> Site {
    Site::new().set("WORKER__LEASE", "10m")
}

/// Starts a simulated APP server, and waits until it is ready.
#[track_caller]
pub(crate) fn app_server(site: &Site, arguments: &[&str]) -> Process {
    let mut server = begin_app_server(site, arguments);
    server.says("the simulated APP server is ready");
    server
}

/// Starts a simulated APP server.
pub(crate) fn begin_app_server(site: &Site, arguments: &[&str]) -> Process {
    let arguments: Vec<_> = ["app-server"].iter().chain(arguments).copied().collect();
    Process::start(site, "bcrl-sim", &arguments)
}

/// Starts an API server, and waits until it knows this API.
#[track_caller]
pub(crate) fn api(site: &Site, name: &str) -> (Process, Client) {
    let api = site.api();
    let client = api.client();
    client.until_api(name, PATIENCE);
    (api, client)
}

/// The simulated clients of the server at this URL.
pub(crate) fn clients(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(bin("bcrl-sim"));
    command
        .args(["client", "--url", url])
        .args(arguments)
        .env_remove("BCRL_KEY")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Lets simulated clients do all they were told; their exit code and summary.
#[track_caller]
pub(crate) fn submit(url: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    summary(&clients(url, arguments).arg("--json").output().unwrap())
}

/// Exit code and summary of simulated clients that have ended.
#[track_caller]
pub(crate) fn summary(output: &Output) -> (Option<i32>, Value) {
    let told = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code(), told)
}

/// How a job ended.
#[track_caller]
pub(crate) fn receipt(site: &Site, uuid: &str) -> Value {
    document(site, &format!("receipt/{uuid}.json")).expect("the job has ended")
}

/// How each run of a job ended.
#[track_caller]
pub(crate) fn outcomes(site: &Site, uuid: &str) -> Vec<String> {
    let runs = receipt(site, uuid)["attempts"].as_array().unwrap().clone();
    let outcomes = runs.iter().map(|run| run["outcome"].as_str().unwrap());
    outcomes.map(str::to_owned).collect()
}

/// A document of the shared folder, where it is there.
pub(crate) fn document(site: &Site, name: &str) -> Option<Value> {
    let text = std::fs::read_to_string(site.shared(name)).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

/// The names in a folder of the shared folder.
pub(crate) fn names(site: &Site, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(site.shared(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// What a job came to, once it is done.
#[track_caller]
pub(crate) fn result(client: &Client, uuid: &str) -> Value {
    let job = client.until_ended(uuid, PATIENCE);
    assert_eq!(job["status"], "done", "{job}");
    client.get(&format!("/api/v1/jobs/{uuid}/result")).json()
}
