//! Runs that cannot begin: through the job's own files, or through its worker.

use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use test_support::{Site, until};

use crate::support::{
    NEVER, PATIENCE, answer, app, document, heartbeats, names, outcomes, receipt, result, start,
    without_worker,
};

#[test]
fn a_job_whose_log_has_no_place_fails_alone_and_says_what_is_to_be_done() {
    // Nothing but the end of a job makes the worker look for the next one.
    let site = Site::new()
        .set("WORKER__CONCURRENCY", "1")
        .set("WORKER__SWEEP", "10m")
        .set("WORKER__CRON", NEVER);
    app(&site, "soc", "retries = 3", "print(sys.stdin.read())");
    let (_api, client) = without_worker(&site, "soc");
    // As many as rest an API whose script cannot be started; its script is not to blame for these.
    let jobs = [1, 2, 3, 4, 5].map(|n| client.submit("soc", &n.to_string()));
    let sound = client.submit("soc", "6");
    let log = |uuid: &str| site.shared(&format!("log/{uuid}.log"));
    let stranger = site.put("stranger", "nobody's log");
    for uuid in &jobs[..3] {
        std::fs::create_dir(log(uuid)).unwrap();
    }
    symlink(&stranger, log(&jobs[3])).unwrap();
    mknodat(CWD, log(&jobs[4]), FileType::Fifo, Mode::RWXU, 0).unwrap();

    let mut worker = site.worker();
    let whats = [
        "a folder",
        "a folder",
        "a folder",
        "a link",
        "no plain file",
    ];
    for (uuid, what) in jobs.iter().zip(whats) {
        let job = client.until_ended(uuid, PATIENCE);
        let message = format!(
            "the script could not be started: {what} stands at log/{uuid}.log in the shared folder, where the job's \
             log is due; have it removed, then submit the job again"
        );
        let failure = json!({ "reason": "spawn_error", "message": message });
        assert_eq!(
            (&job["status"], &job["failure"]),
            (&json!("failed"), &failure)
        );
        assert_eq!(outcomes(&site, uuid), ["spawn_error"]);
    }
    assert_eq!(result(&client, &sound), 6);
    let line = worker.says("a job's own files keep it from being run");
    assert_eq!(
        (&line["level"], &line["job.id"]),
        (&json!("ERROR"), &json!(jobs[0]))
    );
    assert!(!worker.log().contains("begin here"), "it never rested");
    assert_eq!(std::fs::read_to_string(stranger).unwrap(), "nobody's log");
    until("an empty scratch folder", PATIENCE, || {
        names(&site.path("data/scratch")).is_empty().then_some(())
    });
}

#[test]
fn a_worker_without_a_place_for_runs_gives_its_job_back_uncounted_and_goes_on_once_there_is_one() {
    // With a second slot, a claim may be under way while the first run finds no place.
    let site = Site::new()
        .set("WORKER__CONCURRENCY", "1")
        .set("WORKER__SWEEP", "10m")
        .set("WORKER__CRON", NEVER)
        .set("WORKER__SCRATCH_DIR", "place/scratch");
    app(
        &site,
        "soc",
        "attempts = 1",
        "print(os.environ['BCRL_ATTEMPT'])",
    );
    let mut pair = start(&site, "soc");
    // Nobody makes anything below a file, root included.
    std::fs::remove_dir_all(site.path("place")).unwrap();
    site.put("place", "no folder");
    let uuid = pair.client.submit("soc", "{}");
    let line = pair
        .worker
        .says("no run can begin here: the job is given back, and this worker rests");
    assert_eq!(
        (&line["level"], &line["job.id"]),
        (&json!("ERROR"), &json!(uuid))
    );
    let why = format!(
        "make the scratch folder {}: File exists (os error 17)",
        site.path("place/scratch").display()
    );
    assert_eq!(line["error"], json!(why));
    until("the problem in the heartbeat", PATIENCE, || {
        let beat = heartbeats(&site).remove(0);
        let problem = beat["problems"][0].as_str()?;
        let told = problem.starts_with("no run can begin here: make ");
        (told && problem.ends_with(": File exists (os error 17)")).then_some(())
    });

    let job = pair.client.until_status(&uuid, "pending", PATIENCE);
    assert_eq!(
        (&job["attempt"], &job["queue_position"]),
        (&json!(1), &json!(1))
    );
    // It looks whether there is a place again, and takes no job to find out.
    pair.worker.says("no run can begin here yet");
    let lease = document(&site, &format!("lease/{uuid}.json")).unwrap();
    assert_eq!((&lease["lost"], &lease["failed"]), (&json!(0), &json!(0)));
    assert_eq!(lease["attempts"].as_array().unwrap().len(), 1, "{lease}");
    assert_eq!(lease["attempts"][0]["outcome"], "given_back");

    std::fs::remove_file(site.path("place")).unwrap();
    assert_eq!(result(&pair.client, &uuid), 2);
    assert_eq!(outcomes(&site, &uuid), ["given_back", "done"]);
    pair.worker.says("runs can begin here again");
    until("a heartbeat without problems", PATIENCE, || {
        (heartbeats(&site)[0]["problems"] == json!([])).then_some(())
    });
}

#[test]
fn what_a_resting_worker_gave_back_is_run_by_another_one() {
    let site = Site::new()
        .set("WORKER__SWEEP", "10m")
        .set("WORKER__CRON", NEVER)
        .set("WORKER__SCRATCH_DIR", "gone");
    app(&site, "soc", "attempts = 1", "print(1)");
    let mut pair = start(&site, "soc");
    assert_eq!(answer(&pair.client, "soc", "{}"), 1);
    std::fs::remove_dir_all(site.path("gone")).unwrap();
    site.put("gone", "no folder");
    let jobs = [1, 2, 3].map(|n| pair.client.submit("soc", &n.to_string()));
    pair.worker
        .says("no run can begin here: the job is given back, and this worker rests");
    let site = site.set("WORKER__SCRATCH_DIR", "there");
    let _second = site.worker();
    for uuid in &jobs {
        assert_eq!(result(&pair.client, uuid), 1);
        let last = receipt(&site, uuid)["attempts"]
            .as_array()
            .unwrap()
            .last()
            .cloned();
        assert_eq!(last.unwrap()["outcome"], "done");
    }
}

#[test]
fn a_scratch_folder_that_was_removed_is_made_again_for_its_user_alone() {
    let site = Site::new();
    app(&site, "soc", "", "wait_for('go')\nprint(1)");
    let pair = start(&site, "soc");
    let scratch = site.path("data/scratch");
    std::fs::remove_dir(&scratch).unwrap();
    let uuid = pair.client.submit("soc", "{}");
    let run = scratch.join(format!("{uuid}-1"));
    until("the folder of the run", PATIENCE, || {
        run.exists().then_some(())
    });
    // Users of scripts' own may pass through it, and see nothing there.
    for (folder, bits) in [(&scratch, 0o766), (&run, 0o777), (&run.join("tmp"), 0o777)] {
        let mode = folder.metadata().unwrap().permissions().mode();
        assert_eq!(mode & bits, 0o700, "{}", folder.display());
    }
    crate::support::leave(&site, "go");
    assert_eq!(result(&pair.client, &uuid), 1);
}
