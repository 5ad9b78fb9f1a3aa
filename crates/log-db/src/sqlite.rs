//! What SQLite does its own way: a file that many read and one writes.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::types::Json;
use sqlx::{SqliteConnection, SqlitePool};

use crate::day::{self, ApiLogRow, count};
use crate::db::Pools;
use crate::error::DbError;
use crate::run::{self, Run};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// More than a batch and a page need at once.
const READERS: u32 = 4;
/// Another process that writes is waited for so long; a day is stored in less than a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where two processes make the same file at once, SQLite refuses one of them without any waiting.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);
/// `SQLITE_BUSY` (sqlite.org/rescode.html).
const BUSY: u32 = 5;
/// Owner and group read and write.
const MODE: u32 = 0o660;
/// Takes the only right to write at once: a transaction that begins as a reader may be refused it later.
const BEGIN: &str = "BEGIN IMMEDIATE";

pub(crate) fn pools(path: &Path) -> Pools {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(PATIENCE);
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(options.clone())
    };
    Pools::Sqlite {
        readers: pool(READERS),
        writer: pool(1),
    }
}

pub(crate) async fn migrate(writer: &SqlitePool) -> Result<(), DbError> {
    let options = writer.connect_options();
    make(options.get_filename()).map_err(sqlx::Error::from)?;
    for _ in 0..TRIES {
        match try_migrate(writer).await {
            Err(error) if is_busy(&error) => tokio::time::sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
    try_migrate(writer).await
}

async fn try_migrate(writer: &SqlitePool) -> Result<(), DbError> {
    // All of it as the only writer: another process would make the same tables.
    let mut change = writer.begin_with(BEGIN).await?;
    MIGRATIONS.run_direct(None, &mut *change, false).await?;
    Ok(change.commit().await?)
}

/// Makes the file and its folder, where they are not there. Like the logs, it is nobody's business but owner's and
/// group's; the files that SQLite makes beside it are as it is.
fn make(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::File::options();
    let made = options.create(true).append(true).mode(MODE);
    made.open(path).map(drop)
}

fn is_busy(error: &DbError) -> bool {
    let DbError::Away(sqlx::Error::Database(error)) = error else {
        return false;
    };
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == BUSY)
}

pub(crate) async fn store_day(
    writer: &SqlitePool,
    run: &Run,
    rows: &[ApiLogRow],
) -> Result<(), DbError> {
    let mut change = writer.begin_with(BEGIN).await?;
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

pub(crate) async fn note_run(writer: &SqlitePool, run: &Run) -> Result<(), DbError> {
    let mut change = writer.begin_with(BEGIN).await?;
    insert_run(&mut change, run).await?;
    Ok(change.commit().await?)
}

async fn insert_run(connection: &mut SqliteConnection, run: &Run) -> Result<(), DbError> {
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
