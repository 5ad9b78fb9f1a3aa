//! Both databases, and things to store.

use job_core::date::Date;
use job_core::day::Day;
use job_core::day_summary::{BadSample, TopPath};
use log_db::run::{Run, RunFile, RunResult};
use log_db::{Address, ApiLogRow, LogDb};
use test_support::Postgresql;

/// Runs a test on a new SQLite, then on a new PostgreSQL.
pub(crate) fn on_both(test: impl AsyncFn(LogDb)) {
    let home = tempfile::tempdir().unwrap();
    run(async || {
        test(migrated(&sqlite(home.path())).await).await;
    });
    let server = Postgresql::start();
    run(async || {
        test(migrated(&server.url().parse().unwrap()).await).await;
    });
}

/// The address of a SQLite in a folder that is not there yet.
pub(crate) fn sqlite(home: &std::path::Path) -> Address {
    Address::Sqlite(home.join("new/bcrl.sqlite"))
}

/// A database with its tables.
pub(crate) async fn migrated(address: &Address) -> LogDb {
    let db = LogDb::new(address);
    db.migrate().await.unwrap();
    db
}

/// Runs something in a runtime of several threads.
pub(crate) fn run(work: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work());
}

/// A day of November 2026.
pub(crate) fn day(day: u32) -> Day {
    format!("2026-11-{day:02}").parse().unwrap()
}

/// A moment.
pub(crate) fn date(text: &str) -> Date {
    text.parse().unwrap()
}

/// A row of this day, with the number of requests that makes it different from others.
pub(crate) fn row(on: Day, api_key: &str, access_count: u64) -> ApiLogRow {
    ApiLogRow {
        api_name: format!("{api_key}取得API(複数件)"),
        http_method: "GET".into(),
        http_status_code: 200,
        access_count,
        average_ms: 0.1 + 0.2,
        aggregated_on: on,
        log_file_name: format!("ApiLog.{on}.tsv"),
        api_key: api_key.into(),
        total_us: 300 * access_count,
        max_us: 4711,
        latency_histogram: vec![0, 1, 0xff],
    }
}

/// A run that stored these rows.
pub(crate) fn done(on: Day, rows: u64) -> Run {
    Run {
        day: on,
        started: date("2026-11-21T00:30:00.123+09:00"),
        seconds: 0.25,
        result: RunResult::Done,
        message: None,
        rows,
        files: vec![RunFile {
            name: format!("ApiLog.{on}.tsv"),
            size: 1 << 40,
            sha256: "ab".repeat(32),
            lines: 10,
            bad_lines: 1,
            bad_line_samples: vec![BadSample {
                line: 7,
                reason: "four fields, \"five\" are due\u{7f}\t".into(),
                text: "\\x00\\t".into(),
            }],
            unmatched_paths: vec![TopPath {
                path: "/商品\\x00".into(),
                count: 3,
                over: 1,
            }],
            refused: None,
        }],
    }
}
