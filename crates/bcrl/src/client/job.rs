//! What the client reads of a job. The server's JSON is kept beside it, so that programs get all of it.

use std::fmt;

use job_core::date::Date;
use job_core::ids::JobId;
use job_core::status::Status;
use serde::Deserialize;

use super::show;

/// A job as the server tells it. What is absent is unknown or does not apply.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Job {
    /// Its id.
    pub(super) uuid: JobId,
    /// The API's name.
    pub(super) api: String,
    /// The API's name for people.
    pub(super) label: Option<String>,
    /// Where it stands.
    pub(super) status: Status,
    /// How far it is.
    pub(super) progress: Option<Progress>,
    /// Its place among the pending ones; 1 is the next.
    pub(super) queue_position: Option<u64>,
    /// The number of its latest run; 1 is the first. A pending job that has one waits to be run again.
    pub(super) attempt: Option<u32>,
    /// Who runs it.
    pub(super) worker: Option<String>,
    /// When it was submitted.
    pub(super) request_date: Option<Date>,
    /// When its latest run began.
    pub(super) started_date: Option<Date>,
    /// When it ended.
    pub(super) finished_date: Option<Date>,
    /// When its result was first fetched.
    pub(super) retrieved_date: Option<Date>,
    /// When it will be forgotten.
    pub(super) expires_date: Option<Date>,
    /// Why it failed.
    pub(super) failure: Option<Failure>,
    /// When it will probably start and finish.
    pub(super) estimate: Option<Estimate>,
    /// Whether its end was asked for.
    #[serde(default)]
    pub(super) cancel_requested: bool,
    /// What it hands out beside its result.
    #[serde(default)]
    pub(super) files: Vec<File>,
    /// The server's JSON of this job.
    #[serde(skip)]
    pub(super) json: String,
}

/// When a job will probably start and finish.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Estimate {
    /// When it starts; absent where it has.
    pub(super) start: Option<Spread>,
    /// When it finishes.
    pub(super) finish: Spread,
}

/// Between what dates something will probably come.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Spread {
    /// In half of all cases it comes by then.
    pub(super) p50: Date,
    /// In nine of ten cases it comes by then.
    pub(super) p90: Date,
}

/// How far a job is, in its script's own words.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Progress {
    /// 0 to 100.
    pub(super) percent: Option<f64>,
    /// What it does at the moment.
    pub(super) message: Option<String>,
}

/// Why a job failed.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Failure {
    /// One of the known kinds of trouble, or one that a newer server knows.
    pub(super) reason: String,
    /// What happened; may have several lines.
    #[serde(default)]
    pub(super) message: String,
}

/// A file that a job hands out.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct File {
    /// Its name.
    pub(super) name: String,
    /// Bytes.
    pub(super) size: u64,
}

impl Job {
    /// Reads the server's JSON.
    ///
    /// # Errors
    /// Where it is no job.
    pub(super) fn parse(json: String) -> Result<Job, serde_json::Error> {
        let job: Job = serde_json::from_str(&json)?;
        Ok(Job { json, ..job })
    }

    /// How long it took, from being submitted to its end.
    pub(super) fn took(&self) -> Option<chrono::TimeDelta> {
        Some(self.finished_date?.since(self.request_date?))
    }

    fn expected_end(&self) -> String {
        self.estimate.map_or(String::new(), |estimate| {
            format!(", to end about {}", show::local_time(estimate.finish.p50))
        })
    }

    /// Where it stands, in one line.
    pub(super) fn standing(&self) -> String {
        match self.status {
            Status::Pending => {
                let place = match self.queue_position {
                    Some(1) => ", next in the queue".to_owned(),
                    Some(place) => format!(", number {place} in the queue"),
                    None => String::new(),
                };
                let again = match self.attempt {
                    Some(run @ 1..) => format!(", to be run again (run {run} has ended)"),
                    _ => String::new(),
                };
                format!("pending{place}{again}{}", self.expected_end())
            }
            Status::Processing => match &self.progress {
                Some(progress) => format!("processing, {progress}"),
                None => format!("processing{}", self.expected_end()),
            },
            Status::Failed => match &self.failure {
                Some(failure) => format!("failed: {failure}"),
                None => "failed".to_owned(),
            },
            Status::Done | Status::Canceled => self.status.to_string(),
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.as_deref().unwrap_or_default();
        match self.percent {
            Some(percent) if message.is_empty() => write!(f, "{percent:.0} %"),
            Some(percent) => write!(f, "{percent:.0} %: {message}"),
            None => f.write_str(message),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "{}: {}", self.reason, self.message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(rest: &str) -> String {
        let json =
            format!(r#"{{"uuid":"0190a6f0-1c2d-7abc-8def-0123456789ab","api":"soc",{rest}}}"#);
        Job::parse(json).unwrap().standing()
    }

    #[test]
    fn a_job_tells_where_it_stands_in_one_line() {
        for (rest, expected) in [
            (r#""status":"pending""#, "pending"),
            (
                r#""status":"pending","queue_position":3"#,
                "pending, number 3 in the queue",
            ),
            (
                r#""status":"pending","queue_position":1"#,
                "pending, next in the queue",
            ),
            (
                r#""status":"pending","attempt":1"#,
                "pending, to be run again (run 1 has ended)",
            ),
            (
                r#""status":"pending","attempt":2,"queue_position":1"#,
                "pending, next in the queue, to be run again (run 2 has ended)",
            ),
            (r#""status":"pending","attempt":0"#, "pending"),
            (r#""status":"processing","attempt":2"#, "processing"),
            (
                r#""status":"processing","progress":{"percent":40.4,"message":"fitting"}"#,
                "processing, 40 %: fitting",
            ),
            (
                r#""status":"processing","progress":{"percent":40}"#,
                "processing, 40 %",
            ),
            (
                r#""status":"failed","failure":{"reason":"timeout","message":"over 10 s"}"#,
                "failed: timeout: over 10 s",
            ),
            (r#""status":"failed""#, "failed"),
            (r#""status":"done","unknown":1"#, "done"),
        ] {
            assert_eq!(standing(rest), expected);
        }
    }

    #[test]
    fn when_it_will_probably_end_is_told_where_that_is_known() {
        let finish = "2026-01-01T00:00:00Z".parse().unwrap();
        let estimate =
            r#""estimate":{"finish":{"p50":"2026-01-01T00:00:00Z","p90":"2026-01-01T00:01:00Z"}}"#;
        for status in ["pending", "processing"] {
            assert_eq!(
                standing(&format!(r#""status":"{status}",{estimate}"#)),
                format!("{status}, to end about {}", show::local_time(finish))
            );
        }
    }

    #[test]
    fn the_json_of_the_server_is_kept_as_it_came() {
        let json = r#"{"uuid":"0190a6f0-1c2d-7abc-8def-0123456789ab","api":"a","status":"done","more":1e2}"#;
        assert_eq!(Job::parse(json.to_owned()).unwrap().json, json);
    }
}
