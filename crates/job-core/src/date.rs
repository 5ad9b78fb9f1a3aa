//! A moment with the zone's offset, as it stands in every file and answer.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, FixedOffset, SecondsFormat, SubsecRound, TimeDelta};
use serde_with::{DeserializeFromStr, SerializeDisplay};

/// A moment, in whole milliseconds, with the offset of the zone in which it was noted.
///
/// Written as RFC 3339 with milliseconds (`2023-10-01T00:00:00.000+09:00`); any RFC 3339 is read. Two dates are equal
/// and ordered by the moment, whatever their offsets.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, SerializeDisplay, DeserializeFromStr,
)]
pub struct Date(DateTime<FixedOffset>);

impl Date {
    /// The date of this moment; what is finer than a millisecond is cut.
    pub fn new(moment: DateTime<FixedOffset>) -> Self {
        Date(moment.trunc_subsecs(3))
    }

    /// Milliseconds since 1970-01-01 UTC; negative before.
    pub fn unix_millis(&self) -> i64 {
        self.0.timestamp_millis()
    }

    /// How long after `earlier` this is; negative where it is before.
    pub fn since(&self, earlier: Date) -> TimeDelta {
        self.0 - earlier.0
    }

    /// This date moved by `delta`; at the ends of the calendar it stays where it is.
    pub fn plus(&self, delta: TimeDelta) -> Date {
        self.0.checked_add_signed(delta).map_or(*self, Date)
    }

    /// The moment with its offset, for calendars and formats.
    pub fn moment(&self) -> DateTime<FixedOffset> {
        self.0
    }
}

impl FromStr for Date {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, chrono::ParseError> {
        DateTime::parse_from_rfc3339(text).map(Date::new)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, false))
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_with_milliseconds_and_offset() {
        for (read, written) in [
            ("2023-10-01T00:00:00+09:00", "2023-10-01T00:00:00.000+09:00"),
            (
                "2023-10-01T00:00:00.123456Z",
                "2023-10-01T00:00:00.123+00:00",
            ),
            (
                "2023-10-01t00:00:00.5-03:30",
                "2023-10-01T00:00:00.500-03:30",
            ),
        ] {
            assert_eq!(read.parse::<Date>().unwrap().to_string(), written);
        }
        assert!("2023-10-01".parse::<Date>().is_err());
    }

    #[test]
    fn order_is_by_moment_not_by_clock_face() {
        let tokyo: Date = "2023-10-01T08:00:00+09:00".parse().unwrap();
        let london: Date = "2023-10-01T00:00:00+01:00".parse().unwrap();
        assert_eq!(tokyo, london);
        assert_eq!(
            tokyo.plus(TimeDelta::seconds(90)).since(london),
            TimeDelta::seconds(90)
        );
    }
}
