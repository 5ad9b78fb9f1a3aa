//! A calendar day of the site's zone, by which logs are kept and counted.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate, TimeDelta};
use serde_with::{DeserializeFromStr, SerializeDisplay};

use crate::date::Date;

/// A day of the calendar, written as `2023-10-01`.
///
/// It is the day that stands in a date as it is written, in the zone in which it was noted: nothing is converted, so a
/// day begins and ends where the people of the site see it begin and end.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, SerializeDisplay, DeserializeFromStr,
)]
pub struct Day(NaiveDate);

/// A text that is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a day such as 2023-10-01 is due")]
pub struct NoDay;

impl Day {
    /// The day of a date, as it is written.
    pub fn of(date: Date) -> Self {
        Day(date.moment().date_naive())
    }

    /// The day so many days later, or earlier where it is negative; at the ends of the calendar it stays where it is.
    pub fn plus(self, days: i64) -> Day {
        let delta = TimeDelta::try_days(days);
        let moved = delta.and_then(|delta| self.0.checked_add_signed(delta));
        moved.map(Day).filter(Day::has_four_digits).unwrap_or(self)
    }

    /// How many days after `earlier` this is; negative where it is before.
    pub fn since(self, earlier: Day) -> i64 {
        (self.0 - earlier.0).num_days()
    }

    /// The day for calendars and databases.
    pub fn calendar(self) -> NaiveDate {
        self.0
    }

    /// Whether it is one that can be written.
    fn has_four_digits(&self) -> bool {
        (0..=9999).contains(&self.0.year())
    }
}

impl From<NaiveDate> for Day {
    fn from(date: NaiveDate) -> Self {
        Day(date)
    }
}

impl FromStr for Day {
    type Err = NoDay;

    fn from_str(text: &str) -> Result<Self, NoDay> {
        let digits = |range: std::ops::Range<usize>| {
            let part = text
                .get(range)
                .filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
            part.and_then(|part| part.parse::<u32>().ok()).ok_or(NoDay)
        };
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return Err(NoDay);
        }
        let year = i32::try_from(digits(0..4)?).map_err(|_| NoDay)?;
        let day = NaiveDate::from_ymd_opt(year, digits(5..7)?, digits(8..10)?);
        day.map(Day).ok_or(NoDay)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn the_day_of_a_date_is_the_one_that_is_written() {
        for (date, expected) in [
            ("2026-11-21T00:00:00.000+09:00", "2026-11-21"),
            ("2026-11-20T23:59:59.999+09:00", "2026-11-20"),
            ("2026-11-20T15:00:00Z", "2026-11-20"),
            ("2026-11-21T08:59:59-05:00", "2026-11-21"),
        ] {
            let date: Date = date.parse().unwrap();
            assert_eq!(Day::of(date).to_string(), expected);
        }
    }

    #[test]
    fn a_day_is_ten_characters() {
        assert_eq!(day("2024-02-29").to_string(), "2024-02-29");
        for bad in [
            "",
            "2023-02-29",
            "2023-1-01",
            "2023-10-1",
            "2023/10/01",
            "+023-10-01",
            "20231001",
            "2023-10-01 ",
            "2023-10-01T",
            "２０２３-10",
            "2023-13-01",
            "2023-00-10",
        ] {
            assert_eq!(bad.parse::<Day>(), Err(NoDay), "{bad}");
        }
    }

    #[test]
    fn days_are_counted_over_the_ends_of_months_and_years() {
        assert_eq!(day("2023-12-31").plus(1), day("2024-01-01"));
        assert_eq!(day("2024-03-01").plus(-1), day("2024-02-29"));
        assert_eq!(day("2024-01-01").since(day("2023-01-01")), 365);
        assert_eq!(day("9999-12-31").plus(1), day("9999-12-31"));
        assert_eq!(day("2024-01-01").plus(i64::MAX), day("2024-01-01"));
    }
}
