//! A result as CSV (RFC 4180): turned into it as a whole, once there is memory for that, in a temporary file that is sent
//! as fast as its reader takes it.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, web};
use futures_util::StreamExt;
use job_core::entry::Entry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

use super::result::corrupt;
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::table::{Reader, Table};

/// The largest result that is turned into CSV, in bytes.
pub(crate) const LARGEST: u64 = 32 << 20;
/// The largest CSV, in bytes: a table in which most cells are empty grows by its commas.
const LARGEST_CSV: u64 = 8 * LARGEST;
/// A result takes at most so many times its own size while it is turned.
const TIMES_ITS_SIZE: u64 = 14;
/// All that are turned at once may take so much memory, in MiB: one of the largest ones, or many small ones.
const MEMORY_MIB: usize = ((LARGEST * TIMES_ITS_SIZE) >> 20) as usize;
/// So many are sent at once, each from a file of its own.
const SENT_AT_ONCE: usize = 64;
/// Who asks while others take all of that waits so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Seconds after which there may be room.
const UNTIL_THERE_IS_ROOM: u32 = 5;
/// So much is read at once of what is sent, in bytes.
const PIECE: usize = 64 << 10;

/// The room for results that are turned into CSV and sent.
#[derive(Debug, Clone)]
pub struct Room {
    memory: Arc<Semaphore>,
    files: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        Room {
            memory: Arc::new(Semaphore::new(MEMORY_MIB)),
            files: Arc::new(Semaphore::new(SENT_AT_ONCE)),
        }
    }
}

/// Sends the result as CSV. `made_of` is the SHA-256 of the result, where that is known.
///
/// # Errors
/// `not-acceptable` where it is no table or too large, `busy` where others take all room, `insufficient-storage` where
/// there is no place for the file, `result-corrupt` where the result cannot be read.
pub(super) async fn send(
    context: &Context,
    entry: &Entry,
    file: File,
    made_of: Option<String>,
    reader: Reader,
) -> Result<HttpResponse, Problem> {
    // The same result always gives the same CSV.
    let etag = made_of.map(|digest| match reader {
        Reader::Program => format!("\"{digest}-csv\""),
        Reader::Spreadsheet => format!("\"{digest}-csv-bom\""),
    });
    let known = context.header(header::IF_NONE_MATCH).unwrap_or_default();
    if let Some(etag) = &etag
        && known
            .split(',')
            .any(|tag| matches!(tag.trim(), tag if tag == "*" || tag == etag))
    {
        let mut answer = HttpResponse::NotModified();
        return Ok(answer.insert_header((header::ETAG, etag.clone())).finish());
    }
    let unreadable = |error: io::Error| corrupt(context, &error.to_string());
    let size = file.metadata().map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(Kind::NotAcceptable.problem(format!(
            "the result has {size} bytes, and only {LARGEST} are turned into CSV: take it as JSON"
        )));
    }
    let room = &context.state.csv_room;
    let place = reserve(&room.files, 1).await?;
    let needed = (size * TIMES_ITS_SIZE).div_ceil(1 << 20).max(1);
    let needed = u32::try_from(needed).expect("the largest result is turned within limits");
    let memory = reserve(&room.memory, needed).await?;
    let turned = web::block(move || {
        let _memory = memory;
        turn(file, reader, LARGEST_CSV)
    });
    let csv = turned.await?.map_err(|trouble| match trouble {
        Trouble::Result(error) => corrupt(context, &error.to_string()),
        Trouble::NoTable => Kind::NotAcceptable.problem(
            "the result is no table (an array of flat objects, or arrays of one length): take it as JSON",
        ),
        Trouble::TooLarge => Kind::NotAcceptable.problem(format!(
            "as CSV the result would have more than {LARGEST_CSV} bytes: take it as JSON"
        )),
        Trouble::File(error) => {
            tracing::error!(request.id = %context.id, error = %error, "a result cannot be turned into CSV in the temporary folder");
            Kind::InsufficientStorage.problem("there is no place to turn the result into CSV")
        }
    })?;
    let length = csv.metadata().map_err(unreadable)?.len();
    let name = format!("attachment; filename=\"{}-{}.csv\"", entry.api, entry.uuid);
    let pieces = ReaderStream::with_capacity(tokio::fs::File::from_std(csv), PIECE);
    let pieces = pieces.map(move |piece| {
        let _place = &place;
        piece
    });
    let mut answer = HttpResponse::Ok();
    if let Some(etag) = etag {
        answer.insert_header((header::ETAG, etag));
    }
    Ok(answer
        .content_type("text/csv; charset=utf-8; header=present")
        .insert_header((header::CONTENT_DISPOSITION, name))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .body(SizedStream::new(length, pieces)))
}

async fn reserve(of: &Arc<Semaphore>, needed: u32) -> Result<OwnedSemaphorePermit, Problem> {
    let reserved = timeout(PATIENCE, of.clone().acquire_many_owned(needed)).await;
    reserved.ok().and_then(Result::ok).ok_or_else(|| {
        Kind::Busy
            .problem("too many results are turned into CSV at this moment")
            .retry_after(UNTIL_THERE_IS_ROOM)
    })
}

/// Why there is no CSV of a result.
enum Trouble {
    /// The result cannot be read.
    Result(io::Error),
    /// It is no table.
    NoTable,
    /// It would be too large.
    TooLarge,
    /// The temporary file cannot be written.
    File(io::Error),
}

/// Turns a result into CSV of at most `largest` bytes, in a file that has no name and goes with its last reader.
fn turn(result: File, reader: Reader, largest: u64) -> Result<File, Trouble> {
    let mut text = String::new();
    // It may not grow any more.
    let read = result.take(LARGEST).read_to_string(&mut text);
    read.map_err(Trouble::Result)?;
    let table = Table::find(&text).ok_or(Trouble::NoTable)?;
    let mut csv = tempfile::tempfile().map_err(Trouble::File)?;
    let mut limited = Limited {
        to: BufWriter::new(&mut csv),
        left: largest,
    };
    let written = table.write_csv(&mut limited, reader);
    written.map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => Trouble::TooLarge,
        _ => Trouble::File(error),
    })?;
    drop(limited);
    csv.rewind().map_err(Trouble::File)?;
    Ok(csv)
}

/// Takes no more than is left.
struct Limited<W> {
    to: W,
    left: u64,
}

impl<W: Write> Write for Limited<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
        self.to.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(result: &str) -> Result<String, Trouble> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(result.as_bytes()).unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        turn(file, Reader::Program, 1 << 20)?
            .read_to_string(&mut text)
            .unwrap();
        Ok(text)
    }

    #[test]
    fn a_table_of_mostly_empty_cells_is_not_turned_into_a_flood() {
        assert!(matches!(turned(r#"[{"a": 1}]"#), Ok(text) if text == "a\r\n1\r\n"));
        let wide: Vec<_> = (0..1000).map(|column| format!("\"{column}\":1")).collect();
        let sparse = "{},".repeat(2_000);
        let result = format!("[{sparse}{{{}}}]", wide.join(","));
        assert!(matches!(turned(&result), Err(Trouble::TooLarge)));
        assert!(matches!(turned("1"), Err(Trouble::NoTable)));
    }
}
