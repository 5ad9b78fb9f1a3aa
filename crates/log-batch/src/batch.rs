//! From the files into the database, and what is noted of it.

use std::collections::BTreeMap;
use std::time::Instant;

use boot::Clock;
use job_core::day::Day;
use log_db::run::{Run, RunResult};
use log_db::{DbError, LogDb};

use crate::config::Config;
use crate::count::{self, CountedDay, Progress};
use crate::due::{self, Counted, Why};
use crate::folder::{Days, FileNow, Folder};

/// A batch: a log folder, and the database that its days are counted into.
#[derive(Debug, Clone)]
pub struct Batch {
    folder: Folder,
    db: LogDb,
    clock: Clock,
    keep_days: i64,
}

/// What keeps a batch from its work. What keeps it from one day stands in that day's run.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The database does not do what it was asked.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The log folder cannot be read.
    #[error("the log folder {path} cannot be read: {source}")]
    Folder {
        /// The folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A thread was lost.
    #[error("counting panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

impl BatchError {
    /// Whether the same may well go through once the database is back.
    pub fn is_away(&self) -> bool {
        matches!(self, BatchError::Database(error) if error.is_away())
    }
}

/// Who is told how far counting is.
pub type Tell = std::sync::Arc<dyn Fn(Progress) + Send + Sync>;

/// What there is and what was counted.
#[derive(Debug)]
pub struct State {
    /// The days that have files.
    pub days: Days,
    /// The last run of each day.
    pub last: BTreeMap<Day, Run>,
    /// The last good run of each day.
    pub counted: Counted,
}

impl Batch {
    /// A batch by these settings, with this database. Called within a runtime.
    pub fn new(config: &Config, clock: Clock) -> Self {
        Batch {
            folder: Folder::new(config.log_dir.clone()),
            db: LogDb::new(&config.database),
            clock,
            keep_days: config.keep_days,
        }
    }

    /// The database.
    pub fn db(&self) -> &LogDb {
        &self.db
    }

    /// The clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The log folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// What there is and what was counted, from the oldest day that has a file; at least of the last month.
    ///
    /// # Errors
    /// Where folder or database cannot be read.
    pub async fn state(&self) -> Result<State, BatchError> {
        let days = self.days().await?;
        let month_ago = Day::of(self.clock.now()).plus(-31);
        let first = days.keys().next().copied().unwrap_or(month_ago);
        let runs = self.db.runs_since(first.min(month_ago)).await?;
        Ok(State {
            days,
            last: runs.iter().map(|run| (run.day, run.clone())).collect(),
            counted: due::counted(runs),
        })
    }

    /// Counts every day that is due, oldest first, then removes files that are old enough. Returns the days that could
    /// not be counted; the next call tries them again.
    ///
    /// # Errors
    /// Where folder or database cannot be read, or the database went away. What was counted until then is stored.
    pub async fn catch_up(&self, tell: &Tell) -> Result<Vec<Day>, BatchError> {
        let state = self.state().await?;
        let today = Day::of(self.clock.now());
        self.tell_what_is_there(&state, today).await?;
        let mut failed = Vec::new();
        for (day, why) in due::due(&state.days, &state.counted, today) {
            let known = match why {
                Why::Recent => state.counted.get(&day),
                Why::New | Why::Changed => None,
            };
            let files = &state.days[&day];
            if self.count(day, files, known, tell).await? == RunResult::Failed {
                failed.push(day);
            }
        }
        self.remove_old(today).await?;
        Ok(failed)
    }

    /// Counts one day, whatever was counted of it before. A day without a file is noted, and what is stored of it
    /// stays.
    ///
    /// # Errors
    /// Where folder or database cannot be read, or the database went away.
    pub async fn run_day(&self, day: Day, tell: &Tell) -> Result<RunResult, BatchError> {
        let days = self.days().await?;
        match days.get(&day) {
            Some(files) => self.count(day, files, None, tell).await,
            None => self.note_no_file(day).await,
        }
    }

    /// Counts the days that somebody asked for.
    ///
    /// # Errors
    /// As for [`Self::run_day`].
    pub async fn answer_requests(&self, tell: &Tell) -> Result<(), BatchError> {
        for request in self.db.open_requests().await? {
            tracing::info!(day = %request.day, "somebody wants this day counted again");
            let result = self.run_day(request.day, tell).await?;
            let now = self.clock.now();
            self.db.finish_request(&request, result, now).await?;
        }
        Ok(())
    }

    async fn days(&self) -> Result<Days, BatchError> {
        let folder = self.folder.clone();
        let days = tokio::task::spawn_blocking(move || folder.days()).await?;
        days.map_err(|source| self.unreadable(source))
    }

    fn unreadable(&self, source: std::io::Error) -> BatchError {
        BatchError::Folder {
            path: self.folder.path().display().to_string(),
            source,
        }
    }

    /// Says whether yesterday has a file, and which counted files are gone before their time.
    async fn tell_what_is_there(&self, state: &State, today: Day) -> Result<(), BatchError> {
        let yesterday = today.plus(-1);
        let is_noted = state.last.contains_key(&yesterday);
        match state.days.get(&yesterday) {
            Some(files) => {
                tracing::info!(day = %yesterday, files = %names(files), "the day has a log file");
            }
            None if is_noted => tracing::info!(day = %yesterday, "the day has no log file"),
            None => {
                self.note_no_file(yesterday).await?;
            }
        }
        for (day, files) in &state.days {
            let missing = state.counted.get(day);
            if let Some(file) = missing.and_then(|run| due::missing(files, run)) {
                tracing::warn!(
                    %day, file = file.name,
                    "a log file that was counted is gone before the others of its day: the day is not counted again \
                     unless you ask for it"
                );
            }
        }
        Ok(())
    }

    async fn note_no_file(&self, day: Day) -> Result<RunResult, BatchError> {
        tracing::info!(%day, "the day has no log file");
        let run = Run {
            day,
            started: self.clock.now(),
            seconds: 0.0,
            result: RunResult::NoFile,
            message: None,
            rows: 0,
            files: Vec::new(),
        };
        self.db.note_run(&run).await?;
        Ok(RunResult::NoFile)
    }

    /// Counts a day's files and stores what was counted; nothing is stored where they are byte by byte as `known` had
    /// them.
    async fn count(
        &self,
        day: Day,
        files: &[FileNow],
        known: Option<&Run>,
        tell: &Tell,
    ) -> Result<RunResult, BatchError> {
        let (started, clock) = (self.clock.now(), Instant::now());
        let (folder, files, tell) = (self.folder.clone(), files.to_vec(), tell.clone());
        let counting = move || count::count(&folder, day, &files, &*tell);
        let counted = tokio::task::spawn_blocking(counting).await?;
        let run = |result, counted: &CountedDay| Run {
            day,
            started,
            seconds: clock.elapsed().as_secs_f64(),
            result,
            message: None,
            rows: counted.rows.len() as u64,
            files: counted.files.clone(),
        };
        let error = match counted {
            Ok(counted) if known.is_some_and(|known| has_not_changed(known, &counted)) => {
                tracing::debug!(%day, "the day is as it was counted");
                return Ok(RunResult::Done);
            }
            Ok(counted) => {
                let run = run(RunResult::Done, &counted);
                match self.db.store_day(&run, &counted.rows).await {
                    Ok(()) => {
                        say(&run);
                        return Ok(RunResult::Done);
                    }
                    Err(error) if error.is_away() => return Err(error.into()),
                    Err(error) => error.to_string(),
                }
            }
            Err(error) => error.to_string(),
        };
        tracing::error!(%day, error, "the day could not be counted; it is tried again the next time");
        let run = Run {
            message: Some(error),
            ..run(RunResult::Failed, &CountedDay::default())
        };
        self.db.note_run(&run).await?;
        Ok(RunResult::Failed)
    }

    /// Removes files that are old enough and whose day is stored.
    async fn remove_old(&self, today: Day) -> Result<(), BatchError> {
        // Looked at once more: a file may have grown meanwhile.
        let state = self.state().await?;
        let days = due::removable(&state.days, &state.counted, today, self.keep_days);
        let (folder, keep_days) = (self.folder.clone(), self.keep_days);
        let removing = move || {
            for day in days {
                let files = &state.days[&day];
                match folder.remove(day, files) {
                    Ok(()) => tracing::info!(
                        %day, files = %names(files),
                        "log files older than the retention were removed; their numbers stay in the database"
                    ),
                    Err(error) => {
                        tracing::error!(%day, %error, "old log files cannot be removed");
                    }
                }
            }
            // A day on which nobody asked anything has names and no lines.
            folder.remove_routes_before(today.plus(-keep_days))
        };
        let removed = tokio::task::spawn_blocking(removing).await?;
        removed.map_err(|source| self.unreadable(source))
    }
}

fn has_not_changed(known: &Run, counted: &CountedDay) -> bool {
    let hashes = |files: &[log_db::run::RunFile]| -> BTreeMap<String, String> {
        let pairs = files.iter();
        pairs
            .map(|file| (file.name.clone(), file.sha256.clone()))
            .collect()
    };
    hashes(&known.files) == hashes(&counted.files)
}

/// Says what was stored.
fn say(run: &Run) {
    let lines: u64 = run.files.iter().map(|file| file.lines).sum();
    let bad_lines: u64 = run.files.iter().map(|file| file.bad_lines).sum();
    tracing::info!(day = %run.day, lines, bad_lines, rows = run.rows, seconds = run.seconds, "the day is counted");
    for file in &run.files {
        if let Some(refused) = &file.refused {
            tracing::warn!(day = %run.day, file = file.name, "the file was not counted: {refused}");
        }
    }
}

fn names(files: &[FileNow]) -> String {
    let names: Vec<_> = files.iter().map(|file| &*file.name).collect();
    names.join(", ")
}
