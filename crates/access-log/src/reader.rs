//! Goes through a file line by line, whatever is in it, in little memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take};
use std::path::Path;

use job_core::access_log::{BadLine, LONGEST_LINE};
use job_core::api_routes::Names;
use job_core::day::Day;
use job_core::day_summary::DaySummary;

/// Opens a file to be read as far as it goes at this moment: its bytes, and how many they are. What comes later belongs
/// to another reading.
///
/// # Errors
/// Where it cannot be opened.
pub fn open(path: &Path) -> io::Result<(Take<File>, u64)> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok((file.take(size), size))
}

/// Counts the lines of a file of this day.
///
/// # Errors
/// Where it cannot be read to its end.
pub fn summarize(input: impl Read, day: Day, names: &Names) -> io::Result<DaySummary> {
    let mut summary = DaySummary::new(day);
    let mut lines = Lines::new(input);
    while let Some(Numbered { number, line }) = lines.next_line()? {
        summary.take(names, number, line);
    }
    Ok(summary)
}

/// A line with its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Numbered<'a> {
    /// Its number in the file, from 1.
    pub number: u64,
    /// The line without its end (`\n` or `\r\n`, or the end of the file), or that it is too long.
    pub line: Result<&'a [u8], BadLine>,
}

/// The lines of a text, one after the other.
#[derive(Debug)]
pub struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> Lines<R> {
    /// From the first line on.
    pub fn new(input: R) -> Self {
        Lines {
            input: BufReader::with_capacity(1 << 16, input),
            line: Vec::new(),
            number: 0,
        }
    }

    /// The next line; one that is too long is passed over, and said to be so. Nothing at the end.
    ///
    /// # Errors
    /// Where the file cannot be read on.
    pub fn next_line(&mut self) -> io::Result<Option<Numbered<'_>>> {
        self.line.clear();
        let mut is_there = false;
        loop {
            let piece = match self.input.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if piece.is_empty() {
                break;
            }
            is_there = true;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let length = end.unwrap_or(piece.len());
            // Two bytes beyond: the one may be a carriage return, the other shows that it is too long.
            let room = (LONGEST_LINE + 2).saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..length.min(room)]);
            self.input.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                break;
            }
        }
        if !is_there {
            return Ok(None);
        }
        self.number += 1;
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let is_too_long = line.len() > LONGEST_LINE;
        let line = if is_too_long {
            Err(BadLine::TooLong)
        } else {
            Ok(line)
        };
        let number = self.number;
        Ok(Some(Numbered { number, line }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines as texts; `-` for one that is too long.
    fn lines(text: &[u8]) -> Vec<String> {
        // In pieces of three bytes, as a pipe may give them.
        let pieces = text.chunks(3).fold(
            Box::new(io::empty()) as Box<dyn Read + '_>,
            |before, piece| Box::new(before.chain(piece)),
        );
        let mut lines = Lines::new(pieces);
        let mut read = Vec::new();
        while let Some(Numbered { number, line }) = lines.next_line().unwrap() {
            assert_eq!(number, read.len() as u64 + 1);
            read.push(line.map_or("-".into(), |line| {
                String::from_utf8_lossy(line).into_owned()
            }));
        }
        read
    }

    fn numbered(number: u64, line: Result<&[u8], BadLine>) -> Option<Numbered<'_>> {
        Some(Numbered { number, line })
    }

    #[test]
    fn lines_end_in_either_way_and_the_last_one_need_not() {
        assert_eq!(lines(b""), Vec::<String>::new());
        assert_eq!(lines(b"\n"), [""]);
        assert_eq!(lines(b"one\ntwo\n"), ["one", "two"]);
        assert_eq!(
            lines(b"one\r\n\r\ntwo\r\r\nthree"),
            ["one", "", "two\r", "three"]
        );
        assert_eq!(lines(b"a\0b\xff\n\nc"), ["a\0b\u{fffd}", "", "c"]);
    }

    #[test]
    fn a_line_of_ten_megabytes_takes_little_memory() {
        let text = [b"one\n", &vec![b'a'; 10 << 20][..], b"\r\ntwo"].concat();
        let mut lines = Lines::new(&text[..]);
        assert_eq!(lines.next_line().unwrap(), numbered(1, Ok(&b"one"[..])));
        assert_eq!(
            lines.next_line().unwrap(),
            numbered(2, Err(BadLine::TooLong))
        );
        assert_eq!(lines.next_line().unwrap(), numbered(3, Ok(&b"two"[..])));
        assert_eq!(lines.next_line().unwrap(), None);
        assert!(lines.line.capacity() < 4 * LONGEST_LINE);
    }

    #[test]
    fn only_a_line_that_is_longer_than_the_longest_is_too_long() {
        for end in ["\n", "\r\n", ""] {
            let line = "a".repeat(LONGEST_LINE);
            let text = format!("{line}{end}");
            let mut lines = Lines::new(text.as_bytes());
            assert_eq!(lines.next_line().unwrap(), numbered(1, Ok(line.as_bytes())));
            let text = format!("{line}a{end}");
            let mut lines = Lines::new(text.as_bytes());
            assert_eq!(
                lines.next_line().unwrap(),
                numbered(1, Err(BadLine::TooLong))
            );
        }
    }

    #[test]
    fn a_file_is_read_as_far_as_it_went_when_it_was_opened() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        std::fs::write(&path, "one\nha").unwrap();
        let (mut input, size) = open(&path).unwrap();
        std::fs::write(&path, "one\nhalf\ntwo\n").unwrap();
        let mut text = String::new();
        input.read_to_string(&mut text).unwrap();
        assert_eq!((&*text, size), ("one\nha", 6));
    }
}
