//! A client wants a job to end.

use test_support::{Answer, Site, until};

use crate::support::{Lab, PATIENCE, Ran, assert_problem, open};

#[track_caller]
fn cancel(lab: &Lab, uuid: &str) -> Answer {
    lab.client
        .send("DELETE", &format!("/api/v1/jobs/{uuid}"), &[], None)
}

#[test]
fn what_was_canceled_while_it_waited_never_runs() {
    let site = Site::new();
    site.app("app", "print(1)\n");
    crate::support::publish(&site, "app1", &[open("app")]);
    let lab = Lab::start(site);
    let (canceled, kept) = (lab.client.submit("app", "1"), lab.client.submit("app", "2"));
    let answer = cancel(&lab, &canceled);
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (200, &"canceled".into())
    );
    assert_eq!(answer.header("retry-after"), None);
    assert_problem(&cancel(&lab, &canceled), 409, "job-final");

    let _worker = lab.site.worker();
    lab.client.until_status(&kept, "done", PATIENCE);
    let job = lab.client.job(&canceled);
    assert_eq!(job["status"], "canceled");
    assert!(
        job.get("attempt").is_none() && job.get("started_date").is_none(),
        "{job}"
    );
}

#[test]
fn a_running_job_is_ended_by_its_worker() {
    let site = Site::new();
    site.app("slow", "import time\ntime.sleep(60)\n");
    let lab = Lab::with_worker(site);
    let uuid = lab.client.submit("slow", "{}");
    lab.client.until_status(&uuid, "processing", PATIENCE);
    let answer = cancel(&lab, &uuid);
    let job = answer.json();
    assert_eq!(answer.status, 200);
    assert!(
        job["status"] == "canceled" || job["cancel_requested"] == true,
        "{job}"
    );
    let job = lab.client.until_ended(&uuid, PATIENCE);
    assert_eq!(
        (&job["status"], &job["attempt"]),
        (&"canceled".into(), &1.into())
    );
    assert!(job.get("cancel_requested").is_none());
    until("the end of its processes", PATIENCE, || {
        test_support::processes_with("BCRL_JOB", &uuid)
            .is_empty()
            .then_some(())
    });
}

#[test]
fn a_job_that_has_ended_cannot_be_canceled() {
    let ran = Ran::printing("1");
    let problem = assert_problem(&cancel(&ran.lab, &ran.uuid), 409, "job-final");
    assert_eq!(problem["detail"], "the job has ended: it is done");
    assert_eq!(ran.lab.client.get(&ran.result()).text(), "1");
}
