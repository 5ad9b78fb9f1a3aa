//! What the batch did, and which days are stored.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use job_core::date::Date;
use job_core::day::Day;
use job_core::day_summary::{BadSample, TopPath};
use serde::Serialize;
use sqlx::FromRow;
use sqlx::types::Json;

use crate::db::{LogDb, Pools};
use crate::error::DbError;
use crate::{postgres, sqlite};

/// One time that the batch counted a day, or could not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// The day.
    pub day: Day,
    /// When it began.
    pub started: Date,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How it ended.
    pub result: RunResult,
    /// Why it failed.
    pub message: Option<String>,
    /// How many rows of `api_log` it stored.
    pub rows: u64,
    /// The files that it read, by name.
    pub files: Vec<RunFile>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunResult {
    /// The day is stored.
    Done,
    /// There was nothing to count; what was stored before is left as it was.
    NoFile,
    /// Nothing was changed.
    Failed,
}

/// A file that a run read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunFile {
    /// Its name without its folder.
    pub name: String,
    /// Its bytes when it was opened; no more were read.
    pub size: u64,
    /// SHA-256 of those bytes, in hexadecimal digits.
    pub sha256: String,
    /// How many lines it has.
    pub lines: u64,
    /// How many of them could not be read.
    pub bad_lines: u64,
    /// The first of those.
    pub bad_line_samples: Vec<BadSample>,
    /// The paths that no API has, the most frequent first.
    pub unmatched_paths: Vec<TopPath>,
    /// Why nothing of it was counted, where that is so.
    pub refused: Option<String>,
}

/// Adds a run; its values in the order of [`Run`], and its number is returned.
pub(crate) const INSERT: &str = "INSERT INTO log_run (aggregated_on, started_at, seconds, result, message, \
    stored_rows) VALUES ($1, $2, $3, $4, $5, $6) RETURNING run_id";
/// Adds a file of a run; the run's number, then the values in the order of [`RunFile`].
pub(crate) const INSERT_FILE: &str = "INSERT INTO log_run_file (run_id, log_file_name, size_bytes, sha256, \
    line_count, bad_lines, bad_line_samples, unmatched_paths, refused) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const SELECT: &str = "SELECT run_id, aggregated_on, started_at, seconds, result, message, stored_rows \
    FROM log_run WHERE aggregated_on >= $1 ORDER BY run_id";
const SELECT_FILES: &str = "SELECT f.run_id, f.log_file_name, f.size_bytes, f.sha256, f.line_count, f.bad_lines, \
    f.bad_line_samples, f.unmatched_paths, f.refused FROM log_run_file f JOIN log_run r USING (run_id) \
    WHERE r.aggregated_on >= $1";

impl LogDb {
    /// Notes a run that stored nothing.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn note_run(&self, run: &Run) -> Result<(), DbError> {
        match &self.pools {
            Pools::Postgres(pool) => postgres::note_run(pool, run).await,
            Pools::Sqlite { writer, .. } => sqlite::note_run(writer, run).await,
        }
    }

    /// The runs for this day and later ones, in the order in which they were noted.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn runs_since(&self, day: Day) -> Result<Vec<Run>, DbError> {
        let day = day.calendar();
        // Runs are only ever added, their files with them: the files of a run that is seen are there.
        let (runs, files): (Vec<RunRow>, Vec<FileRow>) = match &self.pools {
            Pools::Postgres(pool) => (
                sqlx::query_as(SELECT).bind(day).fetch_all(pool).await?,
                sqlx::query_as(SELECT_FILES)
                    .bind(day)
                    .fetch_all(pool)
                    .await?,
            ),
            Pools::Sqlite { readers, .. } => (
                sqlx::query_as(SELECT).bind(day).fetch_all(readers).await?,
                sqlx::query_as(SELECT_FILES)
                    .bind(day)
                    .fetch_all(readers)
                    .await?,
            ),
        };
        let mut of_run: HashMap<i64, Vec<RunFile>> = HashMap::new();
        for file in files {
            of_run.entry(file.run_id).or_default().push(file.file());
        }
        let runs = runs.into_iter().map(|run| {
            let mut files = of_run.remove(&run.run_id).unwrap_or_default();
            // Here and not in SQL: a server's collation is its own.
            files.sort_by(|a, b| a.name.cmp(&b.name));
            run.run(files)
        });
        Ok(runs.collect())
    }
}

#[derive(FromRow)]
struct RunRow {
    run_id: i64,
    aggregated_on: NaiveDate,
    started_at: DateTime<Utc>,
    seconds: f64,
    #[sqlx(try_from = "String")]
    result: RunResult,
    message: Option<String>,
    #[sqlx(try_from = "i64")]
    stored_rows: u64,
}

impl RunRow {
    fn run(self, files: Vec<RunFile>) -> Run {
        Run {
            day: self.aggregated_on.into(),
            started: Date::new(self.started_at.fixed_offset()),
            seconds: self.seconds,
            result: self.result,
            message: self.message,
            rows: self.stored_rows,
            files,
        }
    }
}

#[derive(FromRow)]
struct FileRow {
    run_id: i64,
    log_file_name: String,
    #[sqlx(try_from = "i64")]
    size_bytes: u64,
    sha256: String,
    #[sqlx(try_from = "i64")]
    line_count: u64,
    #[sqlx(try_from = "i64")]
    bad_lines: u64,
    bad_line_samples: Json<Vec<BadSample>>,
    unmatched_paths: Json<Vec<TopPath>>,
    refused: Option<String>,
}

impl FileRow {
    fn file(self) -> RunFile {
        RunFile {
            name: self.log_file_name,
            size: self.size_bytes,
            sha256: self.sha256,
            lines: self.line_count,
            bad_lines: self.bad_lines,
            bad_line_samples: self.bad_line_samples.0,
            unmatched_paths: self.unmatched_paths.0,
            refused: self.refused,
        }
    }
}

impl RunResult {
    /// The word for it, in the database and on pages.
    pub fn word(self) -> &'static str {
        match self {
            RunResult::Done => "done",
            RunResult::NoFile => "no_file",
            RunResult::Failed => "failed",
        }
    }
}

/// A word that is no result.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no result of a run")]
pub struct NoResult(String);

impl TryFrom<String> for RunResult {
    type Error = NoResult;

    fn try_from(word: String) -> Result<Self, NoResult> {
        [RunResult::Done, RunResult::NoFile, RunResult::Failed]
            .into_iter()
            .find(|result| result.word() == word)
            .ok_or(NoResult(word))
    }
}
