//! What can go wrong, in words for a person, with its exit code and a hint where one helps.

use std::io;
use std::path::PathBuf;

use job_core::ids::JobId;
use job_core::status::Status;

use super::exit::Exit;
use super::job::Job;
use super::problem::Problem;
use super::show::plain_lines;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The call makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A local file cannot be read or written.
    #[error("{path}: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Stdout cannot be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    /// Nobody could be reached at the address.
    #[error("no connection to {url}: {cause}")]
    Unreachable {
        /// The server's address.
        url: String,
        /// What the system says.
        cause: String,
    },
    /// The server went away in the middle.
    #[error("the connection to {url} was lost: {cause}")]
    Lost {
        /// The server's address.
        url: String,
        /// What the system says.
        cause: String,
    },
    /// A job was sent, and what came back does not say whether the server has taken it.
    #[error("{0}; the job may have been taken")]
    Undecided(Box<Error>),
    /// Somebody else lives at the address.
    #[error("{url} does not answer as bcrlapi does: {what}")]
    Foreign {
        /// The server's address.
        url: String,
        /// What came instead.
        what: String,
    },
    /// The server refused the request, or is in trouble.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The server offers no API of this name.
    #[error("there is no API {name}")]
    UnknownApi {
        /// The name that was asked for.
        name: String,
        /// Those that may have been meant; all of them where none is close.
        offered: Vec<String>,
    },
    /// The job that was waited for has no result.
    #[error("{} {}", .0.api, plain_lines(&.0.standing()))]
    NoResult(Box<Job>),
    /// The time allowed for waiting is over.
    #[error("gave up waiting for {id}{}", because(.cause))]
    GaveUp {
        /// The job, which goes on.
        id: JobId,
        /// The trouble that lasted too long; none where the job did.
        cause: Option<Box<Error>>,
    },
}

impl Error {
    /// The exit code of a command that ends with this.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Error::Usage(_) | Error::File { .. } | Error::Output(_) | Error::UnknownApi { .. } => {
                Exit::Usage
            }
            Error::Unreachable { .. }
            | Error::Lost { .. }
            | Error::Undecided(_)
            | Error::Foreign { .. }
            | Error::GaveUp { .. } => Exit::Trouble,
            Error::NoResult(job) => Exit::of_job(job.status),
            Error::Problem(problem) => problem.exit(),
        }
    }

    /// Whether it may pass by itself, so that whoever waits asks again.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Error::Problem(problem) => problem.exit() == Exit::Trouble,
            other => matches!(other, Error::Unreachable { .. } | Error::Lost { .. }),
        }
    }

    /// What to do about it, where something can be done. `bcrl` is how a command for the same server begins.
    pub(super) fn hint(&self, bcrl: &str) -> Option<String> {
        match self {
            Error::Unreachable { url, .. } if url.starts_with("http:") => Some(
                "is it running? start it with `scripts/up`, or set BCRL_URL or --url to where it is".into(),
            ),
            Error::Undecided(_) => Some(format!(
                "look with `{bcrl} ls` before submitting again"
            )),
            Error::Unreachable { .. } | Error::Foreign { .. } => {
                Some("is BCRL_URL or --url right?".into())
            }
            Error::UnknownApi { offered, .. } if offered.is_empty() => {
                Some("no worker offers any API at the moment".into())
            }
            Error::UnknownApi { offered, .. } => {
                Some(format!("there is: {}; see `{bcrl} apis`", offered.join(", ")))
            }
            Error::NoResult(job) if job.status == Status::Failed => {
                Some(format!("what it wrote to stderr: {bcrl} log {}", job.uuid))
            }
            Error::GaveUp { id, .. } => Some(format!(
                "the job goes on; wait for it again with: {bcrl} wait {id}"
            )),
            Error::Problem(problem) => problem.hint(bcrl),
            _ => None,
        }
    }
}

impl Error {
    /// What a failed exchange with the server at `url` means.
    pub(super) fn of_connection(url: &str, error: &reqwest::Error) -> Error {
        let (url, cause) = (url.to_owned(), innermost(error));
        if error.is_connect() {
            Error::Unreachable { url, cause }
        } else {
            Error::Lost { url, cause }
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error::Problem(Box::new(problem))
    }
}

/// The cause at the bottom, which names the trouble; what is above it names our libraries.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

fn because(cause: &Option<Box<Error>>) -> String {
    cause
        .as_ref()
        .map_or_else(String::new, |cause| format!(": {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(name: &str, status: u16) -> Error {
        let kind = format!("/problems/{name}");
        Problem {
            kind,
            status,
            ..Problem::default()
        }
        .into()
    }

    #[test]
    fn what_the_server_refuses_is_a_usage_error_and_its_trouble_is_not() {
        for (name, status, exit) in [
            ("invalid-json", 400, Exit::Usage),
            ("unauthorized", 401, Exit::Usage),
            ("not-found", 404, Exit::Usage),
            ("result-not-ready", 409, Exit::Usage),
            ("job-failed", 409, Exit::Failed),
            ("job-canceled", 409, Exit::Canceled),
            ("job-expired", 410, Exit::Usage),
            ("payload-too-large", 413, Exit::Usage),
            ("unsupported-media-type", 415, Exit::Usage),
            ("validation-failed", 422, Exit::Usage),
            ("request-timeout", 408, Exit::Trouble),
            ("rate-limited", 429, Exit::Trouble),
            ("internal", 500, Exit::Trouble),
            ("queue-full", 503, Exit::Trouble),
            ("insufficient-storage", 507, Exit::Trouble),
        ] {
            let error = problem(name, status);
            assert_eq!(error.exit(), exit, "{name}");
            assert_eq!(error.may_pass(), exit == Exit::Trouble, "{name}");
        }
    }
}
