//! A day's lines as a few rows: how often each API was called by which method with which status, and how long it took.
//!
//! What a client can make up does not make it grow: methods that HTTP does not know count together, unmatched paths are
//! remembered by the most frequent ones, and of bad lines only the first are shown.

mod top_paths;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access_log::{BadLine, Line, escape};
use crate::api_routes::{Named, Names};
use crate::day::Day;
use crate::histogram::Histogram;
pub use top_paths::{TopPath, TopPaths};

/// The key of requests that fit no route.
pub const UNMATCHED_KEY: &str = "(unmatched)";
/// The name of requests that fit no route.
pub const UNMATCHED_NAME: &str = "(未登録)";
/// The method of unmatched requests with a method that HTTP does not know.
pub const OTHER_METHOD: &str = "(other)";
/// The methods of RFC 9110, section 9, and RFC 5789.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
];
/// So many bad lines are shown.
const SAMPLES: usize = 5;
/// So many bytes of each.
const SAMPLE_LENGTH: usize = 200;
/// Sums stay numbers that databases have.
const MOST: u64 = i64::MAX as u64;

/// What a row counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// The API's stable name, or [`UNMATCHED_KEY`].
    pub api_key: String,
    /// The API's name in Japanese, or [`UNMATCHED_NAME`]; at most 100 characters. A key has one name, and a name one key.
    pub api_name: String,
    /// The method, or [`OTHER_METHOD`].
    pub method: String,
    /// The status, from 100 to 999.
    pub status: u16,
}

/// What there was of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many requests.
    pub count: u64,
    /// How long they took together, in microseconds.
    pub total_us: u64,
    /// How long the longest took, in microseconds.
    pub max_us: u64,
    /// How long they took.
    pub latency: Histogram,
}

impl Totals {
    /// How long one took on average, in milliseconds.
    pub fn average_ms(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        self.total_us as f64 / 1000.0 / self.count as f64
    }

    fn record(&mut self, micros: u64) {
        self.count += 1;
        self.total_us = self.total_us.saturating_add(micros).min(MOST);
        self.max_us = self.max_us.max(micros);
        self.latency.record(micros);
    }

    fn merge(&mut self, other: &Totals) {
        self.count += other.count;
        self.total_us = self.total_us.saturating_add(other.total_us).min(MOST);
        self.max_us = self.max_us.max(other.max_us);
        self.latency.merge(&other.latency);
    }
}

/// A line that was not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadSample {
    /// Its number in its file, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
    /// How it begins, escaped; empty where it was too long to be read.
    pub text: String,
}

/// One day, as far as lines were taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaySummary {
    /// The day.
    pub day: Day,
    /// All lines, bad ones included.
    pub lines: u64,
    /// How many of them were not counted.
    pub bad_lines: u64,
    /// The first five of these.
    pub bad_samples: Vec<BadSample>,
    /// The paths that fit no route, most frequent ones.
    pub unmatched: TopPaths,
    /// The rows.
    pub rows: BTreeMap<RowKey, Totals>,
}

impl DaySummary {
    /// A day of which nothing is known yet.
    pub fn new(day: Day) -> Self {
        DaySummary {
            day,
            lines: 0,
            bad_lines: 0,
            bad_samples: Vec::new(),
            unmatched: TopPaths::default(),
            rows: BTreeMap::new(),
        }
    }

    /// Takes a line of a file, without its end: its number there from 1, and the line or why it could not be read.
    pub fn take(&mut self, names: &Names, number: u64, line: Result<&[u8], BadLine>) {
        self.lines += 1;
        let read = line.and_then(Line::parse).and_then(|line| {
            let is_of_day = line.day() == self.day;
            is_of_day.then_some(line).ok_or(BadLine::OtherDay)
        });
        match read {
            Ok(line) => self.count(names, &line),
            Err(reason) => self.note_bad(number, reason, line.unwrap_or_default()),
        }
    }

    /// Adds another file of the same day to it.
    pub fn merge(&mut self, other: &DaySummary) {
        self.lines += other.lines;
        self.bad_lines += other.bad_lines;
        let room = SAMPLES - self.bad_samples.len();
        let samples = other.bad_samples.iter().take(room);
        self.bad_samples.extend(samples.cloned());
        self.unmatched.merge(&other.unmatched);
        for (key, totals) in &other.rows {
            self.rows.entry(key.clone()).or_default().merge(totals);
        }
    }

    fn count(&mut self, names: &Names, line: &Line) {
        let method = std::str::from_utf8(line.method()).unwrap_or(OTHER_METHOD);
        let found = names.find(method, line.url());
        if found.is_none() {
            self.unmatched.count(line.path());
        }
        let method = match found {
            None if !METHODS.contains(&method) => OTHER_METHOD,
            _ => method,
        };
        let named = found.unwrap_or(Named {
            key: UNMATCHED_KEY,
            name: UNMATCHED_NAME,
        });
        let key = RowKey {
            api_key: named.key.into(),
            api_name: named.name.into(),
            method: method.into(),
            status: line.status(),
        };
        self.rows.entry(key).or_default().record(line.micros());
    }

    fn note_bad(&mut self, number: u64, reason: BadLine, line: &[u8]) {
        self.bad_lines += 1;
        if self.bad_samples.len() < SAMPLES {
            self.bad_samples.push(BadSample {
                line: number,
                reason: reason.to_string(),
                text: escape::shown(line, SAMPLE_LENGTH),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_routes::{ApiRoutes, NamedRoute};
    use crate::catalog::Label;

    fn names() -> Names {
        let route = |method: &str, pattern: &str, key: &str, ja: &str| NamedRoute {
            method: method.into(),
            pattern: pattern.into(),
            key: key.into(),
            label: Label {
                ja: ja.into(),
                en: key.into(),
            },
        };
        Names::new(&ApiRoutes::new(vec![
            route("GET", "/api/products", "products", "商品取得API(複数件)"),
            route("GET", "/jobs/{uuid}", "job", "ジョブ"),
        ]))
    }

    fn summary(lines: &[&str]) -> DaySummary {
        let mut summary = DaySummary::new("2026-11-21".parse().unwrap());
        for (number, line) in (1..).zip(lines) {
            summary.take(&names(), number, Ok(line.as_bytes()));
        }
        summary
    }

    fn line(url: &str, method: &str, status: u16, millis: &str) -> String {
        format!("{url}\t{method}\t{status}\t{millis}\t2026-11-21T10:00:00.000+09:00")
    }

    /// Key, method, status and count of each row.
    fn counts(summary: &DaySummary) -> Vec<(&str, &str, u16, u64)> {
        let rows = summary.rows.iter();
        rows.map(|(key, totals)| (&*key.api_key, &*key.method, key.status, totals.count))
            .collect()
    }

    #[test]
    fn lines_are_counted_by_api_method_and_status() {
        let lines = [
            line("/api/products", "GET", 200, "1.000"),
            line("/api/products?page=2", "GET", 200, "3.500"),
            line("/api/products", "GET", 500, "2.000"),
            line("/jobs/1", "HEAD", 200, "0.000"),
            line("/jobs/2", "GET", 200, "0.001"),
            line("/wp-login.php?a=1", "GET", 404, "0.100"),
            line("/jobs/1", "BREW", 405, "0.100"),
            line("/jobs/1", "brew", 405, "0.100"),
        ];
        let summary = summary(&lines.each_ref().map(String::as_str));
        assert_eq!(
            counts(&summary),
            [
                (UNMATCHED_KEY, OTHER_METHOD, 405, 2),
                (UNMATCHED_KEY, "GET", 404, 1),
                ("job", "GET", 200, 1),
                ("job", "HEAD", 200, 1),
                ("products", "GET", 200, 2),
                ("products", "GET", 500, 1),
            ]
        );
        let (key, totals) = summary.rows.iter().nth(4).unwrap();
        assert_eq!(key.api_name, "商品取得API(複数件)");
        assert_eq!((totals.total_us, totals.max_us), (4500, 3500));
        assert_eq!(totals.average_ms(), 2.25);
        assert_eq!(totals.latency.count(), 2);
        assert_eq!((summary.lines, summary.bad_lines), (8, 0));
        let unmatched = summary.unmatched.top();
        let unmatched: Vec<_> = unmatched
            .iter()
            .map(|top| (&*top.path, top.count))
            .collect();
        assert_eq!(unmatched, [("/jobs/1", 2), ("/wp-login.php", 1)]);
    }

    #[test]
    fn bad_lines_are_counted_and_the_first_ones_shown() {
        let good = line("/jobs/1", "GET", 200, "1.000");
        let other_day = good.replace("11-21", "11-20");
        let tomorrow = good.replace("T10:00:00.000+09:00", "T23:00:00.000-09:00");
        let lines = [
            "", &good, "a\tb", &other_day, &tomorrow, "\0\t", "x", "x", "x",
        ];
        let mut summary = summary(&lines);
        summary.take(&names(), 10, Err(BadLine::TooLong));
        assert_eq!((summary.lines, summary.bad_lines), (10, 8));
        assert_eq!(counts(&summary), [("job", "GET", 200, 2)]);
        let samples = summary.bad_samples.iter();
        let samples: Vec<_> = samples
            .map(|bad| (bad.line, &*bad.reason, &*bad.text))
            .collect();
        assert_eq!(
            samples,
            [
                (1, "it is empty", ""),
                (3, "it has 2 columns: five are due", "a\\tb"),
                (
                    4,
                    "its time is of another day than the file",
                    &*escape::shown(other_day.as_bytes(), 200)
                ),
                (6, "it has a control character", "\\x00\\t"),
                (7, "it has 1 columns: five are due", "x"),
            ]
        );
    }

    #[test]
    fn files_of_one_day_add_up() {
        let lines = [
            line("/jobs/1", "GET", 200, "1.000"),
            "bad".to_owned(),
            line("/jobs/1", "GET", 200, "2.000"),
            line("/no", "GET", 404, "2.000"),
            String::new(),
        ];
        let lines = lines.each_ref().map(String::as_str);
        let mut merged = summary(&lines[..2]);
        merged.merge(&summary(&lines[2..]));
        let mut together = summary(&lines);
        // A sample tells its number in its own file.
        together.bad_samples[1].line = 3;
        assert_eq!(merged, together);
    }
}
