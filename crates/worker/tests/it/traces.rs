//! What a worker leaves behind after much work: nothing.

use serde_json::json;
use test_support::{Process, Site, until};

use crate::support::{PATIENCE, app, descendants, files, names, note, peak_memory, result, start};

/// How many files and folders a process has open.
fn descriptors(process: &Process) -> usize {
    names(format!("/proc/{}/fd", process.pid()).as_ref()).len()
}

#[track_caller]
fn nothing_temporary(site: &Site) {
    assert_eq!(names(&site.path("data/scratch")), [""; 0]);
    for folder in ["lease", "progress", "cancel", "quarantine/late"] {
        assert_eq!(names(&site.shared(folder)), [""; 0], "{folder}");
    }
    let left = files(&site.path("data"));
    let left: Vec<_> = left
        .iter()
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(".tmp-")
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn fifty_jobs_of_all_kinds_leave_no_descriptor_no_process_and_no_temporary_file() {
    leave_nothing(Site::new(), &["fits", "fails", "fails"]);
}

#[test]
fn fifty_jobs_that_nothing_holds_leave_no_descriptor_no_process_and_no_temporary_file() {
    let site = Site::new().set("WORKER__CONTAINMENT", "off");
    leave_nothing(site, &["fits", "fails", "lost"]);
}

fn leave_nothing(site: Site, kinds: &[&str]) {
    let site = site
        .set("WORKER__CONCURRENCY", "4")
        .set("WORKER__GRACE", "300ms");
    app(
        &site,
        "fits",
        "",
        "open(os.environ['TMPDIR'] + '/x', 'w').close()\nprint(sys.stdin.read())",
    );
    app(&site, "fails", "", "sys.exit(1)");
    app(&site, "missing", "python = \"no/such\"", "");
    app(
        &site,
        "lost",
        "attempts = 2",
        "os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(600)",
    );
    app(
        &site,
        "slow",
        "",
        "leave('in-' + sys.stdin.read())\ntime.sleep(600)",
    );
    let pair = start(&site, "fits");
    let round = |first: u32| {
        let mut jobs = Vec::new();
        for n in first..first + 5 {
            let submit = |api: &&str| pair.client.submit(api, &n.to_string());
            jobs.extend(kinds.iter().map(submit));
        }
        jobs.push(pair.client.submit("missing", "{}"));
        let slow = pair.client.submit("slow", &first.to_string());
        note(&site, &format!("in-{first}"));
        pair.client
            .send("DELETE", &format!("/api/v1/jobs/{slow}"), &[], None);
        jobs.push(slow);
        for uuid in jobs {
            pair.client.until_ended(&uuid, PATIENCE);
        }
    };
    let at_rest = || {
        until("an empty scratch folder and no child", PATIENCE, || {
            let quiet = names(&site.path("data/scratch")).is_empty()
                && descendants(&pair.worker).is_empty();
            quiet.then_some(())
        });
        descriptors(&pair.worker)
    };
    round(0);
    let before = at_rest();
    for n in 1..=3 {
        round(n * 100);
    }
    at_rest();
    until("as few descriptors as before", PATIENCE, || {
        (descriptors(&pair.worker) <= before).then_some(())
    });
    let index = site.index();
    assert_eq!(index["jobs"].as_array().unwrap().len(), 4 * 17);
    assert!(pair.worker.stop(PATIENCE).success());
    assert!(pair.api.stop(PATIENCE).success());
    nothing_temporary(&site);
    assert_eq!(names(&site.shared("workers")), [""; 0]);
}

#[test]
fn what_scripts_print_is_never_held_in_the_workers_memory() {
    let site = Site::new();
    app(&site, "small", "", "print(1)");
    app(
        &site,
        "large",
        "",
        "sys.stderr.write('x' * 50_000_000)\nprint('\"' + 'x' * 50_000_000 + '\"')",
    );
    let pair = start(&site, "small");
    let small = pair.client.submit("small", "{}");
    assert_eq!(result(&pair.client, &small), 1);
    let before = peak_memory(&pair.worker);
    let large = pair.client.submit("large", "{}");
    let job = pair.client.until_ended(&large, PATIENCE);
    assert_eq!(job["status"], "done", "{job}");
    let response = site.shared(&format!("response/{large}.json"));
    assert_eq!(response.metadata().unwrap().len(), 50_000_003);
    let grown = peak_memory(&pair.worker) - before;
    assert!(grown < 10_000_000, "{grown}");
    assert_eq!(json!(job["failure"]), json!(null));
}
