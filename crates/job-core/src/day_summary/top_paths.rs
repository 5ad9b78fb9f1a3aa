//! The most frequent of very many paths, in bounded memory.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::access_log::escape;

/// So many are told.
const TOLD: usize = 20;
/// So many are kept when there are too many.
const KEPT: usize = 1000;
/// So many are too many.
const TOO_MANY: usize = 2 * KEPT;
/// Most bytes of a path.
const LONGEST: usize = 200;
/// Stands at the end of a path that was cut.
const CUT: &str = "…";

/// Paths with how often they came. Exact until there are 2,000 different ones; then the rarest are forgotten, and what
/// comes later may have been among them: its count may be too high by `over`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopPaths {
    counts: HashMap<String, Counted>,
    /// No path that was forgotten had come more often.
    forgotten: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counted {
    count: u64,
    over: u64,
}

/// One of the most frequent paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopPath {
    /// The path, escaped, at most 200 bytes.
    pub path: String,
    /// How often it came, at most.
    pub count: u64,
    /// By how much that may be too high; 0 where it is exact.
    pub over: u64,
}

impl TopPaths {
    /// Counts a path as received.
    pub(super) fn count(&mut self, path: &[u8]) {
        let path = escape::shown(&escape::cut(path, LONGEST, CUT), LONGEST);
        let before = self.before();
        self.counts.entry(path).or_insert(before).count += 1;
        self.forget_the_rarest();
    }

    /// Counts all that the other one has counted.
    pub(super) fn merge(&mut self, other: &TopPaths) {
        let (mine, theirs) = (self.before(), other.before());
        for (path, counted) in &mut self.counts {
            let more = other.counts.get(path).unwrap_or(&theirs);
            counted.count += more.count;
            counted.over += more.over;
        }
        for (path, counted) in &other.counts {
            self.counts.entry(path.clone()).or_insert(Counted {
                count: mine.count + counted.count,
                over: mine.over + counted.over,
            });
        }
        self.forgotten += other.forgotten;
        self.forget_the_rarest();
    }

    /// The most frequent ones, most frequent first; at most 20.
    pub fn top(&self) -> Vec<TopPath> {
        let mut all: Vec<_> = self.counts.iter().collect();
        all.sort_by_key(|(path, counted)| (Reverse(counted.count), *path));
        all.truncate(TOLD);
        let told = all.into_iter().map(|(path, counted)| TopPath {
            path: path.clone(),
            count: counted.count,
            over: counted.over,
        });
        told.collect()
    }

    /// What may have come before of a path that is not there.
    fn before(&self) -> Counted {
        Counted {
            count: self.forgotten,
            over: self.forgotten,
        }
    }

    fn forget_the_rarest(&mut self) {
        if self.counts.len() < TOO_MANY {
            return;
        }
        let mut all: Vec<_> = self.counts.drain().collect();
        all.sort_by(|(a, left), (b, right)| {
            (Reverse(left.count), a).cmp(&(Reverse(right.count), b))
        });
        self.forgotten = all[KEPT..]
            .iter()
            .map(|(_, rare)| rare.count)
            .fold(self.forgotten, u64::max);
        all.truncate(KEPT);
        self.counts = all.into_iter().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_most_frequent_paths_are_told_first() {
        let mut paths = TopPaths::default();
        for n in 0..30 {
            for _ in 0..n {
                paths.count(format!("/{n}").as_bytes());
            }
        }
        let top = paths.top();
        assert_eq!(top.len(), TOLD);
        assert_eq!((&*top[0].path, top[0].count, top[0].over), ("/29", 29, 0));
        assert_eq!((&*top[19].path, top[19].count), ("/10", 10));
    }

    #[test]
    fn a_million_different_paths_take_no_more_room_and_hide_no_frequent_one() {
        let mut paths = TopPaths::default();
        for n in 0..1_000_000 {
            paths.count(format!("/{n}").as_bytes());
            if n % 100 == 0 {
                paths.count(b"/often");
            }
            assert!(paths.counts.len() < TOO_MANY);
        }
        let top = paths.top();
        assert_eq!(top[0].path, "/often");
        let exact = 10_000;
        assert!(
            (exact..=exact + top[0].over).contains(&top[0].count),
            "{:?}",
            top[0]
        );
        assert!(top[0].over <= 1000);
    }

    #[test]
    fn a_path_is_short_and_without_control_characters() {
        let mut paths = TopPaths::default();
        paths.count(&[b'\t'; 1000]);
        let top = paths.top();
        assert!(top[0].path.len() <= LONGEST && top[0].path.starts_with("\\t\\t"));
        assert!(top[0].path.ends_with(CUT));
    }

    proptest! {
        #[test]
        fn merging_is_counting_all_together(a in "[abc]{0,40}", b in "[bcd]{0,40}") {
            let of = |text: &str| {
                let mut paths = TopPaths::default();
                text.bytes().for_each(|byte| paths.count(&[byte]));
                paths
            };
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged, of(&(a + &b)));
        }
    }
}
