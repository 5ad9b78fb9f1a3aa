//! A database that is away, and comes back.

use log_db::{DbError, LogDb};
use test_support::Postgresql;

use crate::support::{day, done, migrated, row, run};

#[test]
fn a_server_that_comes_back_is_found_by_the_same_connections() {
    let mut server = Postgresql::start();
    let address = server.url().parse().unwrap();
    run(async || {
        let db = migrated(&address).await;
        let rows = [row(day(1), "stock", 1)];
        server.end();
        let error = db.store_day(&done(day(1), 1), &rows).await.unwrap_err();
        assert!(error.is_away(), "{error:?}");
        let error = LogDb::new(&address).migrate().await.unwrap_err();
        assert!(error.is_away(), "{error:?}");
        server.begin();
        db.store_day(&done(day(1), 1), &rows).await.unwrap();
        assert_eq!(db.rows(day(1)..=day(1)).await.unwrap(), rows);
    });
}

#[test]
fn a_file_that_cannot_be_opened_is_away() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), "").unwrap();
    run(async || {
        let db = LogDb::new(&log_db::Address::Sqlite(
            home.path().join("file/bcrl.sqlite"),
        ));
        assert!(matches!(db.migrate().await, Err(DbError::Away(_))));
    });
}
