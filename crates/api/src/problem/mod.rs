//! Everything that can go wrong, told as RFC 9457 wants it: of which [`Kind`] it is, and what this one client is told of
//! it. What is no fault of the client's comes from `trouble`.

mod kind;
mod trouble;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use job_core::status::Failure;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use self::trouble::Trouble;
use crate::measures;

pub(crate) use kind::Facts;
pub use kind::Kind;

/// So many characters of what a client sent are sent back at most.
const QUOTED: usize = 200;

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
