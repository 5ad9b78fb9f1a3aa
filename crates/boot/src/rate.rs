//! How often something may happen.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// So many in so much time, or as many as come. Written `50/s`, `100/min`, `1000/h` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// As many as come.
    Off,
    /// So many in each such time.
    Per(NonZeroU32, Unit),
}

/// A time that rates are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

const UNITS: [(Unit, &str, u64); 3] = [
    (Unit::Second, "s", 1),
    (Unit::Minute, "min", 60),
    (Unit::Hour, "h", 3600),
];

impl Rate {
    /// The time for each one; nothing where as many may come as like.
    pub fn time_for_one(self) -> Option<Duration> {
        match self {
            Rate::Off => None,
            Rate::Per(count, unit) => {
                let (_, _, seconds) = UNITS.into_iter().find(|(one, ..)| *one == unit)?;
                Some(Duration::from_secs(seconds) / count.get())
            }
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Rate::Off);
        }
        let rate = text.split_once('/').and_then(|(count, per)| {
            let (unit, ..) = UNITS.into_iter().find(|(_, name, _)| *name == per.trim())?;
            Some(Rate::Per(count.trim().parse().ok()?, unit))
        });
        rate.ok_or_else(|| format!("{text:?} is no rate: one such as 50/s, 100/min or off is due"))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rate::Off => f.write_str("off"),
            Rate::Per(count, unit) => {
                let name = UNITS.into_iter().find(|(one, ..)| one == unit);
                write!(f, "{count}/{}", name.map_or("", |(_, name, _)| name))
            }
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        for (text, millis) in [
            ("50/s", Some(20)),
            ("100/min", Some(600)),
            ("1000/h", Some(3600)),
            ("off", None),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.to_string(), text);
            assert_eq!(
                rate.time_for_one(),
                millis.map(Duration::from_millis),
                "{text}"
            );
        }
        for none in [
            "", "50", "0/s", "-1/s", "1.5/s", "5/ms", "/s", "Off", "5/s/s",
        ] {
            assert!(none.parse::<Rate>().is_err(), "{none}");
        }
    }
}
