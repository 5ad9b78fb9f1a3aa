//! How jobs end, as the index shows it from one look to the next.

use std::collections::HashSet;
use std::sync::Arc;

use job_core::entry::Entry;
use job_core::ids::JobId;
use job_core::queue::Queue;
use job_core::status::State;

/// The jobs that had ended at the last look; nothing before the first.
#[derive(Debug, Default)]
pub(super) struct Ends(Option<HashSet<JobId>>);

/// How one job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    /// Its status.
    pub(super) status: &'static str,
    /// Why it failed; empty where it did not, `unknown` where a third party did not say.
    pub(super) reason: &'static str,
}

impl End {
    /// How this job ended.
    pub(super) fn of(entry: &Entry) -> Self {
        let reason = match entry.state() {
            State::Failed { failure, .. } => failure
                .as_ref()
                .map_or("unknown", |failure| failure.reason.as_str()),
            _ => "",
        };
        End {
            status: entry.status().as_str(),
            reason,
        }
    }
}

impl Ends {
    /// The ends since the last look. The first one only sees what was there before.
    pub(super) fn since_last_look(&mut self, queue: &Queue) -> Vec<Arc<Entry>> {
        let ended = || queue.iter().filter(|entry| entry.status().is_final());
        let before = self.0.replace(ended().map(|entry| entry.uuid).collect());
        let Some(before) = before else {
            return Vec::new();
        };
        let new = ended().filter(|entry| !before.contains(&entry.uuid));
        new.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(entries: &[&str]) -> Queue {
        let entry = |(number, rest): (usize, &&str)| {
            let text = format!(
                r#"{{"uuid":"f47ac10b-58cc-4372-a567-0e02b2c3d4{number:02}","api":"soc","request_date":"2023-10-01T00:00:00.000+09:00",{rest}}}"#
            );
            Entry::parse(&text).unwrap().into()
        };
        Queue::new(entries.iter().enumerate().map(entry)).0
    }

    #[test]
    fn each_end_is_told_once_and_none_from_before_the_first_look() {
        let (done, pending) = (r#""status":"done""#, r#""status":"pending""#);
        let failed = r#""status":"failed","failure":{"reason":"timeout","message":"m"}"#;
        let bare = r#""status":"failed""#;
        let canceled = r#""status":"canceled""#;
        let end = |status, reason| End { status, reason };
        let mut ends = Ends::default();
        let mut look = |entries: &[&str]| -> Vec<End> {
            let ended = ends.since_last_look(&queue(entries));
            let mut told: Vec<_> = ended.iter().map(|entry| End::of(entry)).collect();
            told.sort();
            told
        };
        assert_eq!(look(&[done, pending]), []);
        // One that came and ended between two looks counts as well.
        assert_eq!(
            look(&[done, failed, canceled, bare]),
            [
                end("canceled", ""),
                end("failed", "timeout"),
                end("failed", "unknown")
            ]
        );
        assert_eq!(look(&[done, failed, canceled, bare]), []);
        assert_eq!(look(&[]), [], "retention");
    }
}
