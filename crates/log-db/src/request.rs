//! Days that somebody wants counted again.

use chrono::{DateTime, FixedOffset, NaiveDate};
use job_core::date::Date;
use job_core::day::Day;
use sqlx::FromRow;

use crate::db::{LogDb, Pools};
use crate::error::DbError;
use crate::run::RunResult;

/// A request to count a day again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Request {
    /// Its number: later ones have larger ones.
    #[sqlx(rename = "request_id")]
    pub id: i64,
    /// The day.
    #[sqlx(rename = "aggregated_on", try_from = "NaiveDate")]
    pub day: Day,
}

const INSERT: &str = "INSERT INTO log_request (aggregated_on, requested_at) VALUES ($1, $2)";
const OPEN: &str = "SELECT request_id, aggregated_on FROM log_request WHERE finished_at IS NULL ORDER BY request_id";
const FINISH: &str = "UPDATE log_request SET finished_at = $2, result = $3 \
    WHERE request_id = $1 AND finished_at IS NULL";

impl LogDb {
    /// Asks for a day to be counted again.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn request(&self, day: Day, now: Date) -> Result<(), DbError> {
        match &self.pools {
            Pools::Postgres(pool) => {
                let query = sqlx::query(INSERT).bind(day.calendar()).bind(moment(now));
                query.execute(pool).await?;
            }
            Pools::Sqlite { writer, .. } => {
                let query = sqlx::query(INSERT).bind(day.calendar()).bind(moment(now));
                query.execute(writer).await?;
            }
        }
        Ok(())
    }

    /// The requests that nobody has finished, oldest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn open_requests(&self) -> Result<Vec<Request>, DbError> {
        Ok(match &self.pools {
            Pools::Postgres(pool) => sqlx::query_as(OPEN).fetch_all(pool).await?,
            Pools::Sqlite { readers, .. } => sqlx::query_as(OPEN).fetch_all(readers).await?,
        })
    }

    /// Notes that the batch is through with a request. Where that was noted before, it stays as it was.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn finish_request(
        &self,
        request: &Request,
        result: RunResult,
        now: Date,
    ) -> Result<(), DbError> {
        let (id, result) = (request.id, result.word());
        match &self.pools {
            Pools::Postgres(pool) => {
                let query = sqlx::query(FINISH).bind(id).bind(moment(now)).bind(result);
                query.execute(pool).await?;
            }
            Pools::Sqlite { writer, .. } => {
                let query = sqlx::query(FINISH).bind(id).bind(moment(now)).bind(result);
                query.execute(writer).await?;
            }
        }
        Ok(())
    }
}

/// A moment as databases have it.
pub(crate) fn moment(date: Date) -> DateTime<FixedOffset> {
    date.moment()
}
