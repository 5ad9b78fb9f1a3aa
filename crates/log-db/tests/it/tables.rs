//! The tables themselves.

use std::os::unix::fs::PermissionsExt;

use log_db::{DbError, LogDb};
use test_support::Postgresql;
use tokio::task::JoinSet;

use crate::support::{day, done, migrated, on_both, row, run, sqlite};

/// The specification's eight columns with their types, in its order, then ours.
const COLUMNS: &str = "\
log_id|bigint||NO
api_name|character varying|100|NO
http_method|character varying|100|NO
http_status_code|integer||NO
access_count|bigint||NO
average_ms|double precision||NO
aggregated_on|date||NO
log_file_name|character varying|100|NO
api_key|character varying|100|NO
total_us|bigint||NO
max_us|bigint||NO
latency_histogram|bytea||NO
";

#[test]
fn the_table_has_the_columns_of_the_specification() {
    let server = Postgresql::start();
    run(async || {
        migrated(&server.url().parse().unwrap()).await;
    });
    let columns = server.ask(
        "SELECT column_name, data_type, character_maximum_length, is_nullable FROM information_schema.columns \
         WHERE table_name = 'api_log' ORDER BY ordinal_position",
    );
    assert_eq!(columns, COLUMNS);
    let unique = server
        .ask("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'api_log_once'");
    assert_eq!(
        unique,
        "UNIQUE (aggregated_on, api_name, http_method, http_status_code, log_file_name)\n"
    );
}

#[test]
fn tables_are_brought_up_to_date_again_and_again_and_by_several_at_once() {
    let home = tempfile::tempdir().unwrap();
    let server = Postgresql::start();
    for address in [sqlite(home.path()), server.url().parse().unwrap()] {
        run(async || {
            let mut starts = JoinSet::new();
            for _ in 0..4 {
                let db = LogDb::new(&address);
                starts.spawn(async move { db.migrate().await });
            }
            while let Some(ended) = starts.join_next().await {
                ended.unwrap().unwrap();
            }
            let db = migrated(&address).await;
            db.store_day(&done(day(1), 1), &[row(day(1), "stock", 1)])
                .await
                .unwrap();
            db.close().await;
            let again = migrated(&address).await;
            assert_eq!(again.rows(day(1)..=day(1)).await.unwrap().len(), 1);
        });
    }
}

#[test]
fn an_embedded_database_is_readable_by_its_owner_and_group_alone() {
    let home = tempfile::tempdir().unwrap();
    run(async || {
        let db = migrated(&sqlite(home.path())).await;
        db.store_day(&done(day(1), 0), &[]).await.unwrap();
        for name in ["bcrl.sqlite", "bcrl.sqlite-wal"] {
            let found = std::fs::metadata(home.path().join("new").join(name)).unwrap();
            assert_eq!(found.permissions().mode() & 0o007, 0, "{name}");
        }
    });
}

#[test]
fn tables_of_a_newer_version_are_left_alone() {
    let server = Postgresql::start();
    let address = server.url().parse().unwrap();
    run(async || {
        migrated(&address).await;
    });
    server.ask("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1");
    run(async || {
        let error = LogDb::new(&address).migrate().await.unwrap_err();
        assert!(matches!(error, DbError::Migration(_)), "{error:?}");
    });
}

#[test]
fn without_its_tables_a_database_refuses() {
    on_both(async |db| {
        assert!(db.rows(day(1)..=day(1)).await.is_ok());
    });
    let home = tempfile::tempdir().unwrap();
    run(async || {
        std::fs::create_dir(home.path().join("new")).unwrap();
        let error = LogDb::new(&sqlite(home.path()))
            .open_requests()
            .await
            .unwrap_err();
        assert!(matches!(error, DbError::Refused(_)), "{error:?}");
    });
}
