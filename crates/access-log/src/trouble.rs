//! When trouble is told: as it begins, as it ends, and not each time that it comes and goes.

use std::time::{Duration, Instant};

/// Trouble that comes again or goes on is told after this time.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// Trouble that may come and go with every line, as on a disk that is nearly full.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// When anything was last told of it.
    told: Option<Instant>,
    /// Whether its beginning was told, and its end was not.
    is_open: bool,
    /// How many lines it has cost since its end was last told.
    dropped: u64,
}

impl Trouble {
    /// It is there, and has cost so many more lines: whether to tell.
    pub(crate) fn is_to_be_told(&mut self, dropped: u64, now: Instant) -> bool {
        self.dropped += dropped;
        if self.was_told_lately(now) {
            return false;
        }
        self.told = Some(now);
        self.is_open = true;
        true
    }

    /// It is not there: what it has cost, where that is to be told.
    pub(crate) fn is_over(&mut self, now: Instant) -> Option<u64> {
        let is_due = self.dropped > 0 && !self.was_told_lately(now);
        if !self.is_open && !is_due {
            return None;
        }
        self.told = Some(now);
        self.is_open = false;
        Some(std::mem::take(&mut self.dropped))
    }

    fn was_told_lately(&self, now: Instant) -> bool {
        self.told
            .is_some_and(|told| now.duration_since(told) < BETWEEN_WARNINGS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_when_it_begins_and_when_it_ends() {
        let (mut trouble, start) = (Trouble::default(), Instant::now());
        assert_eq!(trouble.is_over(start), None);
        assert!(trouble.is_to_be_told(2, start));
        assert!(!trouble.is_to_be_told(3, start + Duration::from_secs(59)));
        assert!(trouble.is_to_be_told(1, start + Duration::from_secs(60)));
        assert_eq!(trouble.is_over(start + Duration::from_secs(61)), Some(6));
        assert_eq!(trouble.is_over(start + Duration::from_secs(200)), None);
    }

    #[test]
    fn trouble_that_comes_and_goes_is_told_once_a_minute_and_no_line_is_forgotten() {
        let (mut trouble, start) = (Trouble::default(), Instant::now());
        let (mut told, mut counted) = (0, 0);
        for tenth in 0..10 * 180 {
            let now = start + Duration::from_millis(100 * tenth);
            told += u32::from(trouble.is_to_be_told(1, now));
            if let Some(dropped) = trouble.is_over(now) {
                told += 1;
                counted += dropped;
            }
        }
        assert!((4..=6).contains(&told), "{told}");
        counted += trouble.is_over(start + Duration::from_secs(300)).unwrap();
        assert_eq!(counted, 1800);
    }
}
