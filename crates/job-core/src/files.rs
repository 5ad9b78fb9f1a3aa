//! The small documents of the shared folder, field by field: request, receipt, progress, heartbeat.
//!
//! Readers ignore keys that they do not know, and nothing is ever `null`: absent means unknown.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::date::Date;
use crate::entry::Entry;
use crate::ids::{ApiName, JobId, Token, WorkerId};
use crate::status::{Failure, State, Status};

/// `request/{uuid}.json`: what a client asked for. A fact: written once, never changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// The job's id.
    pub uuid: JobId,
    /// The API that is to answer.
    pub api: ApiName,
    /// When it was accepted.
    pub request_date: Date,
    /// The request's body, as the client wrote it.
    pub params: Box<RawValue>,
    /// What the client told this submission from others by (`Idempotency-Key`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The URL that is told when the job has ended, where the client named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// W3C Trace Context of the submit, where the client sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl Request {
    /// The index entry that this request begins with.
    pub fn entry(&self) -> Entry {
        Entry::pending(self.uuid, self.api.clone(), self.request_date)
    }
}

/// `receipt/{uuid}.json`: how a job ended, and all about it. A fact: written once, never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The job's id.
    pub uuid: JobId,
    /// Its API.
    pub api: ApiName,
    /// How it ended; always a final status.
    pub status: Status,
    /// Why it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When it was submitted.
    pub request_date: Date,
    /// When its last run began; absent where none of ours did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_date: Option<Date>,
    /// When it ended.
    pub finished_date: Date,
    /// The number of the last run; absent where none of ours began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// All runs, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// The worker of the last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerId>,
    /// How long the last run took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_ms: Option<u64>,
    /// The most memory that the last run's processes held together, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<u64>,
    /// The script's exit code, where it exited by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What held the last run's script apart from its host; absent where none of ours was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containment: Option<Containment>,
    /// SHA-256 of what went in and came out.
    #[serde(default, skip_serializing_if = "Digests::is_empty")]
    pub sha256: Digests,
}

impl Receipt {
    /// The receipt of a job that ended with `state` and was never run by us as far as is known.
    pub fn without_run(entry: &Entry, state: &State, now: Date) -> Self {
        Receipt {
            uuid: entry.uuid,
            api: entry.api.clone(),
            status: state.status(),
            failure: match state {
                State::Failed { failure, .. } => failure.clone(),
                _ => None,
            },
            request_date: entry.request_date,
            started_date: None,
            finished_date: state.finished().unwrap_or(now),
            attempt: None,
            attempts: Vec::new(),
            worker: None,
            run_ms: None,
            max_memory: None,
            exit_code: None,
            containment: None,
            sha256: Digests::default(),
        }
    }

    /// The state that this receipt stands for; nothing where it carries a status that is not final, which no writer
    /// of ours makes.
    pub fn state(&self) -> Option<State> {
        let finished = Some(self.finished_date);
        match self.status {
            Status::Done => Some(State::Done { finished }),
            Status::Failed => Some(State::Failed {
                finished,
                failure: self.failure.clone(),
            }),
            Status::Canceled => Some(State::Canceled { finished }),
            Status::Pending | Status::Processing => None,
        }
    }

    /// The index entry of this job, for an index that lost it.
    pub fn entry(&self) -> Option<Entry> {
        Some(
            Entry::pending(self.uuid, self.api.clone(), self.request_date)
                .with_state(self.state()?),
        )
    }
}

/// What held a run's script apart from its host and from other runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Containment {
    /// The user that it ran as, by name or as `uid:gid`; absent where that was the worker's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether it had a PID namespace of its own.
    #[serde(default)]
    pub pid_namespace: bool,
    /// The version of Landlock's interface that bounded where it wrote; absent where nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landlock_abi: Option<u32>,
}

/// SHA-256 digests as 64 hexadecimal digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// Of the request file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Of the app's folder, as its catalog entry states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
}

impl Digests {
    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        *self == Digests::default()
    }
}

/// One run of a job, as its lease and its receipt remember it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number; 1 is the first.
    pub attempt: u32,
    /// Who ran it.
    pub worker: WorkerId,
    /// When it was claimed.
    pub started_date: Date,
    /// When it ended, or was found to have ended.
    pub ended_date: Date,
    /// How: a final status, a failure's reason, `worker_lost` or `given_back`.
    pub outcome: String,
}

/// `progress/{uuid}.json`: the latest word from a running script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// From 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// At most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The run that it belongs to.
    pub attempt: u32,
    /// When the worker read it.
    pub updated_date: Date,
}

impl Progress {
    /// Longest message, in characters.
    pub const MESSAGE_LIMIT: usize = 200;

    /// Reads one line that a script appended to its progress file, such as `{"percent":40,"message":"…"}`. Numbers
    /// outside 0 to 100 are moved to the nearer end and long messages are cut; a line that is something else says
    /// nothing.
    pub fn parse(line: &str, attempt: u32, now: Date) -> Option<Self> {
        #[derive(Deserialize)]
        struct Line {
            percent: Option<f64>,
            message: Option<String>,
        }
        let line: Line = serde_json::from_str(line).ok()?;
        if line.percent.is_none() && line.message.is_none() {
            return None;
        }
        Some(Progress {
            percent: line.percent.map(|percent| percent.clamp(0.0, 100.0)),
            message: line
                .message
                .map(|message| message.chars().take(Self::MESSAGE_LIMIT).collect()),
            attempt,
            updated_date: now,
        })
    }
}

/// `workers/{worker}.json`: a worker's sign of life, replaced with every beat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The worker, as of this start.
    pub worker: WorkerId,
    /// The host's name.
    pub host: String,
    /// The kernel's boot id: two workers that share it can see each other's locks for certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// Its process id on that host.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// Grows by one with every beat.
    pub counter: u64,
    /// How many jobs it runs at once.
    pub slots: u32,
    /// The jobs that it runs now.
    #[serde(default)]
    pub jobs: Vec<RunningJob>,
    /// The APIs that it offers.
    #[serde(default)]
    pub apis: Vec<ApiName>,
    /// What its operator should look at.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// A job that a worker says it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningJob {
    /// The job.
    pub uuid: JobId,
    /// The token of its run.
    pub token: Token,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_lines_are_taken_with_a_pinch_of_salt() {
        let now = "2023-10-01T00:00:00Z".parse().unwrap();
        let parse = |line| Progress::parse(line, 1, now);
        assert_eq!(
            parse(r#"{"percent":40,"message":"half"}"#).unwrap().percent,
            Some(40.0)
        );
        assert_eq!(parse(r#"{"percent":-3}"#).unwrap().percent, Some(0.0));
        assert_eq!(parse(r#"{"percent":1e300}"#).unwrap().percent, Some(100.0));
        let long = format!(r#"{{"message":"{}"}}"#, "電".repeat(500));
        assert_eq!(parse(&long).unwrap().message.unwrap().chars().count(), 200);
        for nothing in [
            "",
            "{}",
            "[]",
            "40",
            r#"{"percent":"40"}"#,
            r#"{"percent":NaN}"#,
            "{\"percent\":",
        ] {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_request_keeps_its_params_to_the_letter() {
        let text = r#"{"uuid":"f47ac10b-58cc-4372-a567-0e02b2c3d479","api":"soc","request_date":"2023-10-01T00:00:00.000+09:00","params":{"n": 1.50, "big":123456789012345678901234567890}}"#;
        let request: Request = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
    }
}
