//! `bcrl-worker --once`: what waits is run, and the exit code tells whether all of it could be.

use serde_json::json;
use test_support::Site;

use crate::support::{app, bcrl_worker, heartbeats, names, result, text, without_worker};

#[test]
fn once_runs_what_waits_and_ends() {
    let site = Site::new().set("WORKER__CONCURRENCY", "2");
    app(&site, "soc", "", "print(sys.stdin.read())");
    app(
        &site,
        "single",
        "concurrency = 1",
        "print(sys.stdin.read())",
    );
    app(&site, "fails", "retries = 1", "sys.exit(1)");
    let (_api, client) = without_worker(&site, "soc");
    let again = client.submit("fails", "{}");
    let jobs: Vec<_> = (0..3)
        .flat_map(|n| ["soc", "single"].map(|api| client.submit(api, &n.to_string())))
        .collect();
    let output = bcrl_worker(&site, &["--once"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for (n, uuid) in jobs.iter().enumerate() {
        assert_eq!(client.job(uuid)["status"], "done");
        assert_eq!(result(&client, uuid), json!(n / 2));
    }
    assert_eq!(
        client.job(&again)["status"],
        "pending",
        "its retry is not due"
    );
    assert!(heartbeats(&site).is_empty());
    let output = bcrl_worker(&site, &["--once"]);
    assert!(
        output.status.success(),
        "with nothing to do: {}",
        text(&output.stderr)
    );
}

#[test]
fn once_does_not_say_that_all_is_well_where_what_waits_could_not_be_run() {
    let site = Site::new()
        .set("WORKER__CONCURRENCY", "1")
        .set("WORKER__CONTAINMENT", "off")
        .set("WORKER__SWEEP", "10m");
    // It takes the place where runs are made away from all that come after it.
    let spoil = "
import shutil
scratch = os.path.dirname(os.path.dirname(os.environ['TMPDIR']))
shutil.rmtree(scratch)
open(scratch, 'w').close()
print(1)
";
    app(&site, "spoil", "", spoil);
    app(&site, "soc", "", "print(2)");
    let (_api, client) = without_worker(&site, "soc");
    let [spoiler, waiting] = ["spoil", "soc"].map(|api| client.submit(api, "{}"));
    let output = bcrl_worker(&site, &["--once"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.contains("error: what waits cannot be run here now: make the scratch folder ")
            && told.contains(": File exists (os error 17)"),
        "{told}"
    );
    assert_eq!(result(&client, &spoiler), 1);
    assert_eq!(client.job(&waiting)["status"], "pending");
    assert!(heartbeats(&site).is_empty());
    std::fs::remove_file(site.path("data/scratch")).unwrap();
    assert!(bcrl_worker(&site, &["--once"]).status.success());
    assert_eq!(result(&client, &waiting), 2);
}

#[test]
fn once_names_what_keeps_it_from_the_queue_before_it_begins() {
    let lock = |site: &Site| {
        let lock = site.shared("request/status.json.lock");
        let _ = std::fs::remove_file(&lock);
        std::fs::create_dir_all(&lock).unwrap();
        format!("error: open {}: Is a directory", lock.display())
    };
    let request = |site: &Site| {
        site.put("data/shared/bcrlapi/request", "no folder");
        let request = site.shared("request");
        format!("error: open folder {}: Not a directory", request.display())
    };
    for spoil in [&lock as &dyn Fn(&Site) -> String, &request] {
        let site = Site::new();
        app(&site, "soc", "", "print(1)");
        let words = spoil(&site);
        let output = bcrl_worker(&site, &["--once"]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(&words), "{words}: {told}");
        assert_eq!(names(&site.shared("workers")), [""; 0]);
    }
}

#[test]
fn once_names_what_keeps_it_from_claiming_what_still_waits() {
    let site = Site::new()
        .set("WORKER__CONCURRENCY", "1")
        .set("WORKER__CONTAINMENT", "off");
    // Nothing can be claimed without the folder of the leases; how this run ended needs it no more.
    let spoil = "import shutil\nshutil.rmtree(sys.stdin.read().strip('\"'))\nprint(1)";
    app(&site, "spoil", "", spoil);
    let (_api, client) = without_worker(&site, "spoil");
    let leases = site.shared("lease");
    let body = json!(leases.to_string_lossy()).to_string();
    let [spoiler, waiting] = [0, 1].map(|_| client.submit("spoil", &body));
    let output = bcrl_worker(&site, &["--once"]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let (words, path) = ("error: no job could be claimed: make ", leases.display());
    assert!(told.contains(&format!("{words}{path}/.tmp-")), "{told}");
    assert!(told.contains(": No such file or directory"), "{told}");
    assert_eq!(result(&client, &spoiler), 1);
    assert_eq!(client.job(&waiting)["status"], "pending");
    assert_eq!(heartbeats(&site).len(), 0);
}

#[test]
fn help_says_what_once_leaves_waiting() {
    let output = bcrl_worker(&Site::new(), &["--help"]);
    let told = text(&output.stdout);
    let words: Vec<_> = told.split_whitespace().collect();
    let told = words.join(" ");
    let leaves = "A job that waits for its retry (30 s, 2 min, then 10 min after a failure of its script) is left for \
                  a later call. Exit code 1 where what waits could not be claimed or run here";
    assert!(told.contains(leaves), "{told}");
}
