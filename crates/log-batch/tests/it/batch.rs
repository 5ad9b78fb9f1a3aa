//! From the files into both databases.

use std::collections::BTreeMap;

use job_core::histogram::Histogram;
use log_db::run::{Run, RunResult};

use crate::support::{Desk, ago, on_both, quiet, text};

async fn runs(desk: &Desk) -> Vec<Run> {
    desk.batch.db().runs_since(ago(400)).await.unwrap()
}

#[test]
fn both_databases_have_what_a_plain_count_of_the_file_has() {
    let [sqlite, postgresql] = on_both(async |desk| {
        desk.day(ago(1), 2000);
        assert_eq!(desk.catch_up().await, []);
        desk.rows().await
    });
    assert_eq!(sqlite, postgresql);
    // By name, method and status: the microseconds of each request, in order.
    let mut plain: BTreeMap<(&str, &str, u16), Vec<u64>> = BTreeMap::new();
    let text = text(ago(1), 2000);
    for line in text.lines() {
        let columns: Vec<_> = line.split('\t').collect();
        let name = match (columns[0], columns[1]) {
            (url, "GET") if url.starts_with("/api/products") => "商品取得API(複数件)",
            (url, "GET") if url.starts_with("/api/v1/jobs/") => "ジョブ状態取得API",
            (url, "DELETE") if url.starts_with("/api/v1/jobs/") => "ジョブ取消API",
            _ => "(未登録)",
        };
        let key = (name, columns[1], columns[2].parse().unwrap());
        let micros = columns[3].replace('.', "").parse().unwrap();
        plain.entry(key).or_default().push(micros);
    }
    assert_eq!(sqlite.len(), plain.len());
    for row in &sqlite {
        let key = (&*row.api_name, &*row.http_method, row.http_status_code);
        let mut micros = plain.remove(&key).unwrap();
        micros.sort_unstable();
        assert_eq!(row.access_count, micros.len() as u64);
        assert_eq!(row.total_us, micros.iter().sum::<u64>());
        assert_eq!(Some(&row.max_us), micros.last());
        let mean = row.total_us as f64 / 1000.0 / micros.len() as f64;
        assert!((row.average_ms - mean).abs() <= 1e-9 * mean);
        assert_eq!(row.aggregated_on, ago(1));
        let histogram = Histogram::decode(&row.latency_histogram).unwrap();
        for q in [0.5, 0.95, 0.99] {
            let rank = (q * micros.len() as f64).ceil() as usize;
            let exact = micros[rank - 1] as f64;
            let estimate = histogram.quantile(q).unwrap();
            assert!(
                (estimate - exact).abs() <= 0.0079 * exact,
                "{q} {estimate} {exact}"
            );
        }
    }
}

#[test]
fn seven_missed_days_are_caught_up_oldest_first_and_today_is_left() {
    on_both(async |desk| {
        for days in 0..=7 {
            desk.day(ago(days), 30);
        }
        assert_eq!(desk.catch_up().await, []);
        let days: Vec<_> = runs(&desk).await.iter().map(|run| run.day).collect();
        let missed: Vec<_> = (1..=7).rev().map(ago).collect();
        assert_eq!(days, missed);
        let rows = desk.rows().await;
        assert_eq!(rows.iter().map(|row| row.access_count).sum::<u64>(), 7 * 30);
        // Nothing has changed: nothing is stored, and nothing noted.
        assert_eq!(desk.catch_up().await, []);
        assert_eq!(runs(&desk).await.len(), 7);
    });
}

#[test]
fn lines_that_come_late_are_counted_the_next_time() {
    on_both(async |desk| {
        for days in [1, 3, 5, 20] {
            desk.day(ago(days), 30);
        }
        desk.catch_up().await;
        for days in [1, 20] {
            desk.day(ago(days), 40);
        }
        // The same size, and other bytes: seen on a recent day only.
        for days in [3, 5] {
            let other = text(ago(days), 30).replace("DELETE", "GETGET");
            desk.put(&format!("ApiLog.{}.tsv", ago(days)), other);
        }
        assert_eq!(desk.catch_up().await, []);
        let runs = runs(&desk).await;
        let again: Vec<_> = runs[4..].iter().map(|run| run.day).collect();
        assert_eq!(again, [ago(20), ago(3), ago(1)]);
        let count: u64 = desk.rows().await.iter().map(|row| row.access_count).sum();
        assert_eq!(count, 40 + 30 + 30 + 40);
    });
}

#[test]
fn a_day_without_a_file_is_noted_once_and_keeps_what_is_stored() {
    on_both(async |desk| {
        assert_eq!(desk.catch_up().await, []);
        assert_eq!(desk.catch_up().await, []);
        let noted = runs(&desk).await;
        assert_eq!(noted.len(), 1);
        assert_eq!((noted[0].day, noted[0].result), (ago(1), RunResult::NoFile));
        desk.day(ago(1), 30);
        desk.catch_up().await;
        let rows = desk.rows().await;
        assert!(!rows.is_empty());
        std::fs::remove_dir_all(&desk.log_dir).unwrap();
        let result = desk.batch.run_day(ago(1), &quiet()).await.unwrap();
        assert_eq!(result, RunResult::NoFile);
        assert_eq!(desk.rows().await, rows);
    });
}

#[test]
fn a_day_that_cannot_be_counted_is_noted_and_keeps_no_other_day_waiting() {
    on_both(async |desk| {
        for days in [1, 2] {
            desk.day(ago(days), 30);
        }
        desk.put(&format!("ApiRoutes.{}.json", ago(2)), "{");
        assert_eq!(desk.catch_up().await, [ago(2)]);
        let noted = runs(&desk).await;
        assert_eq!(noted[0].result, RunResult::Failed);
        assert!(
            noted[0].message.as_ref().unwrap().contains("ApiRoutes"),
            "{noted:?}"
        );
        assert_eq!(noted[1].result, RunResult::Done);
        desk.day(ago(2), 30);
        assert_eq!(desk.catch_up().await, []);
        let count: u64 = desk.rows().await.iter().map(|row| row.access_count).sum();
        assert_eq!(count, 60);
    });
}

#[test]
fn files_go_after_thirty_days_once_their_day_is_stored() {
    on_both(async |desk| {
        for days in [30, 31, 32, 33] {
            desk.day(ago(days), 30);
        }
        // Names without lines, and names that make a day fail.
        desk.put(&format!("ApiRoutes.{}.json", ago(40)), "{}");
        desk.put(&format!("ApiRoutes.{}.json", ago(32)), "{");
        desk.put("notes.txt", "mine");
        assert_eq!(desk.catch_up().await, [ago(32)]);
        for (days, stays) in [(30, true), (31, false), (32, true), (33, false)] {
            for name in [
                format!("ApiLog.{}.tsv", ago(days)),
                format!("ApiRoutes.{}.json", ago(days)),
            ] {
                assert_eq!(desk.has(&name), stays, "{name}");
            }
        }
        assert!(!desk.has(&format!("ApiRoutes.{}.json", ago(40))));
        assert!(desk.has("notes.txt"));
        let count: u64 = desk.rows().await.iter().map(|row| row.access_count).sum();
        assert_eq!(count, 90);
        // What is stored of removed files stays, whatever is tried.
        desk.catch_up().await;
        assert_eq!(
            desk.batch.run_day(ago(31), &quiet()).await.unwrap(),
            RunResult::NoFile
        );
        let again: u64 = desk.rows().await.iter().map(|row| row.access_count).sum();
        assert_eq!(again, 90);
    });
}

#[test]
fn a_day_that_lost_a_file_is_not_counted_again_by_itself() {
    on_both(async |desk| {
        let (day, second) = (ago(1), format!("ApiLog.{}.b.tsv", ago(1)));
        desk.day(day, 30);
        desk.put(&second, text(day, 50));
        desk.catch_up().await;
        std::fs::remove_file(desk.log_dir.join(second)).unwrap();
        desk.day(day, 31);
        desk.catch_up().await;
        let count = async || -> u64 { desk.rows().await.iter().map(|row| row.access_count).sum() };
        assert_eq!(count().await, 80);
        desk.batch.run_day(day, &quiet()).await.unwrap();
        assert_eq!(count().await, 31);
    });
}

#[test]
fn requests_are_answered_in_order_and_once() {
    on_both(async |desk| {
        desk.day(ago(0), 20);
        desk.day(ago(2), 10);
        let db = desk.batch.db();
        for day in [ago(2), ago(5), ago(0)] {
            db.request(day, desk.batch.clock().now()).await.unwrap();
        }
        desk.batch.answer_requests(&quiet()).await.unwrap();
        desk.batch.answer_requests(&quiet()).await.unwrap();
        assert_eq!(db.open_requests().await.unwrap(), []);
        let noted: Vec<_> = runs(&desk)
            .await
            .iter()
            .map(|run| (run.day, run.result))
            .collect();
        let (done, none) = (RunResult::Done, RunResult::NoFile);
        assert_eq!(noted, [(ago(2), done), (ago(5), none), (ago(0), done)]);
    });
}
