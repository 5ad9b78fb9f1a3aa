//! The access log: one line a request, five columns between tabs, no header.
//!
//! URL (path and query as received), method, status, milliseconds with three decimals, and the time at which the
//! request came (RFC 3339 with offset). What could be taken for the end of a column or a line, by whatever tool, is
//! escaped: [`escape`]. Fields of more than 2 kB are cut. [`Line::write`] and [`Line::parse`] undo each other. [`mod@file`]
//! says in which file a line stands.

pub mod escape;
pub mod file;

use std::time::Duration;

use chrono::SecondsFormat;

use crate::date::Date;
use crate::day::Day;

/// Most bytes of a URL or a method as they stand in a line, marker included.
pub const LONGEST_FIELD: usize = 2048;
/// Stands at the end of a field that was cut.
pub const CUT: &str = "…[cut]";
/// Most bytes of a line that is read, without its end: more than any that is written.
pub const LONGEST_LINE: usize = 64 * 1024;
/// Longest time that is told, in microseconds: a year, so that sums stay numbers of 64 bits.
const LONGEST: u64 = 366 * 24 * 60 * 60 * 1_000_000;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Path and query as received, cut.
    url: Vec<u8>,
    /// As received, cut.
    method: Vec<u8>,
    status: u16,
    micros: u64,
    time: Date,
}

/// Why a line is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// There is nothing on it.
    #[error("it is empty")]
    Empty,
    /// It is longer than any that is written.
    #[error("it has more than 64 KiB")]
    TooLong,
    /// A byte is none of UTF-8: whoever writes lines escapes it.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// It has a control character besides tabs: whoever writes lines escapes it.
    #[error("it has a control character")]
    ControlCharacter,
    /// It has more or fewer columns.
    #[error("it has {0} columns: five are due")]
    Columns(usize),
    /// There is a backslash that escapes nothing.
    #[error("a backslash escapes nothing: \\t, \\n, \\r, \\\\ or \\xNN is due")]
    Escape,
    /// There is no method.
    #[error("the method is empty")]
    Method,
    /// The status is none.
    #[error("the status is no number from 100 to 999")]
    Status,
    /// The duration is none.
    #[error("the milliseconds are no number such as 12.345")]
    Duration,
    /// The time is none.
    #[error("the time is no date such as 2023-10-01T00:00:00.000+09:00")]
    Time,
    /// Its time is of another day than the file.
    #[error("its time is of another day than the file")]
    OtherDay,
}

impl Line {
    /// A request that came at `time` and was over after `took`. Fields that are too long are cut, and so is a time of
    /// more than a year. No request is without a method, and a line without one is bad.
    pub fn new(url: &[u8], method: &[u8], status: u16, took: Duration, time: Date) -> Self {
        Line {
            url: escape::cut(url, LONGEST_FIELD, CUT),
            method: escape::cut(method, LONGEST_FIELD, CUT),
            status,
            micros: u64::try_from(took.as_micros()).map_or(LONGEST, |micros| micros.min(LONGEST)),
            time,
        }
    }

    /// Reads a line without its end.
    ///
    /// Milliseconds may have any number of decimals, and the time may be any RFC 3339.
    ///
    /// # Errors
    /// Where it is none, with the first thing that is wrong.
    pub fn parse(line: &[u8]) -> Result<Self, BadLine> {
        if line.is_empty() {
            return Err(BadLine::Empty);
        }
        if line.len() > LONGEST_LINE {
            return Err(BadLine::TooLong);
        }
        let text = std::str::from_utf8(line).map_err(|_| BadLine::NotUtf8)?;
        if text
            .bytes()
            .any(|byte| byte.is_ascii_control() && byte != b'\t')
        {
            return Err(BadLine::ControlCharacter);
        }
        let columns: Vec<&str> = text.split('\t').collect();
        let &[url, method, status, millis, time] = &columns[..] else {
            return Err(BadLine::Columns(columns.len()));
        };
        let field = |text: &str| escape::read(text).ok_or(BadLine::Escape);
        let (url, method) = (field(url)?, field(method)?);
        if method.is_empty() {
            return Err(BadLine::Method);
        }
        Ok(Line {
            url: escape::cut(&url, LONGEST_FIELD, CUT),
            method: escape::cut(&method, LONGEST_FIELD, CUT),
            status: status_of(status).ok_or(BadLine::Status)?,
            micros: micros_of(millis).ok_or(BadLine::Duration)?,
            time: time.parse().map_err(|_| BadLine::Time)?,
        })
    }

    /// Appends the line with its end.
    pub fn write(&self, out: &mut Vec<u8>) {
        escape::write(&self.url, out);
        out.push(b'\t');
        escape::write(&self.method, out);
        let (millis, rest) = (self.micros / 1000, self.micros % 1000);
        let time = self.time.moment();
        let time = time.to_rfc3339_opts(SecondsFormat::Millis, false);
        let columns = format!("\t{}\t{millis}.{rest:03}\t{time}\n", self.status);
        out.extend_from_slice(columns.as_bytes());
    }

    /// Path and query as received.
    pub fn url(&self) -> &[u8] {
        &self.url
    }

    /// The path alone, as received.
    pub fn path(&self) -> &[u8] {
        let end = self.url.iter().position(|byte| *byte == b'?');
        &self.url[..end.unwrap_or(self.url.len())]
    }

    /// The method as received.
    pub fn method(&self) -> &[u8] {
        &self.method
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// How long it took, in microseconds.
    pub fn micros(&self) -> u64 {
        self.micros
    }

    /// When it came.
    pub fn time(&self) -> Date {
        self.time
    }

    /// The day in whose file it stands.
    pub fn day(&self) -> Day {
        Day::of(self.time)
    }
}

fn status_of(text: &str) -> Option<u16> {
    let is_number = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let status = is_number.then(|| text.parse().ok())?;
    status.filter(|status| *status >= 100)
}

/// Milliseconds as microseconds; what is finer is cut.
fn micros_of(text: &str) -> Option<u64> {
    let (millis, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(millis) || !are_digits(decimals) {
        return None;
    }
    let finest = format!("{decimals:0<3}");
    let rest: u64 = finest[..3].parse().ok()?;
    let micros = millis.parse::<u64>().ok()?.checked_mul(1000)?;
    let micros = micros.checked_add(rest)?;
    (micros <= LONGEST).then_some(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const GOOD: &str = "/api/v1/jobs?a=1\tGET\t200\t12.345\t2026-11-21T10:00:00.123+09:00";

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn written(line: &Line) -> String {
        let mut out = Vec::new();
        line.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn url(url: &[u8]) -> Line {
        let time = date("2026-11-21T10:00:00.000+09:00");
        Line::new(url, b"GET", 200, Duration::from_millis(1), time)
    }

    #[test]
    fn a_line_has_five_columns() {
        let line = Line::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(written(&line), format!("{GOOD}\n"));
        assert_eq!(
            (line.url(), line.path()),
            (&b"/api/v1/jobs?a=1"[..], &b"/api/v1/jobs"[..])
        );
        assert_eq!(
            (line.method(), line.status(), line.micros()),
            (&b"GET"[..], 200, 12_345)
        );
        assert_eq!(line.day().to_string(), "2026-11-21");
    }

    #[test]
    fn each_bad_line_is_told_by_its_reason() {
        let with = |column: usize, text: &str| {
            let mut columns: Vec<&str> = GOOD.split('\t').collect();
            columns[column] = text;
            columns.join("\t").into_bytes()
        };
        let mut cases = vec![
            (Vec::new(), BadLine::Empty),
            (b"a\tb\tc\td".to_vec(), BadLine::Columns(4)),
            (format!("{GOOD}\t").into_bytes(), BadLine::Columns(6)),
            (GOOD.as_bytes()[..30].to_vec(), BadLine::Columns(4)),
            (GOOD.as_bytes()[..GOOD.len() - 1].to_vec(), BadLine::Time),
            (with(0, "/a\0"), BadLine::ControlCharacter),
            (with(0, "/a\r"), BadLine::ControlCharacter),
            (with(0, "/a\\"), BadLine::Escape),
            (with(1, ""), BadLine::Method),
            (vec![b'a'; 10 << 20], BadLine::TooLong),
            ([b"\xff", GOOD.as_bytes()].concat(), BadLine::NotUtf8),
        ];
        let statuses = ["0", "", "99", "1000", "-200", "+20", "2OO", "２００"];
        cases.extend(statuses.map(|text| (with(2, text), BadLine::Status)));
        let durations = [
            "abc",
            "-1",
            "inf",
            "NaN",
            "",
            ".5",
            "1.",
            "1e3",
            "+1",
            "1,5",
            "99999999999999999999",
            "99999999999999",
        ];
        cases.extend(durations.map(|text| (with(3, text), BadLine::Duration)));
        let times = [
            "abc",
            "-1",
            "inf",
            "",
            "2026-11-21",
            "2026-11-21T10:00:00",
            "2026-02-30T10:00:00Z",
        ];
        cases.extend(times.map(|text| (with(4, text), BadLine::Time)));
        for (line, reason) in cases {
            let shown = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
            assert_eq!(Line::parse(&line).unwrap_err(), reason, "{shown:?}");
        }
    }

    #[test]
    fn what_others_may_have_written_is_read_where_its_meaning_is_plain() {
        for (millis, micros) in [
            ("12", 12_000),
            ("0.1", 100),
            ("1.23456", 1234),
            ("007.5", 7500),
        ] {
            let line = GOOD.replace("12.345", millis);
            assert_eq!(Line::parse(line.as_bytes()).unwrap().micros(), micros);
        }
        let line = GOOD.replace(".123+09:00", "Z");
        assert_eq!(
            Line::parse(line.as_bytes()).unwrap().time(),
            date("2026-11-21T10:00:00Z")
        );
    }

    #[test]
    fn hostile_urls_stay_in_one_field() {
        for (hostile, shown) in [
            (&b"/a\tb"[..], "/a\\tb"),
            (b"/a\r\nb", "/a\\r\\nb"),
            (b"/\0\x1b\x7f", "/\\x00\\x1B\\x7F"),
            (b"/\\x41", "/\\\\x41"),
            (b"/\xff", "/\\xFF"),
            (
                "/\u{2028}\u{2029}\u{85}".as_bytes(),
                "/\\xE2\\x80\\xA8\\xE2\\x80\\xA9\\xC2\\x85",
            ),
            ("/商品?\"=1".as_bytes(), "/商品?\"=1"),
        ] {
            let line = url(hostile);
            let text = written(&line);
            assert!(text.starts_with(&format!("{shown}\tGET\t")), "{text}");
            assert_eq!(Line::parse(text.trim_end().as_bytes()).unwrap(), line);
        }
    }

    #[test]
    fn a_field_of_a_megabyte_is_cut_with_a_marker() {
        for byte in [b'a', b'\t', 0, 0xff, b'\\'] {
            let line = url(&vec![byte; 1 << 20]);
            let text = written(&line);
            let field = text.split('\t').next().unwrap();
            assert!(field.ends_with(CUT), "{field}");
            assert!((LONGEST_FIELD - 4..=LONGEST_FIELD).contains(&field.len()));
        }
        let whole = vec![b'a'; LONGEST_FIELD];
        assert_eq!(url(&whole).url(), whole);
    }

    #[test]
    fn a_time_of_more_than_a_year_is_a_year() {
        let time = date("2026-11-21T10:00:00.000+09:00");
        let line = Line::new(b"/", b"GET", 200, Duration::MAX, time);
        assert_eq!(line.micros(), LONGEST);
        assert_eq!(Line::parse(written(&line).trim_end().as_bytes()), Ok(line));
    }

    /// Bytes with much of what is escaped among them.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<u8>().prop_map(|byte| vec![byte]),
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            "[\\\\txnr\t\n\r/]{0,4}".prop_map(String::into_bytes),
            Just("a".repeat(700).into_bytes()),
        ];
        vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(
            address in hostile(), method in "[!-~]{1,20}", status in 100..1000_u16, micros in any::<u64>(),
            millis in -62_135_596_800_000..253_402_300_799_000_i64, minutes in -1080..1080,
        ) {
            let zone = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
            let moment = chrono::DateTime::from_timestamp_millis(millis).unwrap();
            let time = moment.with_timezone(&zone);
            prop_assume!((0..=9999).contains(&chrono::Datelike::year(&time)));
            let took = Duration::from_micros(micros);
            let line = Line::new(&address, method.as_bytes(), status, took, Date::new(time));
            let text = written(&line);
            let body = text.strip_suffix('\n').unwrap();
            prop_assert_eq!(body.split('\t').count(), 5);
            prop_assert!(!body.contains(|c: char| c.is_control() && c != '\t'));
            let read = Line::parse(body.as_bytes());
            prop_assert_eq!(read.as_ref(), Ok(&line));
            prop_assert_eq!(written(&read.unwrap()), text);
        }

        #[test]
        fn no_line_is_too_strange_to_be_judged(line in hostile()) {
            if let Ok(line) = Line::parse(&line) {
                let text = written(&line);
                prop_assert_eq!(Line::parse(text.trim_end_matches('\n').as_bytes()), Ok(line));
            }
        }
    }
}
