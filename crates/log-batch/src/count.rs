//! A day's files as rows.

use std::io::{self, Read};

use access_log::reader::{open, summarize};
use access_log::routes::{self, RoutesError};
use job_core::api_routes::Names;
use job_core::day::Day;
use job_core::day_summary::DaySummary;
use log_db::ApiLogRow;
use log_db::run::RunFile;
use sha2::{Digest, Sha256};

use crate::folder::{FileNow, Folder};

/// What was counted of a day.
#[derive(Debug, Default)]
pub struct CountedDay {
    /// Its files.
    pub files: Vec<RunFile>,
    /// Its rows: each file has its own.
    pub rows: Vec<ApiLogRow>,
}

/// What keeps a day from being counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// A file cannot be read to its end.
    #[error("{file} cannot be read: {source}")]
    File {
        /// Its name.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The day's names of APIs cannot be had.
    #[error(transparent)]
    Routes(#[from] RoutesError),
}

/// How far counting a day is; for who shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A day's files are read from now on.
    Begins {
        /// The day.
        day: Day,
        /// Their bytes.
        bytes: u64,
    },
    /// So many bytes more were read.
    Read(u64),
    /// They are read, or cannot be.
    Ends,
}

/// Counts a day's files, each as far as it goes when it is opened.
///
/// A file with the same bytes as an earlier one of the day is refused: it is a copy, and its requests would count twice.
///
/// # Errors
/// Where a file or the names of APIs cannot be read. A day without names is counted, all of it as unmatched.
pub fn count(
    folder: &Folder,
    day: Day,
    files: &[FileNow],
    tell: &dyn Fn(Progress),
) -> Result<CountedDay, CountError> {
    let names = match routes::read(folder.path(), day)? {
        Some(routes) => Names::new(&routes),
        None => {
            tracing::warn!(%day, "the day has no file with the names of its APIs: its requests are all counted as unmatched");
            Names::default()
        }
    };
    let bytes = files.iter().map(|file| file.size).sum();
    tell(Progress::Begins { day, bytes });
    let counted = read(folder, day, files, &names, tell);
    tell(Progress::Ends);
    counted
}

fn read(
    folder: &Folder,
    day: Day,
    files: &[FileNow],
    names: &Names,
    tell: &dyn Fn(Progress),
) -> Result<CountedDay, CountError> {
    let mut counted = CountedDay::default();
    for FileNow { name, .. } in files {
        let wrong = |source| CountError::File {
            file: name.clone(),
            source,
        };
        let (input, size) = open(&folder.file(name)).map_err(wrong)?;
        let mut input = Hashed {
            input,
            hash: Sha256::new(),
            tell,
        };
        let summary = summarize(&mut input, day, names).map_err(wrong)?;
        let sha256 = hex(&input.hash.finalize());
        let twin = counted
            .files
            .iter()
            .find(|other| size > 0 && other.sha256 == sha256);
        let refused = twin.map(|twin| format!("it has the same content as {}", twin.name));
        if refused.is_none() {
            counted.rows.extend(rows(&summary, name));
        }
        counted.files.push(RunFile {
            name: name.clone(),
            size,
            sha256,
            lines: summary.lines,
            bad_lines: summary.bad_lines,
            unmatched_paths: summary.unmatched.top(),
            bad_line_samples: summary.bad_samples,
            refused,
        });
    }
    Ok(counted)
}

/// The rows of one file.
fn rows(summary: &DaySummary, file: &str) -> impl Iterator<Item = ApiLogRow> {
    summary.rows.iter().map(move |(key, totals)| ApiLogRow {
        api_name: key.api_name.clone(),
        http_method: key.method.clone(),
        http_status_code: key.status,
        access_count: totals.count,
        average_ms: totals.average_ms(),
        aggregated_on: summary.day,
        log_file_name: file.to_owned(),
        api_key: key.api_key.clone(),
        total_us: totals.total_us,
        max_us: totals.max_us,
        latency_histogram: totals.latency.encode(),
    })
}

/// Bytes that are hashed and told as they are read.
struct Hashed<'a, R> {
    input: R,
    hash: Sha256,
    tell: &'a dyn Fn(Progress),
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(room)?;
        self.hash.update(&room[..length]);
        (self.tell)(Progress::Read(length as u64));
        Ok(length)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
