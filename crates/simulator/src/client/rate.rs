//! At which times jobs are to be sent.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How many jobs are sent in which time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Jobs a second.
    per_second: f64,
}

/// A text that is no [`Rate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate such as 10/s, 90/m or 20/h is due, from one a day to a million a second")]
pub struct InvalidRate;

const DAY: f64 = 86_400.0;

impl Rate {
    /// How long after the first job the one with this number, from 0, is to be sent.
    pub fn at(self, number: u32) -> Duration {
        Duration::from_secs_f64(f64::from(number) / self.per_second)
    }

    /// Jobs a second.
    pub fn per_second(self) -> f64 {
        self.per_second
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let (count, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit {
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(InvalidRate),
        };
        let count: f64 = count.trim().parse().map_err(|_| InvalidRate)?;
        let per_second = count / seconds;
        if (1.0 / DAY..=1e6).contains(&per_second) {
            Ok(Rate { per_second })
        } else {
            Err(InvalidRate)
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match self.per_second {
            rate if rate >= 1.0 => (rate, "s"),
            rate if rate * 60.0 >= 1.0 => (rate * 60.0, "m"),
            rate => (rate * 3600.0, "h"),
        };
        write!(f, "{}/{unit}", (count * 1000.0).round() / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn a_rate_is_a_number_in_a_time() {
        for (text, per_second, shown) in [
            ("10/s", 10.0, "10/s"),
            ("10", 10.0, "10/s"),
            ("90/m", 1.5, "1.5/s"),
            ("6/min", 0.1, "6/m"),
            ("0.5/s", 0.5, "30/m"),
            ("20/h", 20.0 / 3600.0, "20/h"),
        ] {
            assert_eq!(rate(text).per_second(), per_second, "{text}");
            assert_eq!(rate(text).to_string(), shown);
        }
        for bad in [
            "", "0", "0/s", "-1/s", "10/d", "10/", "/s", "NaN/s", "inf/s", "1e7/s", "0.01/h",
            "ten/s",
        ] {
            assert_eq!(bad.parse::<Rate>(), Err(InvalidRate), "{bad}");
        }
    }

    #[test]
    fn every_jobs_time_is_laid_down_from_the_beginning() {
        let every_third = rate("3/s");
        assert_eq!(every_third.at(0), Duration::ZERO);
        assert_eq!(every_third.at(1).as_millis(), 333);
        // No error adds up.
        assert_eq!(every_third.at(3_000_000), Duration::from_secs(1_000_000));
        assert!(rate("0.05/h").at(u32::MAX) > Duration::from_secs(1));
    }
}
