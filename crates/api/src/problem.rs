//! Everything that can go wrong, told as RFC 9457 wants it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use job_core::status::Failure;
use serde::Serialize;
use shared_folder::FolderError;
use shared_folder::submit::Refused;
use uuid::Uuid;

/// The kinds of problems. Each has a page at `/problems/{name}` that explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such thing.
    NotFound,
    /// The URL is known, the method is not.
    MethodNotAllowed,
    /// Something about the request cannot be understood.
    BadRequest,
    /// The body is no JSON.
    InvalidJson,
    /// The body does not fit the API's schema.
    ValidationFailed,
    /// The body is too large.
    PayloadTooLarge,
    /// The body is in a form that is not taken.
    UnsupportedMediaType,
    /// The part that is asked for is not there.
    RangeNotSatisfiable,
    /// The body came too slowly.
    RequestTimeout,
    /// The job has not ended.
    ResultNotReady,
    /// The job has failed, and has no result.
    JobFailed,
    /// The job was canceled, and has no result.
    JobCanceled,
    /// The job is older than jobs are kept.
    JobExpired,
    /// The job has ended, and cannot be canceled any more.
    JobFinal,
    /// The job's result was damaged on the disk.
    ResultCorrupt,
    /// No worker is there that could run anything.
    NoAppServer,
    /// The shared folder was busy for too long.
    Busy,
    /// The queue holds as many jobs as it may.
    QueueFull,
    /// The disk of the shared folder is nearly full.
    InsufficientStorage,
    /// Something went wrong that should not.
    Internal,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 20] = [
        Kind::NotFound,
        Kind::MethodNotAllowed,
        Kind::BadRequest,
        Kind::InvalidJson,
        Kind::ValidationFailed,
        Kind::PayloadTooLarge,
        Kind::UnsupportedMediaType,
        Kind::RangeNotSatisfiable,
        Kind::RequestTimeout,
        Kind::ResultNotReady,
        Kind::JobFailed,
        Kind::JobCanceled,
        Kind::JobExpired,
        Kind::JobFinal,
        Kind::ResultCorrupt,
        Kind::NoAppServer,
        Kind::Busy,
        Kind::QueueFull,
        Kind::InsufficientStorage,
        Kind::Internal,
    ];

    /// Its name, its title, its status, and what whoever meets it can do.
    pub(crate) fn facts(self) -> (&'static str, &'static str, StatusCode, &'static str) {
        match self {
            Kind::NotFound => (
                "not-found",
                "Not found",
                StatusCode::NOT_FOUND,
                "Check the URL or the id; GET /api/v1/apis lists the APIs.",
            ),
            Kind::MethodNotAllowed => (
                "method-not-allowed",
                "Method not allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "The header Allow names the methods of this URL.",
            ),
            Kind::BadRequest => (
                "bad-request",
                "Bad request",
                StatusCode::BAD_REQUEST,
                "The detail says which part of the request to change.",
            ),
            Kind::InvalidJson => (
                "invalid-json",
                "The body is no JSON",
                StatusCode::BAD_REQUEST,
                "Send one JSON document in UTF-8: no byte order mark, no NaN, no name twice in an object, at most 32 levels deep.",
            ),
            Kind::ValidationFailed => (
                "validation-failed",
                "The body does not fit the API",
                StatusCode::UNPROCESSABLE_ENTITY,
                "Each of the errors has a JSON pointer to the place; GET /api/v1/apis shows the schema and an example.",
            ),
            Kind::PayloadTooLarge => (
                "payload-too-large",
                "The body is too large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "Send less.",
            ),
            Kind::UnsupportedMediaType => (
                "unsupported-media-type",
                "Unsupported media type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Send Content-Type: application/json, in UTF-8 and not compressed.",
            ),
            Kind::RangeNotSatisfiable => (
                "range-not-satisfiable",
                "The part is not there",
                StatusCode::RANGE_NOT_SATISFIABLE,
                "The header Content-Range says how many bytes there are; ask for a part of these, or leave Range out.",
            ),
            Kind::RequestTimeout => (
                "request-timeout",
                "The body came too slowly",
                StatusCode::REQUEST_TIMEOUT,
                "Send it again over a better line.",
            ),
            Kind::ResultNotReady => (
                "result-not-ready",
                "The job has not ended",
                StatusCode::CONFLICT,
                "Ask again after the seconds of the header Retry-After.",
            ),
            Kind::JobFailed => (
                "job-failed",
                "The job has failed",
                StatusCode::CONFLICT,
                "The member failure says why; the job's log may say more.",
            ),
            Kind::JobCanceled => (
                "job-canceled",
                "The job was canceled",
                StatusCode::CONFLICT,
                "Submit it again if it is wanted after all.",
            ),
            Kind::JobExpired => (
                "job-expired",
                "The job is no longer kept",
                StatusCode::GONE,
                "Finished jobs are kept for a set time; submit it again.",
            ),
            Kind::JobFinal => (
                "job-final",
                "The job has ended",
                StatusCode::CONFLICT,
                "A job that has ended cannot be canceled; its status says how it ended.",
            ),
            Kind::ResultCorrupt => (
                "result-corrupt",
                "The result is damaged",
                StatusCode::BAD_GATEWAY,
                "The result was changed or lost on the disk after the job had ended; submit the job again and tell an operator.",
            ),
            Kind::NoAppServer => (
                "no-app-server",
                "No worker is there",
                StatusCode::SERVICE_UNAVAILABLE,
                "An operator must start a worker on the APP server.",
            ),
            Kind::Busy => (
                "busy",
                "The shared folder is busy",
                StatusCode::SERVICE_UNAVAILABLE,
                "Nothing was done; try again after the seconds of the header Retry-After.",
            ),
            Kind::QueueFull => (
                "queue-full",
                "The queue is full",
                StatusCode::SERVICE_UNAVAILABLE,
                "Nothing was done; try again later, when jobs have ended.",
            ),
            Kind::InsufficientStorage => (
                "insufficient-storage",
                "The disk is nearly full",
                StatusCode::INSUFFICIENT_STORAGE,
                "Nothing was done; an operator must make room on the shared folder's disk.",
            ),
            Kind::Internal => (
                "internal",
                "Something went wrong",
                StatusCode::INTERNAL_SERVER_ERROR,
                "Tell an operator the instance of this problem; the server's log has it too.",
            ),
        }
    }

    /// A problem of this kind.
    pub fn problem(self, detail: impl Into<String>) -> Problem {
        Problem {
            kind: self,
            detail: detail.into(),
            errors: Vec::new(),
            failure: None,
            headers: Vec::new(),
        }
    }
}

/// One problem, as it is told to one client.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    failure: Option<Failure>,
    headers: Vec<(HeaderName, String)>,
}

/// What is wrong at one place of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// What is wrong; at most 200 characters.
    pub detail: String,
    /// Where, as a JSON Pointer (RFC 6901); cut as well, since its names may be the client's.
    pub pointer: String,
}

impl FieldError {
    /// An error at one place.
    pub fn new(detail: &str, pointer: &str) -> Self {
        FieldError {
            detail: cut(detail),
            pointer: cut(pointer),
        }
    }
}

/// The beginning of a text that quotes what the client sent: nobody is sent much of it back.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
}

impl Problem {
    /// The same with the places that are wrong.
    pub fn with_errors(self, errors: Vec<FieldError>) -> Self {
        Problem { errors, ..self }
    }

    /// The same with the reason for which the job failed.
    pub fn with_failure(self, failure: Option<Failure>) -> Self {
        Problem { failure, ..self }
    }

    /// The same with a header.
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The same with the seconds after which to try again.
    pub fn retry_after(self, seconds: u32) -> Self {
        self.with_header(header::RETRY_AFTER, &seconds.to_string())
    }

    /// The answer to the request with this id.
    pub fn answer(&self, request: Uuid) -> HttpResponse {
        let (name, title, status, _) = self.kind.facts();
        if self.kind == Kind::Internal {
            tracing::error!(request.id = %request, detail = self.detail, "a request could not be answered");
        }
        // What went wrong inside is the log's, not the client's.
        let detail = if self.kind == Kind::Internal {
            "the server's log says what, by this instance"
        } else {
            &self.detail
        };
        let body = Body {
            r#type: format!("/problems/{name}"),
            title,
            status: status.as_u16(),
            detail,
            instance: format!("urn:uuid:{request}"),
            errors: &self.errors,
            failure: self.failure.as_ref(),
        };
        let mut answer = HttpResponse::build(status);
        answer
            .content_type("application/problem+json")
            .insert_header((header::CACHE_CONTROL, "no-store"));
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                answer.insert_header((name.clone(), value));
            }
        }
        if matches!(self.kind, Kind::PayloadTooLarge | Kind::RequestTimeout) {
            // What is left of the body is not read.
            answer.force_close();
        }
        answer.body(serde_json::to_string(&body).expect("texts and numbers always serialize"))
    }
}

impl From<&FolderError> for Problem {
    fn from(error: &FolderError) -> Self {
        if error.is_disk_full() {
            tracing::error!(error = %error, "the disk of the shared folder is full");
            return Kind::InsufficientStorage
                .problem("the disk of the shared folder is nearly full");
        }
        match error {
            FolderError::Busy { waited, .. } => {
                tracing::warn!(error = %error, "the shared folder is busy");
                Kind::Busy
                    .problem(format!("the shared folder was busy for {waited:?}"))
                    .retry_after(5)
            }
            FolderError::QueueFull { limit } => {
                tracing::warn!(error = %error, "a job was refused");
                Kind::QueueFull
                    .problem(format!("the queue holds {limit} jobs"))
                    .retry_after(60)
            }
            FolderError::Unreadable { .. } => {
                tracing::error!(error = %error, "the index cannot be read");
                Kind::Busy
                    .problem("the queue cannot be read at this moment")
                    .retry_after(5)
            }
            other => {
                let source = std::error::Error::source(other)
                    .map(|source| format!(": {source}"))
                    .unwrap_or_default();
                Kind::Internal.problem(format!("{other}{source}"))
            }
        }
    }
}

impl From<FolderError> for Problem {
    fn from(error: FolderError) -> Self {
        (&error).into()
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        (&*refused.0).into()
    }
}

impl From<actix_web::error::BlockingError> for Problem {
    fn from(error: actix_web::error::BlockingError) -> Self {
        Kind::Internal.problem(error.to_string())
    }
}
