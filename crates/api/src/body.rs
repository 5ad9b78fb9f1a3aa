//! What a client may send: a JSON document of limited size, whose form is said in its header.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, web};
use futures_util::StreamExt;

use crate::context::Context;
use crate::problem::{Kind, Problem};

/// Longest pause between two pieces of a body.
const PAUSE: Duration = Duration::from_secs(30);

/// Reads a JSON body of at most `limit` bytes; empty where none was sent.
///
/// # Errors
/// `unsupported-media-type`, `payload-too-large` (before it is read through), `request-timeout`, `bad-request`.
pub async fn read(
    context: &Context,
    payload: &mut web::Payload,
    limit: u64,
) -> Result<Vec<u8>, Problem> {
    let too_large =
        || Kind::PayloadTooLarge.problem(format!("a body may have at most {limit} bytes"));
    let length = context
        .header(header::CONTENT_LENGTH)
        .and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let has_body = length.is_some_and(|length| length > 0)
        || context.header(header::TRANSFER_ENCODING).is_some();
    if has_body {
        check_form(context)?;
    }
    let mut body = Vec::new();
    loop {
        match tokio::time::timeout(PAUSE, payload.next()).await {
            Err(_) => {
                return Err(
                    Kind::RequestTimeout.problem(format!("no byte of the body came for {PAUSE:?}"))
                );
            }
            Ok(None) => return Ok(body),
            // Which of the two the parser does not tell.
            Ok(Some(Err(_))) => {
                let detail = "the body breaks off, or its chunks are none";
                return Err(Kind::BadRequest.problem(detail));
            }
            Ok(Some(Ok(piece))) if (body.len() + piece.len()) as u64 > limit => {
                return Err(too_large());
            }
            Ok(Some(Ok(piece))) => body.extend_from_slice(&piece),
        }
    }
}

/// JSON in UTF-8, not compressed. A header that comes twice has to be right each time: nobody knows which one counts
/// for whoever passed the request on.
fn check_form(context: &Context) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Kind::UnsupportedMediaType.problem(detail));
    let headers = context.request.headers();
    let plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).all(plain) {
        return refused("compressed bodies are not taken");
    }
    if !headers.contains_key(header::CONTENT_TYPE) {
        return refused("the header Content-Type is missing: application/json is due");
    }
    for media_type in headers.get_all(header::CONTENT_TYPE) {
        let mut parts = media_type.to_str().unwrap_or_default().split(';');
        let essence = parts.next().unwrap_or_default();
        if !essence.trim().eq_ignore_ascii_case("application/json") {
            return refused("Content-Type: application/json is due");
        }
        let is_other_charset = |parameter: &str| {
            parameter.split_once('=').is_some_and(|(name, charset)| {
                name.trim().eq_ignore_ascii_case("charset")
                    && !charset
                        .trim()
                        .trim_matches('"')
                        .eq_ignore_ascii_case("utf-8")
            })
        };
        if parts.any(is_other_charset) {
            return refused("JSON is sent in UTF-8");
        }
    }
    Ok(())
}

/// An answer that leaves unread what is left of the request's body; the server closes the connection behind it. Where
/// the body was read to its end, nothing is left, and the connection goes on.
///
/// A payload that is dropped before the answer is sent tells the server to read the rest for nothing, without end where
/// it is a chunked one. One that is still held then tells it that the connection is of no more use: so the answer takes
/// it along.
pub fn leave_rest_unread(answer: HttpResponse, payload: web::Payload) -> HttpResponse {
    answer.map_body(|_, body| {
        BoxBody::new(WithRest {
            body,
            _rest: payload,
        })
    })
}

/// An answer's body, with what is left of the request's.
struct WithRest {
    body: BoxBody,
    _rest: web::Payload,
}

impl MessageBody for WithRest {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
    ) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(task)
    }
}
