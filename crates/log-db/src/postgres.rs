//! What PostgreSQL does its own way.

use std::time::Duration;

use chrono::Datelike;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::day::{self, ApiLogRow, count};
use crate::error::DbError;
use crate::run::{self, Run};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

/// More than a batch and a page need at once.
const CONNECTIONS: u32 = 4;
/// A server that has not answered for so long is away.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first half of our advisory locks ("bcrl"); the second is the day. Other programs have other ones.
const LOCKS: i32 = 0x6263_726c;

pub(crate) fn pool(options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .connect_lazy_with(options.clone().application_name("bcrl"))
}

pub(crate) async fn migrate(pool: &PgPool) -> Result<(), DbError> {
    // It takes an advisory lock of its own.
    let mut connection = pool.acquire().await?;
    Ok(MIGRATIONS.run_direct(None, &mut *connection, false).await?)
}

pub(crate) async fn store_day(pool: &PgPool, run: &Run, rows: &[ApiLogRow]) -> Result<(), DbError> {
    let mut change = pool.begin().await?;
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1, $2)").bind(LOCKS);
    let lock = lock.bind(run.day.calendar().num_days_from_ce());
    lock.execute(&mut *change).await?;
    let delete = sqlx::query(day::DELETE).bind(run.day.calendar());
    delete.execute(&mut *change).await?;
    for row in rows {
        let insert = sqlx::query(day::INSERT)
            .bind(&row.api_name)
            .bind(&row.http_method)
            .bind(i32::from(row.http_status_code))
            .bind(count(row.access_count)?)
            .bind(row.average_ms)
            .bind(row.aggregated_on.calendar())
            .bind(&row.log_file_name)
            .bind(&row.api_key)
            .bind(count(row.total_us)?)
            .bind(count(row.max_us)?)
            .bind(&row.latency_histogram);
        insert.execute(&mut *change).await?;
    }
    insert_run(&mut change, run).await?;
    Ok(change.commit().await?)
}

pub(crate) async fn note_run(pool: &PgPool, run: &Run) -> Result<(), DbError> {
    let mut change = pool.begin().await?;
    insert_run(&mut change, run).await?;
    Ok(change.commit().await?)
}

async fn insert_run(connection: &mut PgConnection, run: &Run) -> Result<(), DbError> {
    let insert = sqlx::query_scalar(run::INSERT)
        .bind(run.day.calendar())
        .bind(run.started.moment())
        .bind(run.seconds)
        .bind(run.result.word())
        .bind(&run.message)
        .bind(count(run.rows)?);
    let id: i64 = insert.fetch_one(&mut *connection).await?;
    for file in &run.files {
        let insert = sqlx::query(run::INSERT_FILE)
            .bind(id)
            .bind(&file.name)
            .bind(count(file.size)?)
            .bind(&file.sha256)
            .bind(count(file.lines)?)
            .bind(count(file.bad_lines)?)
            .bind(Json(&file.bad_line_samples))
            .bind(Json(&file.unmatched_paths))
            .bind(&file.refused);
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}
