//! A result as CSV (RFC 4180): read whole, once there is memory for it, and written piece by piece.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Bytes;
use futures_util::stream;
use job_core::entry::Entry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::result::corrupt;
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::table::{Reader, Table};

/// The largest result that is made CSV of, in bytes.
const LARGEST: u64 = 32 << 20;
/// A result takes at most so many times its own size while it is looked at.
const TIMES_ITS_SIZE: u64 = 14;
/// All that is looked at at once may take so much memory, in MiB: one of the largest ones, or many small ones.
const MEMORY_MIB: usize = ((LARGEST * TIMES_ITS_SIZE) >> 20) as usize;
/// Who asks while others take all memory waits so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Seconds after which there may be memory.
const UNTIL_THERE_IS_MEMORY: u32 = 5;
/// So much is written at once, in bytes.
const PIECE: usize = 64 << 10;
/// So many pieces wait for a client that reads slowly.
const PIECES: usize = 4;

/// The memory that results may take while they are made CSV of.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Semaphore>);

impl Default for Memory {
    fn default() -> Self {
        Memory(Arc::new(Semaphore::new(MEMORY_MIB)))
    }
}

/// Sends the result as CSV.
///
/// # Errors
/// `not-acceptable` where it is no table or too large, `busy` where others take all memory, `result-corrupt` where it
/// cannot be read.
pub(super) async fn send(
    context: &Context,
    entry: &Entry,
    file: File,
    reader: Reader,
) -> Result<HttpResponse, Problem> {
    let unreadable = |error: &dyn std::fmt::Display| corrupt(context, &error.to_string());
    let size = file.metadata().map_err(|error| unreadable(&error))?.len();
    if size > LARGEST {
        return Err(Kind::NotAcceptable.problem(format!(
            "the result has {size} bytes, and only {LARGEST} are made CSV of: take it as JSON"
        )));
    }
    let memory = context.state.csv_memory.reserve(size).await?;
    let (pieces, sent) = mpsc::channel(PIECES);
    let (tell, told) = oneshot::channel();
    let body_is_wanted = context.request.method() == Method::GET;
    tokio::task::spawn_blocking(move || {
        let _memory = memory;
        write(file, reader, Pieces::new(pieces), tell, body_is_wanted)
    });
    match told.await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => {
            return Err(Kind::NotAcceptable.problem(
                "the result is no table (an array of flat objects, or arrays of one length): take it as JSON",
            ));
        }
        Ok(Err(error)) => return Err(unreadable(&error)),
        Err(error) => return Err(unreadable(&error)),
    }
    let name = format!("attachment; filename=\"{}-{}.csv\"", entry.api, entry.uuid);
    let mut answer = HttpResponse::Ok();
    answer
        .content_type("text/csv; charset=utf-8; header=present")
        .insert_header((header::CONTENT_DISPOSITION, name))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
    let stream = stream::unfold(sent, |mut sent| async { Some((sent.recv().await?, sent)) });
    Ok(answer.streaming(stream))
}

/// Reads the result, tells whether it is a table, and writes it where it is one and somebody wants it.
fn write(
    file: File,
    reader: Reader,
    mut pieces: Pieces,
    tell: oneshot::Sender<io::Result<bool>>,
    body_is_wanted: bool,
) {
    let mut text = String::new();
    // It may not grow any more, and a writer beside us is not waited for.
    let read = file.take(LARGEST).read_to_string(&mut text);
    let table = Table::find(&text);
    // Whoever does not hear it any more has gone, and so has the reader of the pieces.
    let _ = tell.send(read.map(|_| table.is_some()));
    let Some(table) = table.filter(|_| body_is_wanted) else {
        return;
    };
    let written = table.write_csv(&mut pieces, reader);
    if let Err(error) = written.and_then(|()| pieces.flush()) {
        tracing::debug!(error = %error, "a client left while it was sent a result as CSV");
    }
}

impl Memory {
    async fn reserve(&self, size: u64) -> Result<OwnedSemaphorePermit, Problem> {
        let needed = (size * TIMES_ITS_SIZE).div_ceil(1 << 20).max(1);
        let needed = u32::try_from(needed).expect("the largest result is looked at within limits");
        let reserved = timeout(PATIENCE, self.0.clone().acquire_many_owned(needed)).await;
        reserved.ok().and_then(Result::ok).ok_or_else(|| {
            Kind::Busy
                .problem("too many results are made CSV of at this moment")
                .retry_after(UNTIL_THERE_IS_MEMORY)
        })
    }
}

/// Collects what is written, and hands it on in pieces.
struct Pieces {
    piece: Vec<u8>,
    to: mpsc::Sender<Result<Bytes, io::Error>>,
}

impl Pieces {
    fn new(to: mpsc::Sender<Result<Bytes, io::Error>>) -> Self {
        Pieces {
            piece: Vec::with_capacity(PIECE),
            to,
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        if piece.is_empty() {
            return Ok(());
        }
        let sent = self.to.blocking_send(Ok(piece.into()));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
