//! What one status change costs: `status_change FOLDER JOBS` prints seconds, each a median.
//!
//! - `alone`: by a process that made the change before it as well.
//! - `shared`: by a process that must first read what another one changed.
//! - `limit`: the same bytes written, synced and renamed, and nothing else.
//!
//! A change is a claim or a giving-back: the lock, the lease's file, and the index with one line changed.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement ends at the first thing that is not as it should be"
)]
#![expect(clippy::print_stdout, reason = "scripts/bench reads the figures")]

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use job_core::claim::Offer;
use job_core::date::Date;
use job_core::ids::{JobId, WorkerId};
use shared_folder::{Options, SharedFolder};

fn main() {
    // cargo passes --bench.
    let arguments: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let [folder, jobs] = &arguments[..] else {
        println!("usage: status_change FOLDER JOBS");
        return;
    };
    let (folder, jobs) = (Path::new(folder), jobs.parse().unwrap());
    let home = folder.join(format!("bench-{jobs}"));
    let size = make(&home, jobs);
    let rounds = if jobs > 5000 { 25 } else { 100 };
    let open = || SharedFolder::open(&home, Options::default()).unwrap();
    let (one, other) = (open(), open());
    let alone = median(rounds, |_| change(&one));
    let shared = median(rounds, |n| change(if n % 2 == 0 { &one } else { &other }));
    let limit = median(rounds.min(25), |_| write_bytes(&home, &vec![b'x'; size]));
    println!("{jobs} {size} {alone:.6} {shared:.6} {limit:.6}");
    std::fs::remove_dir_all(&home).unwrap();
}

/// A folder whose index holds so many jobs; the one in the middle waits. Returns the index's size in bytes.
fn make(home: &Path, jobs: usize) -> usize {
    let now: Date = "2026-11-20T12:00:00+09:00".parse().unwrap();
    drop(SharedFolder::open(home, Options::default()).unwrap());
    let mut index = String::from("{\"jobs\":[");
    for n in 0..jobs {
        let uuid = JobId::new(
            now,
            u128::try_from(n).unwrap().to_be_bytes()[6..]
                .try_into()
                .unwrap(),
        );
        let waits = n == jobs / 2;
        let status = if waits { "pending" } else { "done" };
        let comma = if n == 0 { "\n" } else { ",\n" };
        write!(index, "{comma}{{\"uuid\":\"{uuid}\",\"api\":\"soc\",\"status\":\"{status}\",\"request_date\":\"{now}\"}}").unwrap();
        if waits {
            let request = format!(
                "{{\"uuid\":\"{uuid}\",\"api\":\"soc\",\"request_date\":\"{now}\",\"params\":{{}}}}"
            );
            std::fs::write(home.join(format!("request/{uuid}.json")), request).unwrap();
        }
    }
    index.push_str("\n]}\n");
    std::fs::write(home.join("request/status.json"), &index).unwrap();
    index.len()
}

/// Two status changes; returns the seconds of one.
fn change(folder: &SharedFolder) -> f64 {
    let now: Date = "2026-11-20T12:00:01+09:00".parse().unwrap();
    let worker = WorkerId::new("bench", Default::default()).unwrap();
    let offer: Offer = [("soc".parse().unwrap(), None)].into();
    let begun = Instant::now();
    let job = folder.claim(&worker, 1, &offer, now).unwrap().unwrap();
    folder.give_back(&job, now).unwrap();
    begun.elapsed().as_secs_f64() / 2.0
}

fn write_bytes(home: &Path, bytes: &[u8]) -> f64 {
    let (temporary, file) = (home.join("limit.tmp"), home.join("limit"));
    let begun = Instant::now();
    let mut out = File::create(&temporary).unwrap();
    out.write_all(bytes).unwrap();
    out.sync_all().unwrap();
    std::fs::rename(&temporary, &file).unwrap();
    File::open(home).unwrap().sync_all().unwrap();
    begun.elapsed().as_secs_f64()
}

fn median(rounds: usize, mut measure: impl FnMut(usize) -> f64) -> f64 {
    let mut seconds: Vec<_> = (0..rounds).map(&mut measure).collect();
    seconds.sort_by(f64::total_cmp);
    seconds[rounds / 2]
}
