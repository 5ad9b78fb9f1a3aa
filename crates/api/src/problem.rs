//! Everything that can go wrong, told as RFC 9457 wants it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use job_core::status::Failure;
use serde::Serialize;
use shared_folder::FolderError;
use shared_folder::submit::Refused;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::measures;

/// So many characters of what a client sent are sent back at most.
const QUOTED: usize = 200;
/// Seconds after which a worker may be there.
const UNTIL_A_WORKER_COMES: u32 = 15;
/// Seconds after which the shared folder may be free again.
const UNTIL_THE_FOLDER_IS_FREE: u32 = 5;
/// Seconds after which jobs may have left the queue.
const UNTIL_THE_QUEUE_HAS_ROOM: u32 = 60;

/// The kinds of problems. Each has a page at `/problems/{name}` that explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such thing.
    NotFound,
    /// A page of another site sent it.
    Forbidden,
    /// The URL is known, the method is not.
    MethodNotAllowed,
    /// Something about the request cannot be understood.
    BadRequest,
    /// The body is no JSON.
    InvalidJson,
    /// The body does not fit the API's schema.
    ValidationFailed,
    /// The header `Idempotency-Key` is none.
    IdempotencyKeyInvalid,
    /// The key was sent before, with another body.
    IdempotencyKeyReused,
    /// The thing is not as whoever asks for it says.
    PreconditionFailed,
    /// The client does not take what there is.
    NotAcceptable,
    /// The body is too large.
    PayloadTooLarge,
    /// The head is too large.
    HeadTooLarge,
    /// The body is in a form that is not taken.
    UnsupportedMediaType,
    /// The part that is asked for is not there.
    RangeNotSatisfiable,
    /// The request came too slowly.
    RequestTimeout,
    /// Too many wait, or ask, at once.
    RateLimited,
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
    pub const ALL: [Kind; 27] = [
        Kind::NotFound,
        Kind::Forbidden,
        Kind::MethodNotAllowed,
        Kind::BadRequest,
        Kind::InvalidJson,
        Kind::ValidationFailed,
        Kind::IdempotencyKeyInvalid,
        Kind::IdempotencyKeyReused,
        Kind::PreconditionFailed,
        Kind::NotAcceptable,
        Kind::PayloadTooLarge,
        Kind::HeadTooLarge,
        Kind::UnsupportedMediaType,
        Kind::RangeNotSatisfiable,
        Kind::RequestTimeout,
        Kind::RateLimited,
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

    /// What is the same each time.
    pub(crate) fn facts(self) -> Facts {
        match self {
            Kind::NotFound => Facts {
                name: "not-found",
                title: "Not found",
                status: StatusCode::NOT_FOUND,
                advice: "Check the URL or the id; GET /api/v1/apis lists the APIs.",
            },
            Kind::Forbidden => Facts {
                name: "forbidden",
                title: "Not from here",
                status: StatusCode::FORBIDDEN,
                advice: "Forms are sent from this site's own pages; programs use /api/v1.",
            },
            Kind::MethodNotAllowed => Facts {
                name: "method-not-allowed",
                title: "Method not allowed",
                status: StatusCode::METHOD_NOT_ALLOWED,
                advice: "The header Allow names the methods of this URL.",
            },
            Kind::BadRequest => Facts {
                name: "bad-request",
                title: "Bad request",
                status: StatusCode::BAD_REQUEST,
                advice: "The detail says which part of the request to change.",
            },
            Kind::InvalidJson => Facts {
                name: "invalid-json",
                title: "The body is no JSON",
                status: StatusCode::BAD_REQUEST,
                advice: "Send one JSON document in UTF-8: no byte order mark, no NaN, no name twice in an object, at most 32 levels deep.",
            },
            Kind::ValidationFailed => Facts {
                name: "validation-failed",
                title: "The body does not fit the API",
                status: StatusCode::UNPROCESSABLE_ENTITY,
                advice: "Each of the errors has a JSON pointer to the place; GET /api/v1/apis shows the schema and an example.",
            },
            Kind::IdempotencyKeyInvalid => Facts {
                name: "idempotency-key-invalid",
                title: "The Idempotency-Key is none",
                status: StatusCode::BAD_REQUEST,
                advice: "Send one key of 1 to 255 characters, best a random UUID in double quotes, and the same one only with the same submission.",
            },
            Kind::IdempotencyKeyReused => Facts {
                name: "idempotency-key-reused",
                title: "The Idempotency-Key belongs to another submission",
                status: StatusCode::UNPROCESSABLE_ENTITY,
                advice: "Send a new key with a new submission; a known one only with the very same body and webhook.",
            },
            Kind::PreconditionFailed => Facts {
                name: "precondition-failed",
                title: "It is not as the request says",
                status: StatusCode::PRECONDITION_FAILED,
                advice: "Leave out If-Match and If-Unmodified-Since, or send what the server said last.",
            },
            Kind::NotAcceptable => Facts {
                name: "not-acceptable",
                title: "Nothing that the client takes",
                status: StatusCode::NOT_ACCEPTABLE,
                advice: "Leave the header Accept out, or name the media type of the detail in it.",
            },
            Kind::PayloadTooLarge => Facts {
                name: "payload-too-large",
                title: "The body is too large",
                status: StatusCode::PAYLOAD_TOO_LARGE,
                advice: "Send less.",
            },
            Kind::HeadTooLarge => Facts {
                name: "head-too-large",
                title: "The head is too large",
                status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                advice: "Send a shorter URL, and fewer or shorter headers.",
            },
            Kind::UnsupportedMediaType => Facts {
                name: "unsupported-media-type",
                title: "Unsupported media type",
                status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
                advice: "Send Content-Type: application/json, in UTF-8 and not compressed.",
            },
            Kind::RangeNotSatisfiable => Facts {
                name: "range-not-satisfiable",
                title: "The part is not there",
                status: StatusCode::RANGE_NOT_SATISFIABLE,
                advice: "The header Content-Range says how many bytes there are; ask for a part of these, or leave Range out.",
            },
            Kind::RequestTimeout => Facts {
                name: "request-timeout",
                title: "The request came too slowly",
                status: StatusCode::REQUEST_TIMEOUT,
                advice: "Send it again over a better line.",
            },
            Kind::RateLimited => Facts {
                name: "rate-limited",
                title: "Too many at once",
                status: StatusCode::TOO_MANY_REQUESTS,
                advice: "Try again after the seconds of Retry-After, with fewer requests at once.",
            },
            Kind::ResultNotReady => Facts {
                name: "result-not-ready",
                title: "The job has not ended",
                status: StatusCode::CONFLICT,
                advice: "Ask again after the seconds of the header Retry-After.",
            },
            Kind::JobFailed => Facts {
                name: "job-failed",
                title: "The job has failed",
                status: StatusCode::CONFLICT,
                advice: "The member failure says why; the job's log may say more.",
            },
            Kind::JobCanceled => Facts {
                name: "job-canceled",
                title: "The job was canceled",
                status: StatusCode::CONFLICT,
                advice: "Submit it again if it is wanted after all.",
            },
            Kind::JobExpired => Facts {
                name: "job-expired",
                title: "The job is no longer kept",
                status: StatusCode::GONE,
                advice: "Finished jobs are kept for a set time; submit it again.",
            },
            Kind::JobFinal => Facts {
                name: "job-final",
                title: "The job has ended",
                status: StatusCode::CONFLICT,
                advice: "A job that has ended cannot be canceled; its status says how it ended.",
            },
            Kind::ResultCorrupt => Facts {
                name: "result-corrupt",
                title: "The result is damaged",
                status: StatusCode::BAD_GATEWAY,
                advice: "The result was changed or lost on the disk after the job had ended; submit the job again and tell an operator.",
            },
            Kind::NoAppServer => Facts {
                name: "no-app-server",
                title: "No worker is there",
                status: StatusCode::SERVICE_UNAVAILABLE,
                advice: "An operator must start a worker on the APP server.",
            },
            Kind::Busy => Facts {
                name: "busy",
                title: "The shared folder is busy",
                status: StatusCode::SERVICE_UNAVAILABLE,
                advice: "Nothing was done; try again after the seconds of the header Retry-After.",
            },
            Kind::QueueFull => Facts {
                name: "queue-full",
                title: "The queue is full",
                status: StatusCode::SERVICE_UNAVAILABLE,
                advice: "Nothing was done; try again later, when jobs have ended.",
            },
            Kind::InsufficientStorage => Facts {
                name: "insufficient-storage",
                title: "The disk is nearly full",
                status: StatusCode::INSUFFICIENT_STORAGE,
                advice: "Nothing was done; an operator must make room on the shared folder's disk.",
            },
            Kind::Internal => Facts {
                name: "internal",
                title: "Something went wrong",
                status: StatusCode::INTERNAL_SERVER_ERROR,
                advice: "Tell an operator the instance of this problem; the server's log has it too.",
            },
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
            trouble: None,
        }
    }
}

/// What is said of a kind of problem each time.
pub(crate) struct Facts {
    /// The end of its type's URL. Programs know it: it never changes.
    pub(crate) name: &'static str,
    /// The same for people.
    pub(crate) title: &'static str,
    /// Its status.
    pub(crate) status: StatusCode,
    /// What whoever meets it can do.
    pub(crate) advice: &'static str,
}

/// One problem, as it is told to one client.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    failure: Option<Box<Failure>>,
    headers: Vec<(HeaderName, String)>,
    trouble: Option<Box<Trouble>>,
}

/// What operators are told of a problem that is none of the client's.
#[derive(Debug)]
struct Trouble {
    what: &'static str,
    error: String,
    /// Whether a person must act.
    needs_a_person: NeedsAPerson,
}

#[derive(Debug)]
enum NeedsAPerson {
    Yes,
    No,
}

impl Trouble {
    fn tell(&self, request: Uuid) {
        let Trouble { what, error, .. } = self;
        match self.needs_a_person {
            NeedsAPerson::Yes => tracing::error!(request.id = %request, error, "{what}"),
            NeedsAPerson::No => tracing::warn!(request.id = %request, error, "{what}"),
        }
    }
}

/// What is wrong at one place of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// What is wrong; cut, since it may quote the client.
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
    text.chars().take(QUOTED).collect()
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
    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// What is wrong, for whoever sent the request; what went wrong inside is the log's.
    pub(crate) fn detail(&self) -> &str {
        match self.kind {
            Kind::Internal => "the server's log says what, by this instance",
            _ => &self.detail,
        }
    }

    /// The places that are wrong.
    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// Its headers.
    pub(crate) fn headers(&self) -> &[(HeaderName, String)] {
        &self.headers
    }

    /// Whether what is left of the request is not worth reading.
    pub(crate) fn ends_connection(&self) -> bool {
        matches!(
            self.kind,
            Kind::PayloadTooLarge | Kind::HeadTooLarge | Kind::RequestTimeout
        )
    }

    /// Counts it, and logs what an operator must know of it.
    pub(crate) fn log(&self, request: Uuid) {
        measures::problem(self.kind.facts().name);
        if let Some(trouble) = &self.trouble {
            trouble.tell(request);
        }
        if self.kind == Kind::Internal {
            tracing::error!(request.id = %request, detail = self.detail, "a request could not be answered");
        }
    }

    /// That nobody is there who could run anything.
    pub(crate) fn no_worker(detail: &str) -> Self {
        Kind::NoAppServer
            .problem(detail)
            .retry_after(UNTIL_A_WORKER_COMES)
    }

    /// The same with the places that are wrong.
    pub fn with_errors(self, errors: Vec<FieldError>) -> Self {
        Problem { errors, ..self }
    }

    /// The same with the reason for which the job failed.
    pub fn with_failure(self, failure: Option<Failure>) -> Self {
        let failure = failure.map(Box::new);
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

    /// The same, of which operators are told once it is answered.
    fn because_of(self, what: &'static str, error: &FolderError, person: NeedsAPerson) -> Self {
        let trouble = Trouble {
            what,
            error: error.to_string(),
            needs_a_person: person,
        };
        Problem {
            trouble: Some(Box::new(trouble)),
            ..self
        }
    }

    /// The answer to the request with this id.
    pub fn answer(&self, request: Uuid) -> HttpResponse {
        let Facts {
            name,
            title,
            status,
            ..
        } = self.kind.facts();
        self.log(request);
        let body = Body {
            r#type: format!("/problems/{name}"),
            title,
            status: status.as_u16(),
            detail: self.detail(),
            instance: format!("urn:uuid:{request}"),
            errors: &self.errors,
            failure: self.failure.as_deref(),
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
        if self.ends_connection() {
            // What is left of the request is not read.
            answer.force_close();
        }
        answer.body(serde_json::to_string(&body).expect("texts and numbers always serialize"))
    }
}

impl From<&FolderError> for Problem {
    fn from(error: &FolderError) -> Self {
        if error.is_disk_full() {
            let what = "the disk of the shared folder is full";
            return Kind::InsufficientStorage
                .problem("the disk of the shared folder is nearly full")
                .because_of(what, error, NeedsAPerson::Yes);
        }
        match error {
            FolderError::Busy { waited, .. } => Kind::Busy
                .problem(format!("the shared folder was busy for {waited:?}"))
                .retry_after(UNTIL_THE_FOLDER_IS_FREE)
                .because_of("the shared folder is busy", error, NeedsAPerson::No),
            FolderError::QueueFull { limit } => Kind::QueueFull
                .problem(format!("the queue holds {limit} jobs"))
                .retry_after(UNTIL_THE_QUEUE_HAS_ROOM)
                .because_of("a job was refused", error, NeedsAPerson::No),
            FolderError::Unreadable { .. } => Kind::Busy
                .problem("the queue cannot be read at this moment")
                .retry_after(UNTIL_THE_FOLDER_IS_FREE)
                .because_of("the index cannot be read", error, NeedsAPerson::Yes),
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
        match refused {
            Refused::Folder(error) => (&*error).into(),
            Refused::KeyReused => Kind::IdempotencyKeyReused.problem(
                "a submission to this API was sent with this key before, and another body or webhook",
            ),
        }
    }
}

impl From<actix_web::error::BlockingError> for Problem {
    fn from(error: actix_web::error::BlockingError) -> Self {
        Kind::Internal.problem(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;

    #[test]
    fn trouble_with_the_folder_is_told_by_its_kind_and_without_its_paths() {
        let io = |kind: io::ErrorKind| FolderError::Io {
            action: "write",
            path: "/srv/secret".into(),
            source: kind.into(),
        };
        let full = FolderError::DiskFull {
            path: "/srv/secret".into(),
            free: 1,
            due: 2,
        };
        let busy = FolderError::Busy {
            waited: Duration::from_secs(5),
            holder: None,
        };
        let unreadable = FolderError::Unreadable {
            path: "/srv/secret".into(),
            reason: "half".into(),
        };
        for (error, name, pause) in [
            (full, "insufficient-storage", None),
            (io(io::ErrorKind::StorageFull), "insufficient-storage", None),
            (
                io(io::ErrorKind::QuotaExceeded),
                "insufficient-storage",
                None,
            ),
            (io(io::ErrorKind::PermissionDenied), "internal", None),
            (busy, "busy", Some("5")),
            (unreadable, "busy", Some("5")),
            (
                FolderError::QueueFull { limit: 7 },
                "queue-full",
                Some("60"),
            ),
        ] {
            let problem = Problem::from(&error);
            let answer = problem.answer(Uuid::nil());
            let Facts {
                name: told, status, ..
            } = problem.kind.facts();
            assert_eq!((told, answer.status()), (name, status), "{error}");
            let told = answer.headers().get(header::RETRY_AFTER);
            assert_eq!(told.and_then(|told| told.to_str().ok()), pause, "{error}");
            let body = actix_web::body::MessageBody::try_into_bytes(answer.into_body()).unwrap();
            let body = String::from_utf8_lossy(&body);
            assert!(!body.contains("secret"), "{body}");
        }
    }
}
