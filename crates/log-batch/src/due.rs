//! Which days are to be counted, and whose files may go: decided from what is there and what was counted before.

use std::collections::BTreeMap;

use job_core::day::Day;
use log_db::run::{Run, RunFile, RunResult};

use crate::folder::{Days, FileNow};

/// A line may come late, when a request ends long after it began: so many days are looked at again each time.
const RECENT: i64 = 3;

/// The last good run of each day that has one.
pub type Counted = BTreeMap<Day, Run>;

/// Why a day is to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It has no good run.
    New,
    /// A file has another size than it had then, or is new.
    Changed,
    /// It is recent: only its bytes can tell whether anything changed.
    Recent,
}

/// The last good run of each day.
pub fn counted(runs: Vec<Run>) -> Counted {
    let good = runs.into_iter().filter(|run| run.result == RunResult::Done);
    good.map(|run| (run.day, run)).collect()
}

/// The days that are to be counted, oldest first. Today is not: it is not over.
pub fn due(days: &Days, counted: &Counted, today: Day) -> Vec<(Day, Why)> {
    let over = days.range(..today);
    over.filter_map(|(&day, files)| {
        let Some(run) = counted.get(&day) else {
            return Some((day, Why::New));
        };
        if missing(files, run).is_some() {
            return None;
        }
        let is_recent = today.since(day) <= RECENT;
        match () {
            () if !is_as_counted(files, run) => Some((day, Why::Changed)),
            () if is_recent => Some((day, Why::Recent)),
            () => None,
        }
    })
    .collect()
}

/// A file that was counted and is not there any more. Its day is not counted again unless somebody asks for that: its
/// numbers would be lost.
pub fn missing<'a>(files: &[FileNow], run: &'a Run) -> Option<&'a RunFile> {
    run.files
        .iter()
        .find(|file| files.iter().all(|now| now.name != file.name))
}

/// The days whose files may go: older than so many days, and in the database as they are now.
pub fn removable(days: &Days, counted: &Counted, today: Day, keep_days: i64) -> Vec<Day> {
    let old = days
        .iter()
        .filter(|(day, _)| today.since(**day) > keep_days);
    old.filter(|(day, files)| {
        counted
            .get(day)
            .is_some_and(|run| is_as_counted(files, run))
    })
    .map(|(day, _)| *day)
    .collect()
}

/// Whether each file that is there has the size that it had when it was counted.
fn is_as_counted(files: &[FileNow], run: &Run) -> bool {
    files.iter().all(|now| {
        let known = run.files.iter().find(|file| file.name == now.name);
        known.is_some_and(|file| file.size == now.size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn run(on: &str, result: RunResult, files: &[(&str, u64)]) -> Run {
        Run {
            day: day(on),
            started: "2026-11-21T00:30:00.000+09:00".parse().unwrap(),
            seconds: 0.1,
            result,
            message: None,
            rows: 0,
            files: files
                .iter()
                .map(|(name, size)| RunFile {
                    name: (*name).into(),
                    size: *size,
                    sha256: String::new(),
                    lines: 0,
                    bad_lines: 0,
                    bad_line_samples: Vec::new(),
                    unmatched_paths: Vec::new(),
                    refused: None,
                })
                .collect(),
        }
    }

    fn days(files: &[(&str, &str, u64)]) -> Days {
        let mut days = Days::new();
        for (on, name, size) in files {
            days.entry(day(on)).or_default().push(FileNow {
                name: (*name).into(),
                size: *size,
            });
        }
        days
    }

    #[test]
    fn days_without_a_good_run_are_due_oldest_first_and_today_is_not() {
        let days = days(&[
            ("2026-11-21", "today", 1),
            ("2026-11-20", "a", 1),
            ("2026-10-01", "b", 0),
            ("2026-11-10", "c", 1),
            ("2026-11-22", "tomorrow", 1),
        ]);
        let runs = vec![
            run("2026-11-20", RunResult::Failed, &[]),
            run("2026-11-10", RunResult::Done, &[("c", 1)]),
            run("2026-10-01", RunResult::NoFile, &[]),
        ];
        assert_eq!(
            due(&days, &counted(runs), day("2026-11-21")),
            [(day("2026-10-01"), Why::New), (day("2026-11-20"), Why::New)]
        );
    }

    #[test]
    fn a_day_whose_files_changed_is_due_and_a_recent_one_in_any_case() {
        let (grown, more, recent) = ("2026-11-01", "2026-11-02", "2026-11-18");
        let days = days(&[
            (grown, "a", 2),
            (more, "a", 1),
            (more, "b", 1),
            ("2026-11-17", "a", 1),
            (recent, "a", 1),
        ]);
        let one = |on| run(on, RunResult::Done, &[("a", 1)]);
        let runs = vec![one(grown), one(more), one("2026-11-17"), one(recent)];
        assert_eq!(
            due(&days, &counted(runs), day("2026-11-21")),
            [
                (day(grown), Why::Changed),
                (day(more), Why::Changed),
                (day(recent), Why::Recent)
            ]
        );
    }

    #[test]
    fn a_day_that_would_lose_what_was_counted_is_not_due() {
        let on = "2026-11-20";
        let days = days(&[(on, "a", 2)]);
        let run = run(on, RunResult::Done, &[("a", 1), ("b", 1)]);
        assert_eq!(missing(&days[&day(on)], &run).unwrap().name, "b");
        assert_eq!(due(&days, &counted(vec![run]), day("2026-11-21")), []);
    }

    #[test]
    fn files_go_when_they_are_old_and_their_day_is_stored_as_they_are() {
        let (kept, old, grown, failed) = ("2026-10-22", "2026-10-21", "2026-10-20", "2026-10-19");
        let days = days(&[
            (kept, "a", 1),
            (old, "a", 1),
            (grown, "a", 2),
            (failed, "a", 1),
        ]);
        let one = |on| run(on, RunResult::Done, &[("a", 1)]);
        let runs = vec![
            one(kept),
            one(old),
            one(grown),
            run(failed, RunResult::Failed, &[]),
        ];
        assert_eq!(
            removable(&days, &counted(runs), day("2026-11-21"), 30),
            [day(old)]
        );
    }
}
