//! The kinds of problems, and what is said of each.

use actix_web::http::StatusCode;

use super::Problem;

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
