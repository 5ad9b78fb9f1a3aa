//! What is stored of a day.

use std::ops::RangeInclusive;

use chrono::NaiveDate;
use job_core::day::Day;
use sqlx::FromRow;

use crate::db::{LogDb, Pools};
use crate::error::DbError;
use crate::run::Run;
use crate::{postgres, sqlite};

/// One row of `api_log`: what was counted of one API, method and status in one file of one day.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct ApiLogRow {
    /// The API's Japanese label on that day, at most 100 characters.
    pub api_name: String,
    /// The method, at most 100 characters.
    pub http_method: String,
    /// The status, from 100 to 999.
    #[sqlx(try_from = "i32")]
    pub http_status_code: u16,
    /// How many requests there were.
    #[sqlx(try_from = "i64")]
    pub access_count: u64,
    /// Their mean time in milliseconds.
    pub average_ms: f64,
    /// The day on which they were logged, in the site's zone.
    #[sqlx(try_from = "NaiveDate")]
    pub aggregated_on: Day,
    /// The file's name without its folder, at most 100 characters.
    pub log_file_name: String,
    /// The API's stable name, at most 100 characters.
    pub api_key: String,
    /// The sum of their times in microseconds.
    #[sqlx(try_from = "i64")]
    pub total_us: u64,
    /// The longest of their times in microseconds.
    #[sqlx(try_from = "i64")]
    pub max_us: u64,
    /// Their times as an encoded histogram.
    pub latency_histogram: Vec<u8>,
}

/// Adds one row; its values in the order of [`ApiLogRow`].
pub(crate) const INSERT: &str = "INSERT INTO api_log (api_name, http_method, http_status_code, access_count, \
    average_ms, aggregated_on, log_file_name, api_key, total_us, max_us, latency_histogram) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
/// Takes a day's rows away.
pub(crate) const DELETE: &str = "DELETE FROM api_log WHERE aggregated_on = $1";
const SELECT: &str = "SELECT api_name, http_method, http_status_code, access_count, average_ms, aggregated_on, \
    log_file_name, api_key, total_us, max_us, latency_histogram FROM api_log \
    WHERE aggregated_on BETWEEN $1 AND $2";

impl LogDb {
    /// Replaces what is stored of a run's day by these rows, and notes the run: all of it or nothing. Whoever stores
    /// the same day at the same time waits.
    ///
    /// # Errors
    /// [`DbError::Refused`] where a row is of another shape, or there twice.
    pub async fn store_day(&self, run: &Run, rows: &[ApiLogRow]) -> Result<(), DbError> {
        match &self.pools {
            Pools::Postgres(pool) => postgres::store_day(pool, run, rows).await,
            Pools::Sqlite { writer, .. } => sqlite::store_day(writer, run, rows).await,
        }
    }

    /// The rows of these days, by day, name, method, status and file.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn rows(&self, days: RangeInclusive<Day>) -> Result<Vec<ApiLogRow>, DbError> {
        let (first, last) = (days.start().calendar(), days.end().calendar());
        let mut rows: Vec<ApiLogRow> = match &self.pools {
            Pools::Postgres(pool) => {
                let query = sqlx::query_as(SELECT).bind(first).bind(last);
                query.fetch_all(pool).await?
            }
            Pools::Sqlite { readers, .. } => {
                let query = sqlx::query_as(SELECT).bind(first).bind(last);
                query.fetch_all(readers).await?
            }
        };
        // Here and not in SQL: a server's collation is its own.
        rows.sort_by(|a, b| a.place().cmp(&b.place()));
        Ok(rows)
    }
}

impl ApiLogRow {
    /// What no two rows share.
    fn place(&self) -> (Day, &str, &str, u16, &str) {
        (
            self.aggregated_on,
            &self.api_name,
            &self.http_method,
            self.http_status_code,
            &self.log_file_name,
        )
    }
}

/// A count as databases have it.
pub(crate) fn count(number: u64) -> Result<i64, DbError> {
    i64::try_from(number).map_err(|_| DbError::TooLarge(number))
}
