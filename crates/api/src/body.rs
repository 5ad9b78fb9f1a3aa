//! What a client may send: a JSON document of limited size, whose form is said in its header.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use futures_util::StreamExt;

use crate::dispatch::Context;
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
            Ok(Some(Err(error))) => {
                return Err(Kind::BadRequest.problem(format!("the body cannot be read: {error}")));
            }
            Ok(Some(Ok(piece))) if (body.len() + piece.len()) as u64 > limit => {
                return Err(too_large());
            }
            Ok(Some(Ok(piece))) => body.extend_from_slice(&piece),
        }
    }
}

/// JSON in UTF-8, not compressed.
fn check_form(context: &Context) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Kind::UnsupportedMediaType.problem(detail));
    if context
        .header(header::CONTENT_ENCODING)
        .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
    {
        return refused("compressed bodies are not taken");
    }
    let Some(media_type) = context.header(header::CONTENT_TYPE) else {
        return refused("the header Content-Type is missing: application/json is due");
    };
    let mut parts = media_type.split(';').map(str::trim);
    if !parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
    {
        return refused("Content-Type: application/json is due");
    }
    let charset = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    match charset {
        Some((_, charset)) if !charset.trim_matches('"').eq_ignore_ascii_case("utf-8") => {
            refused("JSON is sent in UTF-8")
        }
        _ => Ok(()),
    }
}

/// Makes the server close the connection behind this answer, unless the request's body was read to its end.
///
/// The server would otherwise wait without end for the rest of a chunked body that nobody wants: it does so as soon as
/// the payload is dropped, so the answer holds it until it is sent.
pub fn close_unless_read(answer: HttpResponse, payload: web::Payload) -> HttpResponse {
    answer.map_body(|_, body| {
        BoxBody::new(Holding {
            body,
            _payload: payload,
        })
    })
}

/// An answer's body that holds what is left of the request's.
struct Holding {
    body: BoxBody,
    _payload: web::Payload,
}

impl MessageBody for Holding {
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
