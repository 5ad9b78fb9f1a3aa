//! What becomes of which job: pure functions of a seed and the job's id, so that a run can be repeated.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use job_core::ids::JobId;
use sha2::{Digest, Sha256};

/// A share from 0 to 100.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct Percent(f64);

/// A text that is no [`Percent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number from 0 to 100 is due")]
pub struct InvalidPercent;

impl FromStr for Percent {
    type Err = InvalidPercent;

    /// Reads `10`, `0.5` or `10%`.
    fn from_str(text: &str) -> Result<Self, InvalidPercent> {
        let number = text.strip_suffix('%').unwrap_or(text);
        let number: f64 = number.parse().map_err(|_| InvalidPercent)?;
        if (0.0..=100.0).contains(&number) {
            Ok(Percent(number))
        } else {
            Err(InvalidPercent)
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// What becomes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is done when its time is over.
    Done,
    /// It fails when its time is over.
    Fail,
    /// It goes on until somebody ends it.
    Hang,
    /// Half-way through it the process that runs it is killed.
    Die,
}

impl Fate {
    /// A word for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Done => "done",
            Fate::Fail => "fail",
            Fate::Hang => "hang",
            Fate::Die => "die",
        }
    }
}

/// How many of a hundred jobs meet which fate; the rest are done.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Odds {
    die: Percent,
    hang: Percent,
    fail: Percent,
}

/// Shares that are more than a whole.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("--fail, --hang and --die are {0} of all jobs together: at most 100 % are due")]
pub struct TooMany(Percent);

impl Odds {
    /// These shares of all jobs.
    ///
    /// # Errors
    /// Where they are more than a hundred together.
    pub fn new(fail: Percent, hang: Percent, die: Percent) -> Result<Self, TooMany> {
        let together = fail.0 + hang.0 + die.0;
        if together > 100.0 {
            Err(TooMany(Percent(together)))
        } else {
            Ok(Odds { die, hang, fail })
        }
    }

    /// The fate at a point between 0 and 1 that chance has drawn. The worst fate stands at the beginning, so that a
    /// seed lets the same jobs kill their server whatever share is to fail.
    fn fate(&self, point: f64) -> Fate {
        let mut upto = 0.0;
        for (share, fate) in [
            (self.die, Fate::Die),
            (self.hang, Fate::Hang),
            (self.fail, Fate::Fail),
        ] {
            upto += share.0;
            if point * 100.0 < upto {
                return fate;
            }
        }
        Fate::Done
    }
}

/// How all jobs go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scenario {
    /// What all chance comes from.
    pub seed: u64,
    /// How long a job takes on average.
    pub takes: Duration,
    /// How far a job's time may be off, either way.
    pub jitter: Percent,
    /// Which share of the jobs meets which fate.
    pub odds: Odds,
}

/// How one job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// What becomes of it.
    pub fate: Fate,
    /// How long it takes.
    pub takes: Duration,
}

impl Scenario {
    /// How this job goes: at each of its runs, and wherever the seed is the same, in the same way.
    pub fn course(&self, uuid: JobId) -> Course {
        let [fate, time] = draw(self.seed, uuid);
        let off = self.jitter.0 / 100.0 * (2.0 * time - 1.0);
        let takes = self.takes.as_secs_f64() * (1.0 + off);
        Course {
            fate: self.odds.fate(fate),
            takes: Duration::try_from_secs_f64(takes).unwrap_or(Duration::MAX),
        }
    }
}

impl Course {
    /// How far the job is, from 0 to 100, once it has run for `elapsed`. A job that hangs comes half-way.
    pub fn percent(&self, elapsed: Duration) -> f64 {
        let share = if self.takes.is_zero() {
            1.0
        } else {
            elapsed.as_secs_f64() / self.takes.as_secs_f64()
        };
        let most = match self.fate {
            Fate::Done | Fate::Fail => 100.0,
            Fate::Hang | Fate::Die => 50.0,
        };
        ((share * 1000.0).round() / 10.0).min(most)
    }
}

/// Two numbers from 0 to below 1 that look like chance and are always the same for this seed and job. A cryptographic
/// digest, because its value is laid down for all versions and machines.
fn draw(seed: u64, uuid: JobId) -> [f64; 2] {
    let digest = Sha256::new()
        .chain_update(seed.to_be_bytes())
        .chain_update(uuid.to_string());
    let digest = digest.finalize();
    let number = |at: usize| {
        let bytes = digest[at..at + 8].try_into().expect("a digest is longer");
        // As many bits as a double holds.
        (u64::from_be_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
    };
    [number(0), number(8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(text: &str) -> Percent {
        text.parse().unwrap()
    }

    fn odds(fail: &str, hang: &str, die: &str) -> Odds {
        Odds::new(percent(fail), percent(hang), percent(die)).unwrap()
    }

    fn scenario(seed: u64, odds: Odds) -> Scenario {
        Scenario {
            seed,
            takes: Duration::from_secs(2),
            jitter: percent("50"),
            odds,
        }
    }

    fn job(n: u16) -> JobId {
        let now = "2023-10-01T00:00:00Z".parse().unwrap();
        let [high, low] = n.to_be_bytes();
        JobId::new(now, [high, low, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    #[test]
    fn percents_are_numbers_from_0_to_100() {
        for (text, number) in [("0", 0.0), ("100", 100.0), ("2.5", 2.5), ("10%", 10.0)] {
            assert_eq!(text.parse(), Ok(Percent(number)));
        }
        for bad in ["", "%", "-1", "100.1", "NaN", "inf", "ten", "1e3"] {
            assert_eq!(bad.parse::<Percent>(), Err(InvalidPercent), "{bad}");
        }
    }

    #[test]
    fn shares_are_at_most_a_whole() {
        assert!(Odds::new(percent("50"), percent("25"), percent("25")).is_ok());
        let error = Odds::new(percent("50"), percent("50"), percent("0.5")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--fail, --hang and --die are 100.5 % of all jobs together: at most 100 % are due"
        );
    }

    #[test]
    fn each_share_has_its_part_of_all_points() {
        let odds = odds("20", "10", "5");
        for (point, fate) in [
            (0.0, Fate::Die),
            (0.0499, Fate::Die),
            (0.05, Fate::Hang),
            (0.1499, Fate::Hang),
            (0.15, Fate::Fail),
            (0.3499, Fate::Fail),
            (0.35, Fate::Done),
            (0.9999, Fate::Done),
        ] {
            assert_eq!(odds.fate(point), fate, "{point}");
        }
        for (fate, certain) in [
            (Fate::Fail, self::odds("100", "0", "0")),
            (Fate::Hang, self::odds("0", "100", "0")),
            (Fate::Die, self::odds("0", "0", "100")),
            (Fate::Done, self::odds("0", "0", "0")),
        ] {
            assert_eq!([0.0, 0.9999].map(|point| certain.fate(point)), [fate; 2]);
        }
    }

    #[test]
    fn a_jobs_course_depends_on_seed_and_id_alone() {
        let first = scenario(7, odds("20", "10", "5"));
        let courses = |scenario: Scenario| (0..1000).map(move |n| scenario.course(job(n)));
        // In any order, in any process: nothing is remembered from one to the next.
        let again: Vec<_> = (0..1000).rev().map(|n| first.course(job(n))).collect();
        assert!(courses(first).eq(again.into_iter().rev()));
        let other = scenario(8, odds("20", "10", "5"));
        assert!(!courses(first).eq(courses(other)));
    }

    #[test]
    fn a_seed_that_was_noted_means_the_same_in_every_version() {
        // Worked out by another program: SHA-256 of the seed as eight bytes, the highest first, and the id.
        let scenario = scenario(42, odds("25", "25", "25"));
        for (last_digit, fate, millis) in [
            (0, Fate::Die, 1443),
            (1, Fate::Done, 1976),
            (2, Fate::Die, 2674),
            (3, Fate::Fail, 2530),
            (4, Fate::Hang, 2755),
        ] {
            let uuid = format!("0190a6f0-1c2d-7abc-8def-0123456789a{last_digit}");
            let course = scenario.course(uuid.parse().unwrap());
            assert_eq!((course.fate, course.takes.as_millis()), (fate, millis));
        }
    }

    #[test]
    fn over_many_jobs_the_shares_come_true() {
        let scenario = scenario(1, odds("20", "10", "5"));
        let count = |fate| {
            let jobs = (0..10_000).filter(|n| scenario.course(job(*n)).fate == fate);
            jobs.count()
        };
        for (fate, due) in [
            (Fate::Done, 6500),
            (Fate::Fail, 2000),
            (Fate::Hang, 1000),
            (Fate::Die, 500),
        ] {
            assert!(count(fate).abs_diff(due) < 200, "{fate:?}: {}", count(fate));
        }
    }

    #[test]
    fn who_dies_does_not_depend_on_who_fails() {
        let dying = |odds| -> Vec<_> {
            let scenario = scenario(1, odds);
            let jobs = (0..1000).filter(|n| scenario.course(job(*n)).fate == Fate::Die);
            jobs.collect()
        };
        assert_eq!(dying(odds("0", "0", "5")), dying(odds("60", "30", "5")));
    }

    #[test]
    fn jitter_stays_within_its_bounds_and_none_is_none() {
        let wide = scenario(1, Odds::default());
        let times: Vec<_> = (0..1000).map(|n| wide.course(job(n)).takes).collect();
        let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        assert!((1000..1020).contains(&least.as_millis()), "{least:?}");
        assert!((2980..3001).contains(&most.as_millis()), "{most:?}");
        let exact = Scenario {
            jitter: Percent::default(),
            ..wide
        };
        assert!((0..100).all(|n| exact.course(job(n)).takes == exact.takes));
        let endless = Scenario {
            takes: Duration::MAX,
            ..wide
        };
        assert!((0..100).all(|n| endless.course(job(n)).takes > Duration::from_secs(1 << 60)));
    }

    #[test]
    fn progress_goes_to_the_end_or_half_way_where_there_is_none() {
        let course = |fate, seconds| Course {
            fate,
            takes: Duration::from_secs(seconds),
        };
        let at = |course: Course, millis| course.percent(Duration::from_millis(millis));
        assert_eq!(at(course(Fate::Done, 3), 0), 0.0);
        assert_eq!(at(course(Fate::Done, 3), 1000), 33.3);
        assert_eq!(at(course(Fate::Fail, 3), 9000), 100.0);
        assert_eq!(at(course(Fate::Hang, 3), 900), 30.0);
        assert_eq!(at(course(Fate::Hang, 3), 9000), 50.0);
        assert_eq!(at(course(Fate::Done, 0), 0), 100.0);
    }
}
