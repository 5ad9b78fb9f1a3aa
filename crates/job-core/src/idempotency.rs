//! What an `Idempotency-Key` stands for, and what a submission with a known one is.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::date::Date;
use crate::ids::JobId;

/// `idempotency/{sha256}.json`: which job a key belongs to. A fact: published before the job's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The job.
    pub uuid: JobId,
    /// SHA-256 of what it was submitted with, in hexadecimal digits: the body, and the webhook where there is one.
    pub body_sha256: String,
}

/// What a submission is, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The first with this key, as far as anybody still knows: it makes a job.
    First,
    /// The same once more: this job is its answer.
    Again(JobId),
    /// The same once more, and whoever took it the first time died before the request was there: it makes that job.
    Completes(JobId),
    /// Another one under a key that is taken.
    Reused,
}

/// Tells what a submission is: by the record of its key, and whether the record's job is still known. A job that is
/// not, and whose id is older than jobs are kept, was removed: its key is free again.
pub fn meaning(
    record: Option<&KeyRecord>,
    body_sha256: &str,
    is_known: bool,
    keep: TimeDelta,
    now: Date,
) -> Meaning {
    let Some(record) = record else {
        return Meaning::First;
    };
    let made = record.uuid.made_at_millis();
    let is_old = made.is_none_or(|made| now.unix_millis() - made > keep.num_milliseconds());
    match (is_known, record.body_sha256 == body_sha256) {
        (false, _) if is_old => Meaning::First,
        (_, false) => Meaning::Reused,
        (true, true) => Meaning::Again(record.uuid),
        (false, true) => Meaning::Completes(record.uuid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_means_one_job_for_as_long_as_it_is_kept() {
        let now: Date = "2026-11-21T12:00:00Z".parse().unwrap();
        let keep = TimeDelta::days(7);
        let young = JobId::new(now, [7; 10]);
        let old = JobId::new(now.plus(-TimeDelta::days(8)), [7; 10]);
        let record = |uuid| KeyRecord {
            uuid,
            body_sha256: "a".into(),
        };
        assert_eq!(meaning(None, "a", false, keep, now), Meaning::First);
        for (uuid, body, is_known, expected) in [
            (young, "a", true, Meaning::Again(young)),
            (young, "a", false, Meaning::Completes(young)),
            (young, "b", true, Meaning::Reused),
            (young, "b", false, Meaning::Reused),
            (old, "a", true, Meaning::Again(old)),
            (old, "b", true, Meaning::Reused),
            (old, "a", false, Meaning::First),
            (old, "b", false, Meaning::First),
        ] {
            let told = meaning(Some(&record(uuid)), body, is_known, keep, now);
            assert_eq!(told, expected, "{uuid} {body} {is_known}");
        }
    }
}
