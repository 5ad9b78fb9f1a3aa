//! What may happen to a job: its status, what belongs to each status, and why a job fails.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::date::Date;
use crate::ids::Token;

/// The word for where a job stands; in files, HTTP and on pages the same.
///
/// `pending` → `processing` → `done`, `failed` or `canceled`; the last three are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits for a worker.
    Pending,
    /// A worker has claimed it.
    Processing,
    /// Its result is there.
    Done,
    /// It ended without a result.
    Failed,
    /// A client asked for its end before it had one.
    Canceled,
}

impl Status {
    /// All of them, in the order of a job's life.
    pub const ALL: [Status; 5] = [
        Status::Pending,
        Status::Processing,
        Status::Done,
        Status::Failed,
        Status::Canceled,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Processing => "processing",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Canceled => "canceled",
        }
    }

    /// Whether nothing can happen to the job any more.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Done | Status::Failed | Status::Canceled)
    }

    /// Whether a job of this status may become one of `next`: forward only, but a run that was lost or given back
    /// makes its job `pending` again.
    pub fn may_become(self, next: Status) -> bool {
        match self {
            Status::Pending | Status::Processing => true,
            // Writing the same final status again is no change.
            Status::Done | Status::Failed | Status::Canceled => self == next,
        }
    }
}

impl std::str::FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Status::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownStatus)
    }
}

/// A text that names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown status: one of pending, processing, done, failed and canceled is due")]
pub struct UnknownStatus;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A status with what belongs to it in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It waits for a worker.
    Pending,
    /// A worker has claimed it.
    Processing {
        /// The token of the run; absent where a third party claimed the job by hand.
        token: Option<Token>,
    },
    /// Its result is there.
    Done {
        /// When it ended; absent where a third party wrote the entry.
        finished: Option<Date>,
    },
    /// It ended without a result.
    Failed {
        /// When it ended; absent where a third party wrote the entry.
        finished: Option<Date>,
        /// Why; absent where a third party wrote the entry.
        failure: Option<Failure>,
    },
    /// A client asked for its end.
    Canceled {
        /// When it ended; absent where a third party wrote the entry.
        finished: Option<Date>,
    },
}

impl State {
    /// The word for this state.
    pub fn status(&self) -> Status {
        match self {
            State::Pending => Status::Pending,
            State::Processing { .. } => Status::Processing,
            State::Done { .. } => Status::Done,
            State::Failed { .. } => Status::Failed,
            State::Canceled { .. } => Status::Canceled,
        }
    }

    /// When the job ended, where it did and it is known.
    pub fn finished(&self) -> Option<Date> {
        match self {
            State::Pending | State::Processing { .. } => None,
            State::Done { finished }
            | State::Failed { finished, .. }
            | State::Canceled { finished } => *finished,
        }
    }

    /// The token of the run, where one of ours is under way.
    pub fn token(&self) -> Option<Token> {
        match self {
            State::Processing { token } => *token,
            _ => None,
        }
    }

    /// The same, as far as it stands in the index: a long message of a failure is cut.
    pub fn in_brief(self) -> Self {
        match self {
            State::Failed {
                finished,
                failure: Some(failure),
            } => State::Failed {
                finished,
                failure: Some(failure.in_brief()),
            },
            state => state,
        }
    }
}

/// So many characters of a failure's message stand in the index.
const BRIEF: usize = 300;

/// Why a job failed, for people (`message`) and programs (`reason`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of trouble.
    pub reason: FailureReason,
    /// What happened, in a sentence; at most a few kilobytes.
    pub message: String,
    /// The script's exit code, where it exited by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

impl Failure {
    /// A failure for this reason.
    pub fn new(reason: FailureReason, message: impl Into<String>) -> Self {
        Failure {
            reason,
            message: message.into(),
            exit_code: None,
        }
    }

    /// The same with no more than the beginning of its message.
    fn in_brief(mut self) -> Self {
        if let Some((end, _)) = self.message.char_indices().nth(BRIEF) {
            self.message.truncate(end);
            self.message.push('…');
        }
        self
    }

    /// The same with the script's exit code.
    pub fn with_exit_code(self, code: i32) -> Self {
        Failure {
            exit_code: Some(code),
            ..self
        }
    }
}

/// The kinds of trouble that end a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The script exited with another code than 0.
    ExitCode,
    /// A signal ended the script.
    Signal,
    /// It ran longer than its API allows.
    Timeout,
    /// What it printed is not one JSON document.
    InvalidOutput,
    /// It printed more than a result may hold.
    OutputTooLarge,
    /// Its processes took more memory than its API allows.
    Memory,
    /// It exited with 0 and printed nothing.
    NoResult,
    /// It could not be started.
    SpawnError,
    /// Its workers died as often as its API allows.
    WorkerLost,
    /// Its request file is gone.
    RequestMissing,
    /// It was `done`, and its result is gone.
    ResultMissing,
    /// Its request file was changed, and is no request of this job any more.
    InvalidRequest,
    /// No worker has offered its API for seven days.
    ApiGone,
}

impl FailureReason {
    /// The word, as it stands in files and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureReason::ExitCode => "exit_code",
            FailureReason::Signal => "signal",
            FailureReason::Timeout => "timeout",
            FailureReason::InvalidOutput => "invalid_output",
            FailureReason::OutputTooLarge => "output_too_large",
            FailureReason::Memory => "memory",
            FailureReason::NoResult => "no_result",
            FailureReason::SpawnError => "spawn_error",
            FailureReason::WorkerLost => "worker_lost",
            FailureReason::RequestMissing => "request_missing",
            FailureReason::ResultMissing => "result_missing",
            FailureReason::InvalidRequest => "invalid_request",
            FailureReason::ApiGone => "api_gone",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_is_final() {
        for from in Status::ALL {
            for to in Status::ALL {
                assert_eq!(
                    from.may_become(to),
                    !from.is_final() || from == to,
                    "{from} to {to}"
                );
            }
        }
    }

    #[test]
    fn words_are_the_same_in_json_and_text() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.as_str().parse::<Status>(), Ok(status));
        }
        for reason in [
            FailureReason::ExitCode,
            FailureReason::OutputTooLarge,
            FailureReason::ApiGone,
        ] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
