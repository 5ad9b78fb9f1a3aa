//! Log folders, and batches on both databases.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot::Clock;
use job_core::api_routes::{ApiRoutes, NamedRoute};
use job_core::catalog::Label;
use job_core::day::Day;
use log_batch::batch::Tell;
use log_batch::{Batch, Config};
use log_db::{Address, ApiLogRow, LogDb};
use test_support::Postgresql;

/// The clock of the site's zone.
pub(crate) fn clock() -> Clock {
    Clock::new("Asia/Tokyo".parse().unwrap())
}

/// The day so many days ago.
pub(crate) fn ago(days: i64) -> Day {
    Day::of(clock().now()).plus(-days)
}

/// Every day there can be.
pub(crate) fn ever() -> std::ops::RangeInclusive<Day> {
    "0000-01-01".parse().unwrap()..="9999-12-31".parse().unwrap()
}

/// Runs a test in a runtime of several threads.
pub(crate) fn run(work: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work());
}

/// A log folder of its own, and a batch that counts it.
pub(crate) struct Desk {
    pub(crate) batch: Batch,
    pub(crate) log_dir: PathBuf,
}

impl Desk {
    /// What `run` without a day does; returns the days that could not be counted.
    pub(crate) async fn catch_up(&self) -> Vec<Day> {
        self.batch.catch_up(&quiet()).await.unwrap()
    }

    /// All rows.
    pub(crate) async fn rows(&self) -> Vec<ApiLogRow> {
        self.batch.db().rows(ever()).await.unwrap()
    }

    pub(crate) fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        put(&self.log_dir, name, text);
    }

    /// A day's names and lines, as an API server leaves them.
    pub(crate) fn day(&self, day: Day, lines: usize) {
        put_day(&self.log_dir, day, lines);
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.log_dir.join(name).exists()
    }
}

/// Runs a test with a batch on a new SQLite, then with one on a new PostgreSQL; returns what it returned each time.
pub(crate) fn on_both<T>(test: impl AsyncFn(Desk) -> T) -> [T; 2] {
    let server = Postgresql::start();
    let home = tempfile::tempdir().unwrap();
    let sqlite = Address::Sqlite(home.path().join("bcrl.sqlite"));
    [sqlite, server.url().parse().unwrap()].map(|database| {
        let logs = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let config = Config {
                log_dir: logs.path().join("Log"),
                database,
                cron: "30 0 * * *".into(),
                keep_days: 30,
            };
            let batch = Batch::new(&config, clock());
            batch.db().migrate().await.unwrap();
            let log_dir = config.log_dir;
            test(Desk { batch, log_dir }).await
        })
    })
}

/// All rows of a database.
pub(crate) fn rows_of(url: &str) -> Vec<ApiLogRow> {
    let mut rows = Vec::new();
    run(async || {
        let db = LogDb::new(&url.parse().unwrap());
        db.migrate().await.unwrap();
        rows = db.rows(ever()).await.unwrap();
    });
    rows
}

/// Nobody is told how far it is.
pub(crate) fn quiet() -> Tell {
    Arc::new(|_| {})
}

pub(crate) fn put(log_dir: &Path, name: &str, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(log_dir).unwrap();
    std::fs::write(log_dir.join(name), text).unwrap();
}

/// A day's names and lines, as an API server leaves them: products, jobs, and what nobody knows.
pub(crate) fn put_day(log_dir: &Path, day: Day, lines: usize) {
    put(log_dir, &format!("ApiRoutes.{day}.json"), routes());
    put(log_dir, &format!("ApiLog.{day}.tsv"), text(day, lines));
}

/// Lines of a day, the same ones each time.
pub(crate) fn text(day: Day, lines: usize) -> String {
    let mut text = String::new();
    for n in 0..lines {
        let (url, method, status) = match n % 10 {
            0..=4 => ("/api/products?page=2".to_owned(), "GET", 200),
            5 => ("/api/products".to_owned(), "GET", 500),
            6 => (format!("/api/v1/jobs/{n}"), "GET", 200),
            7 => (format!("/api/v1/jobs/{n}"), "DELETE", 404),
            8 => ("/wp-login.php".to_owned(), "POST", 404),
            _ => (format!("/no/{n}"), "GET", 404),
        };
        let micros = n * 7919 % 1_000_000;
        let (hour, minute, second) = (n / 3600 % 24, n / 60 % 60, n % 60);
        writeln!(
            text,
            "{url}\t{method}\t{status}\t{}.{:03}\t{day}T{hour:02}:{minute:02}:{second:02}.{:03}+09:00",
            micros / 1000,
            micros % 1000,
            n % 1000
        )
        .unwrap();
    }
    text
}

/// The names of the APIs of those lines.
pub(crate) fn routes() -> Vec<u8> {
    let route = |method: &str, pattern: &str, key: &str, ja: &str| NamedRoute {
        method: method.into(),
        pattern: pattern.into(),
        key: key.into(),
        label: Label {
            ja: ja.into(),
            en: key.into(),
        },
    };
    serde_json::to_vec(&ApiRoutes::new(vec![
        route("GET", "/api/products", "products", "商品取得API(複数件)"),
        route(
            "GET",
            "/api/v1/jobs/{uuid}",
            "job-status",
            "ジョブ状態取得API",
        ),
        route(
            "DELETE",
            "/api/v1/jobs/{uuid}",
            "job-cancel",
            "ジョブ取消API",
        ),
    ]))
    .unwrap()
}
