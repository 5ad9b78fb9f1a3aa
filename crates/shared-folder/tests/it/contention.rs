//! Many at once: writers lose nothing, readers see nothing half.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use job_core::status::Status;
use shared_folder::submit::Refused;
use shared_folder::{FolderError, Options, SharedFolder};

use crate::support::{Site, at, offer, worker};

#[test]
fn submits_claims_and_ends_from_many_threads_lose_nothing() {
    let site = Site::new();
    let (submitters, each) = (4, 25);
    // Each worker has the folder open for itself, as another process would.
    let open = || SharedFolder::open(site.folder.root(), Options::default()).unwrap();
    let done = AtomicBool::new(false);
    let (accepted, ended, torn) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut torn = 0;
            while !done.load(Ordering::Relaxed) {
                let text = site.read("request/status.json");
                torn += usize::from(serde_json::from_str::<serde_json::Value>(&text).is_err());
            }
            torn
        });
        let submitting: Vec<_> = (0..submitters)
            .map(|_| scope.spawn(|| (0..each).map(|n| site.submit("soc", n)).collect::<Vec<_>>()))
            .collect();
        let working: Vec<_> = (0..3)
            .map(|n| {
                let folder = open();
                let (site, total) = (&site, usize::try_from(submitters * each).unwrap());
                scope.spawn(move || {
                    let mut ended = Vec::new();
                    let print = site.home.path().join(format!("printed-{n}"));
                    std::fs::write(&print, "1").unwrap();
                    loop {
                        let queue = folder.queue().unwrap();
                        if queue.len() == total
                            && queue.iter().all(|entry| entry.status() != Status::Pending)
                        {
                            return ended;
                        }
                        if let Some(job) = folder.claim(&worker(n), 1, &offer(), at(100)).unwrap() {
                            folder
                                .finish_done(&job, &print, &Default::default(), at(101))
                                .unwrap();
                            ended.push(job.uuid);
                        }
                    }
                })
            })
            .collect();
        let accepted: Vec<_> = submitting
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        let ended: Vec<_> = working
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        done.store(true, Ordering::Relaxed);
        (accepted, ended, reader.join().unwrap())
    });
    assert_eq!(torn, 0);
    assert_eq!(ended.len(), 100, "each job ran once");
    assert_eq!(
        ended.iter().collect::<HashSet<_>>(),
        accepted.iter().collect::<HashSet<_>>()
    );
    for uuid in accepted {
        assert_eq!(site.status(uuid, 200), Status::Done);
    }
}

#[test]
fn of_those_who_wait_together_as_many_are_accepted_as_the_queue_has_room_for() {
    let site = Site::with(Options {
        queue_limit: 4,
        ..Options::default()
    });
    site.submit("soc", 0);
    // While somebody holds the lock they gather, and are then decided on in few commits.
    let held = std::fs::File::open(site.path("request/status.json.lock")).unwrap();
    fs2::FileExt::lock_exclusive(&held).unwrap();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let site = &site;
        let submits = (1..=8).map(|n| scope.spawn(move || site.try_to_submit("soc", n)));
        let submits: Vec<_> = submits.collect();
        while site.names("request").len() < 4 + 8 {
            std::thread::yield_now();
        }
        fs2::FileExt::unlock(&held).unwrap();
        let join = |submit: std::thread::ScopedJoinHandle<'_, _>| submit.join().unwrap();
        submits.into_iter().map(join).collect()
    });
    let (accepted, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((accepted.len(), refused.len()), (3, 5));
    for refused in refused {
        let refused = refused.unwrap_err();
        let Refused::Folder(error) = refused else {
            panic!("{refused}");
        };
        assert!(matches!(*error, FolderError::QueueFull { limit: 4 }));
    }
    let queue = site.folder.queue().unwrap();
    let accepted: Vec<_> = accepted.into_iter().map(Result::unwrap).collect();
    assert!(accepted.iter().all(|uuid| queue.get(*uuid).is_some()));
    let files = site.names("request");
    assert_eq!(
        files.len(),
        4 + 3,
        "four requests and the index's own: {files:?}"
    );
}

#[test]
fn a_lock_that_is_held_too_long_is_an_answer_that_names_its_holder() {
    let site = Site::with(Options {
        patience: Duration::from_millis(50),
        ..Options::default()
    });
    let uuid = site.submit("soc", 0);
    // A script that locks the index itself, as some will.
    let held = std::fs::File::open(site.path("request/status.json")).unwrap();
    fs2::FileExt::lock_exclusive(&held).unwrap();
    let error = site.folder.cancel(uuid, at(1)).unwrap_err();
    let FolderError::Busy {
        holder: Some(holder),
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!((holder.pid, holder.stopped), (std::process::id(), false));
    drop(held);
    site.folder.cancel(uuid, at(1)).unwrap();
}
