//! A day's rows.

use log_db::DbError;
use log_db::run::Run;
use tokio::task::JoinSet;

use crate::support::{date, day, done, on_both, row};

#[test]
fn a_day_comes_back_as_it_was_stored() {
    on_both(async |db| {
        let mut rows = vec![
            row(day(1), "stock", 1),
            row(day(1), "job_status", 0),
            row(day(2), "stock", 3),
        ];
        rows[1].max_us = u64::try_from(i64::MAX).unwrap();
        rows[1].http_status_code = 999;
        db.store_day(&done(day(2), 1), &rows[2..]).await.unwrap();
        db.store_day(&done(day(1), 2), &rows[..2]).await.unwrap();
        rows.sort_by(|a, b| (a.aggregated_on, &a.api_name).cmp(&(b.aggregated_on, &b.api_name)));
        assert_eq!(db.rows(day(1)..=day(2)).await.unwrap(), rows);
        assert_eq!(db.rows(day(2)..=day(30)).await.unwrap(), rows[2..]);
        assert_eq!(db.rows(day(3)..=day(30)).await.unwrap(), []);
        let all = "0000-01-01".parse().unwrap()..="9999-12-31".parse().unwrap();
        assert_eq!(db.rows(all).await.unwrap().len(), 3);
    });
}

#[test]
fn a_day_that_is_stored_again_is_replaced_and_others_stay() {
    on_both(async |db| {
        for on in [day(1), day(2)] {
            let rows = [row(on, "stock", 1), row(on, "other", 2)];
            db.store_day(&done(on, 2), &rows).await.unwrap();
        }
        let fewer = [row(day(1), "stock", 5)];
        db.store_day(&done(day(1), 1), &fewer).await.unwrap();
        assert_eq!(db.rows(day(1)..=day(1)).await.unwrap(), fewer);
        assert_eq!(db.rows(day(2)..=day(2)).await.unwrap().len(), 2);
        db.store_day(&done(day(1), 0), &[]).await.unwrap();
        assert_eq!(db.rows(day(1)..=day(1)).await.unwrap(), []);
    });
}

#[test]
fn what_cannot_be_stored_changes_nothing() {
    on_both(async |db| {
        let before = [row(day(1), "stock", 1)];
        db.store_day(&done(day(1), 1), &before).await.unwrap();
        let twice = vec![row(day(1), "a", 1), row(day(1), "a", 2)];
        let mut long = vec![row(day(1), "a", 1)];
        long[0].api_name = "名".repeat(101);
        let mut status = vec![row(day(1), "a", 1)];
        status[0].http_status_code = 99;
        let mut mean = vec![row(day(1), "a", 1)];
        mean[0].average_ms = -1.0;
        for rows in [twice, long, status, mean] {
            let error = db.store_day(&done(day(1), 1), &rows).await.unwrap_err();
            assert!(matches!(error, DbError::Refused(_)), "{error:?}");
        }
        let error = db
            .store_day(&done(day(1), 1), &[row(day(1), "a", u64::MAX / 300)])
            .await;
        // 300 times that is the sum of its times.
        assert!(matches!(error, Err(DbError::TooLarge(_))), "{error:?}");
        let too_many_bad = Run {
            files: done(day(1), 0)
                .files
                .into_iter()
                .map(|mut file| {
                    file.bad_lines = file.lines + 1;
                    file
                })
                .collect(),
            ..done(day(1), 1)
        };
        assert!(db.store_day(&too_many_bad, &[]).await.is_err());
        assert_eq!(db.rows(day(1)..=day(1)).await.unwrap(), before);
        assert_eq!(db.runs_since(day(1)).await.unwrap(), [done(day(1), 1)]);
    });
}

#[test]
fn a_name_of_a_hundred_characters_fits_however_many_bytes_it_has() {
    on_both(async |db| {
        let mut long = row(day(1), "stock", 1);
        long.api_name = "名".repeat(100);
        db.store_day(&done(day(1), 1), std::slice::from_ref(&long))
            .await
            .unwrap();
        assert_eq!(db.rows(day(1)..=day(1)).await.unwrap(), [long]);
    });
}

#[test]
fn who_stores_a_day_at_the_same_time_as_others_waits_and_one_of_them_is_seen() {
    on_both(async |db| {
        let mut writers = JoinSet::new();
        for n in 1..=8_u64 {
            let db = db.clone();
            writers.spawn(async move {
                let rows: Vec<_> = (0..20)
                    .map(|api| row(day(1), &format!("api{api:02}"), n))
                    .collect();
                for _ in 0..5 {
                    let mut run = done(day(1), 20);
                    run.started = date("2026-11-21T00:30:00+09:00");
                    db.store_day(&run, &rows).await.unwrap();
                }
            });
        }
        while let Some(ended) = writers.join_next().await {
            ended.unwrap();
            let rows = db.rows(day(1)..=day(1)).await.unwrap();
            assert_eq!(rows.len(), 20);
            assert!(
                rows.iter()
                    .all(|row| row.access_count == rows[0].access_count),
                "rows of two writers"
            );
        }
        assert_eq!(db.runs_since(day(1)).await.unwrap().len(), 40);
    });
}
