//! Killed at any moment and run again: what is stored is what one clean run stores.
//!
//! `BCRL_CAMPAIGN_ROUNDS` says how many kills, `BCRL_CAMPAIGN_SEED` repeats a run's choices.

use std::time::{Duration, Instant};

use log_db::ApiLogRow;
use test_support::{Dice, Postgresql, Process, Site, campaign_rounds};

use crate::support::{ago, put_day, rows_of};

/// So many lines take a fraction of a second.
const LINES: usize = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn run(site: &Site) -> Process {
    let day = ago(1).to_string();
    Process::start(site, "bcrl-log-batch", &["run", "--day", &day, "--force"])
}

#[test]
fn campaign_of_kills_and_runs_leaves_the_rows_of_one_clean_run() {
    let rounds = campaign_rounds(6);
    let dice = &mut Dice::new();
    let server = Postgresql::start();
    let home = tempfile::tempdir().unwrap();
    let mut clean: Option<Vec<ApiLogRow>> = None;
    for url in [
        server.url(),
        format!("sqlite:{}", home.path().join("bcrl.sqlite").display()),
    ] {
        let site = Site::new().set("DATABASE_URL", &url);
        put_day(&site.path("data/Log"), ago(1), LINES);
        // The first run makes the tables, and may be killed while it does.
        let mut full = Duration::from_secs(1);
        let mut killed = 0;
        for _ in 0..rounds {
            let mut interrupted = run(&site);
            let moment = Duration::from_millis(dice.below(full.as_millis() as u64 + 1));
            std::thread::sleep(moment);
            if interrupted.has_ended() {
                interrupted.wait(PATIENCE);
            } else {
                killed += 1;
            }
            interrupted.kill();
            let between = rows_of(&url);
            if let Some(clean) = &clean {
                assert!(
                    between.is_empty() || between == *clean,
                    "half a day is stored"
                );
            }
            let started = Instant::now();
            assert_eq!(run(&site).wait(PATIENCE).code(), Some(0));
            full = started.elapsed();
            let rows = rows_of(&url);
            assert_eq!(
                rows.iter().map(|row| row.access_count).sum::<u64>(),
                LINES as u64
            );
            assert_eq!(rows, *clean.get_or_insert_with(|| rows.clone()));
        }
        println!("{killed} of {rounds} runs were killed");
        assert!(killed > 0);
    }
}
