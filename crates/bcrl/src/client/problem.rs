//! The server's own word for what is wrong: problem documents (RFC 9457).

use std::fmt;

use serde::Deserialize;

use super::exit::Exit;
use super::show::{plain, plain_lines};

/// An answer that is an error: `application/problem+json` (RFC 9457), or made up from the bare status.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    /// `/problems/{name}`; empty where the server sent no problem document.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The kind of problem in words.
    pub(super) title: String,
    /// HTTP status.
    pub(super) status: u16,
    /// What is wrong with this request.
    pub(super) detail: String,
    /// What is wrong with which part of the body.
    pub(super) errors: Vec<Pointed>,
    /// The job or API that the request was about.
    #[serde(skip)]
    pub(super) about: String,
    /// Seconds after which it makes sense to try again.
    #[serde(skip)]
    pub(super) retry_after: Option<u64>,
}

/// What is wrong with one part of the body.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pointed {
    /// What is wrong.
    pub(super) detail: String,
    /// JSON pointer to the part (RFC 6901); empty for the whole body.
    pub(super) pointer: String,
}

impl Problem {
    /// The last part of its type, such as `queue-full`.
    pub(super) fn name(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }

    /// The exit code of a command that ends with this.
    pub(super) fn exit(&self) -> Exit {
        match (self.name(), self.status) {
            ("job-failed", _) => Exit::Failed,
            ("job-canceled", _) => Exit::Canceled,
            // Too slow and too often are cured by trying again, as the server's own trouble is.
            (_, 408 | 429) => Exit::Trouble,
            (_, 400..=499) => Exit::Usage,
            _ => Exit::Trouble,
        }
    }

    /// What to do about it, where something can be done.
    pub(super) fn hint(&self, bcrl: &str) -> Option<String> {
        let about = &self.about;
        match self.name() {
            "validation-failed" => Some(format!("what it takes: {bcrl} apis {about}")),
            "result-not-ready" => Some(format!("wait for it with: {bcrl} wait {about}")),
            "job-failed" => Some(format!("what it wrote to stderr: {bcrl} log {about}")),
            "not-found" => Some(format!("`{bcrl} ls` lists the jobs")),
            "job-expired" => Some("jobs are kept for some days only, 7 unless set otherwise".into()),
            "unauthorized" => Some("BCRL_KEY has to hold a key that the server knows".into()),
            "no-app-server" => Some(
                "no worker has offered an API yet: start one with `bcrl-worker`, or all with `scripts/up`".into(),
            ),
            _ => self
                .retry_after
                .map(|seconds| format!("try again in {seconds} s")),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = [&self.detail, &self.title]
            .into_iter()
            .find(|text| !text.is_empty());
        match said {
            Some(text) => f.write_str(&plain_lines(text))?,
            None => write!(f, "the server answered with status {}", self.status)?,
        }
        for Pointed { pointer, detail } in &self.errors {
            let pointer = if pointer.is_empty() {
                "the body"
            } else {
                pointer
            };
            write!(f, "\n  {}: {}", plain(pointer), plain(detail))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pointer_has_its_line() {
        let problem: Problem = serde_json::from_str(
            r#"{"type":"/problems/validation-failed","status":422,"detail":"does not fit",
                "errors":[{"pointer":"/num1","detail":"is no number"},{"detail":"too\nlarge"}]}"#,
        )
        .unwrap();
        assert_eq!(
            problem.to_string(),
            "does not fit\n  /num1: is no number\n  the body: too large"
        );
    }

    #[test]
    fn an_answer_without_a_document_is_told_by_its_status() {
        assert_eq!(
            Problem {
                status: 502,
                ..Problem::default()
            }
            .to_string(),
            "the server answered with status 502"
        );
    }
}
