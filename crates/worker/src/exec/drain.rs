//! The script's stdout and stderr on their way into files, in flat memory.
//!
//! A pipe is always read to its end, whatever becomes of the bytes: a script that waits for
//! its reader would never end.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What is read at once: all that a pipe holds by default.
const CHUNK: usize = 64 * 1024;
/// What of stderr goes into the report.
const LAST_WORDS: usize = 4 * 1024;
/// How long a pipe may stay open when the tree is gone: somebody outside of it holds it.
const STRANGER_HOLDS_IT: Duration = Duration::from_secs(1);

/// Takes what comes out of a pipe.
pub(super) trait Sink: Send + 'static {
    /// Takes the next bytes; may block on the disk.
    fn take(&mut self, bytes: &[u8]);
    /// Nothing comes any more; may block on the disk.
    fn end(&mut self) {}
}

/// A pipe that is being read.
pub(super) struct Drain<S> {
    task: JoinHandle<S>,
    stop: CancellationToken,
    closed: CancellationToken,
}

impl<S: Sink> Drain<S> {
    /// Reads the pipe into the sink from here on.
    pub(super) fn begin(pipe: impl AsyncRead + Unpin + Send + 'static, sink: S) -> Self {
        let stop = CancellationToken::new();
        let closed = CancellationToken::new();
        let task = tokio::spawn(drain(pipe, sink, stop.clone(), closed.clone()));
        Self { task, stop, closed }
    }

    /// Waits until nobody holds the writing end any more.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// The sink, full, once the tree is gone.
    pub(super) async fn finish(self) -> S {
        // Not closed in time: what has come until now is what there is.
        let _ = timeout(STRANGER_HOLDS_IT, self.closed()).await;
        self.stop.cancel();
        self.task
            .await
            .expect("sinks keep their errors and never panic")
    }
}

async fn drain<S: Sink>(
    mut pipe: impl AsyncRead + Unpin,
    mut sink: S,
    stop: CancellationToken,
    closed: CancellationToken,
) -> S {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => 0,
            read = pipe.read(&mut buffer) => read.unwrap_or(0),
        };
        // Off this thread: a disk that hangs must not hold up the limits.
        let writing = spawn_blocking(move || {
            match read {
                0 => sink.end(),
                read => sink.take(&buffer[..read]),
            }
            (sink, buffer)
        });
        (sink, buffer) = writing
            .await
            .expect("sinks keep their errors and never panic");
        if read == 0 {
            closed.cancel();
            return sink;
        }
    }
}

/// Keeps stdout, up to the limit.
pub(super) struct Printed {
    file: File,
    limit: u64,
    /// All that was printed, also what was thrown away.
    pub(super) bytes: u64,
    lost: Arc<Notify>,
    /// Why the file is not whole, although the output is not too large.
    pub(super) failure: Option<io::Error>,
}

impl Printed {
    /// `lost` is told when the output cannot be kept: it is too large, or the file fails.
    pub(super) fn new(file: File, limit: u64, lost: Arc<Notify>) -> Self {
        Self {
            file,
            limit,
            bytes: 0,
            lost,
            failure: None,
        }
    }

    /// More was printed than the order allows.
    pub(super) fn too_large(&self) -> bool {
        self.bytes > self.limit
    }

    /// All that was printed, from the file.
    ///
    /// # Errors
    /// Also where the file holds less or more than what was printed: that is nobody's result.
    pub(super) fn read_back(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.rewind()?;
        let one_more = self.limit.saturating_add(1);
        self.file.take(one_more).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != self.bytes {
            let text = format!(
                "it does not hold the {} bytes that were printed",
                self.bytes
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(bytes)
    }
}

impl Sink for Printed {
    fn take(&mut self, bytes: &[u8]) {
        let (kept, rest) = split(bytes, self.limit.saturating_sub(self.bytes));
        self.bytes += bytes.len() as u64;
        if self.failure.is_none() {
            self.failure = self.file.write_all(kept).err();
        }
        if !rest.is_empty() || self.failure.is_some() {
            self.lost.notify_one();
        }
    }
}

/// Keeps stderr: its first half as it comes, of the rest the end.
pub(super) struct Log {
    file: File,
    room: u64,
    second_half: Tail,
    last_words: Tail,
    /// The first reason why the file is not whole; the job is not harmed by it.
    pub(super) failure: Option<io::Error>,
}

impl Log {
    /// Half of the limit for the beginning, half for the end.
    pub(super) fn new(file: File, limit: u64) -> Self {
        let half = limit / 2;
        Self {
            file,
            room: half,
            second_half: Tail::of(usize::try_from(half).unwrap_or(usize::MAX)),
            last_words: Tail::of(LAST_WORDS),
            failure: None,
        }
    }

    /// The end of it as text.
    pub(super) fn last_words(&self) -> String {
        self.last_words.text()
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.file.write_all(bytes) {
            self.failure.get_or_insert(error);
        }
    }
}

impl Sink for Log {
    fn take(&mut self, bytes: &[u8]) {
        let (first, rest) = split(bytes, self.room);
        self.room -= first.len() as u64;
        self.write(first);
        self.second_half.push(rest);
        self.last_words.push(bytes);
    }

    fn end(&mut self) {
        let Tail { kept, left_out, .. } = std::mem::replace(&mut self.second_half, Tail::of(0));
        if left_out > 0 {
            self.write(format!("\n[… {left_out} bytes left out …]\n").as_bytes());
        }
        let (front, back) = kept.as_slices();
        self.write(front);
        self.write(back);
    }
}

fn split(bytes: &[u8], room: u64) -> (&[u8], &[u8]) {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    bytes.split_at(room.min(bytes.len()))
}

/// The last bytes of a stream.
struct Tail {
    kept: VecDeque<u8>,
    size: usize,
    left_out: u64,
}

impl Tail {
    fn of(size: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            size,
            left_out: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        // What cannot stay need not come in: then this never holds more than its size.
        let (skipped, bytes) = bytes.split_at(bytes.len().saturating_sub(self.size));
        let surplus = (self.kept.len() + bytes.len()).saturating_sub(self.size);
        self.kept.drain(..surplus);
        self.kept.extend(bytes);
        self.left_out += (skipped.len() + surplus) as u64;
    }

    /// As text no longer than its size, from the first whole character on.
    fn text(&self) -> String {
        let bytes: Vec<u8> = self.kept.iter().copied().collect();
        let is_whole = |byte: &u8| (byte & 0b1100_0000) != 0b1000_0000;
        // A character has at most three bytes after its first.
        let cut = if self.left_out > 0 {
            bytes.iter().take(4).position(is_whole).unwrap_or(0)
        } else {
            0
        };
        let text = String::from_utf8_lossy(&bytes[cut..]);
        // What is no UTF-8 grows by its replacement.
        let start = text.len().saturating_sub(self.size);
        text[text.ceil_char_boundary(start)..].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(size: usize, pushes: &[&[u8]]) -> Tail {
        let mut tail = Tail::of(size);
        for bytes in pushes {
            tail.push(bytes);
        }
        tail
    }

    #[test]
    fn only_what_was_printed_is_read_back() {
        let print = |also: &dyn Fn(&mut File)| {
            let mut file = tempfile::tempfile().unwrap();
            let mut printed = Printed::new(file.try_clone().unwrap(), 10, Arc::default());
            printed.take(b"[1, 2]");
            also(&mut file);
            printed.read_back()
        };
        assert_eq!(print(&|_| {}).unwrap(), b"[1, 2]");
        for length in [0, 5, 7, 1 << 40] {
            let error = print(&|file| file.set_len(length).unwrap()).unwrap_err();
            let text = "it does not hold the 6 bytes that were printed";
            assert_eq!(error.to_string(), text, "{length}");
        }
    }

    #[test]
    fn a_tail_keeps_the_last_bytes_and_counts_the_others() {
        for (pushes, kept, left_out) in [
            (&[b"abc".as_slice()][..], "abc", 0),
            (&[b"abc", b"d"], "abcd", 0),
            (&[b"abc", b"de"], "bcde", 1),
            (&[b"abc", b"defghi"], "fghi", 5),
            (&[b"abc", b"", b"defghi", b"j"], "ghij", 6),
        ] {
            let tail = tail(4, pushes);
            assert_eq!((tail.text().as_str(), tail.left_out), (kept, left_out));
        }
    }

    #[test]
    fn a_tail_begins_with_a_whole_character_and_stays_within_its_size() {
        assert_eq!(tail(4, &["日本".as_bytes()]).text(), "本");
        assert_eq!(tail(4, &["ab日".as_bytes()]).text(), "b日");
        assert_eq!(tail(4, &[&[0xff; 4]]).text(), "\u{fffd}");
        assert_eq!(tail(4, &[&[0x80; 9]]).text(), "\u{fffd}");
        assert_eq!(tail(0, &[b"abc"]).text(), "");
    }
}
