//! What a client may send: a JSON document of limited size, whose form is said in its header.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use crate::context::Context;
use crate::problem::{Kind, Problem};

/// So many bytes of a body are due in each second, seen over the whole of [`Patience::body`].
///
/// [`Patience::body`]: crate::config::Patience::body
const SLOWEST: u64 = 1000;
/// A request's line and headers, in bytes.
const LARGEST_HEAD: usize = 32 << 10;

/// Refuses what is too large before anybody looks at what it is.
///
/// # Errors
/// `head-too-large`, `payload-too-large`.
pub fn check_size(context: &Context) -> Result<(), Problem> {
    if head_size(&context.request) > LARGEST_HEAD {
        let detail = format!("URL and headers may have at most {LARGEST_HEAD} bytes");
        return Err(Kind::HeadTooLarge.problem(detail));
    }
    let limit = context.state.config.options.request_limit;
    if length(context).is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    Ok(())
}

/// The bytes of a request's line and headers, as they are usually written.
fn head_size(request: &HttpRequest) -> usize {
    let uri = request
        .uri()
        .path_and_query()
        .map_or(0, |uri| uri.as_str().len());
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    request.method().as_str().len() + uri + headers.sum::<usize>()
}

fn too_large(limit: u64) -> Problem {
    Kind::PayloadTooLarge.problem(format!("a body may have at most {limit} bytes"))
}

/// The length that the request says its body has.
fn length(context: &Context) -> Option<u64> {
    context.header(header::CONTENT_LENGTH)?.parse().ok()
}

/// Whether the request asks for another protocol. It is answered in this one (RFC 9110 section 7.8); but the parser
/// takes all that comes behind its head for its body.
fn wants_other_protocol(context: &Context) -> bool {
    context.request.headers().contains_key(header::UPGRADE) && !is_chunked(context)
}

fn is_chunked(context: &Context) -> bool {
    context.header(header::TRANSFER_ENCODING).is_some()
}

/// Whether a body comes with the request.
pub fn is_sent(context: &Context) -> bool {
    length(context).is_some_and(|length| length > 0) || is_chunked(context)
}

/// Reads a JSON body of at most `limit` bytes; empty where none was sent.
///
/// # Errors
/// `unsupported-media-type`, and as for [`read_any`].
pub async fn read(
    context: &Context,
    payload: &mut web::Payload,
    limit: u64,
) -> Result<Vec<u8>, Problem> {
    let fits = length(context).is_none_or(|length| length <= limit);
    if fits && is_sent(context) {
        check_form(context)?;
    }
    read_any(context, payload, limit).await
}

/// Reads a body of at most `limit` bytes in whatever form it is; empty where none was sent.
///
/// # Errors
/// `payload-too-large` (before it is read through), `request-timeout`, `bad-request`.
pub async fn read_any(
    context: &Context,
    payload: &mut web::Payload,
    limit: u64,
) -> Result<Vec<u8>, Problem> {
    let length = length(context);
    if length.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    // Where the parser does not know where the body ends, its length says it.
    let end = wants_other_protocol(context).then(|| length.unwrap_or(0) as usize);
    let mut body = Vec::new();
    let mut pace = Pace::new(context.state.config.patience.body, Instant::now());
    while end.is_none_or(|end| body.len() < end) {
        match timeout_at(pace.deadline(), payload.next()).await {
            Err(_) if pace.goes_on() => {}
            Err(_) => {
                let detail = format!(
                    "less than {SLOWEST} bytes of the body a second came, or none for {:?}",
                    pace.window
                );
                return Err(Kind::RequestTimeout.problem(detail));
            }
            Ok(None) => break,
            // Which of the two the parser does not tell.
            Ok(Some(Err(_))) => {
                let detail = "the body breaks off, or its chunks are none";
                return Err(Kind::BadRequest.problem(detail));
            }
            Ok(Some(Ok(piece))) if (body.len() + piece.len()) as u64 > limit => {
                return Err(too_large(limit));
            }
            Ok(Some(Ok(piece))) => {
                body.extend_from_slice(&piece);
                pace.came(piece.len(), Instant::now());
            }
        }
    }
    body.truncate(end.unwrap_or(body.len()));
    Ok(body)
}

/// How fast a body comes: something in each window of time, and enough of it.
struct Pace {
    window: Duration,
    /// When the window ends in which it is now.
    end: Instant,
    /// What came within it, in bytes.
    came: u64,
    /// When the last piece came.
    last: Instant,
}

impl Pace {
    fn new(window: Duration, now: Instant) -> Self {
        Pace {
            window,
            end: now + window,
            came: 0,
            last: now,
        }
    }

    /// A piece came.
    fn came(&mut self, bytes: usize, now: Instant) {
        self.came += bytes as u64;
        self.last = now;
    }

    /// When to look whether it goes on.
    fn deadline(&self) -> Instant {
        self.end.min(self.last + self.window)
    }

    /// Whether the body came fast enough up to the deadline; then the next window begins.
    fn goes_on(&mut self) -> bool {
        let due = SLOWEST * self.window.as_millis() as u64 / 1000;
        let enough = self.deadline() == self.end && self.came >= due;
        if enough {
            self.end += self.window;
            self.came = 0;
        }
        enough
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

/// An answer with what must stay until its body was made to its end: among it what is left of the request's body, which
/// is left unread; the server closes the connection behind the answer. Where the body was read to its end, nothing is
/// left, and the connection goes on.
///
/// A payload that is dropped before the answer is sent tells the server to read the rest for nothing, without end where
/// it is a chunked one. One that is still held then tells it that the connection is of no more use: so the answer takes
/// it along.
pub fn hold_until_made(answer: HttpResponse, held: impl Unpin + 'static) -> HttpResponse {
    answer.map_body(|_, body| BoxBody::new(Holding { body, _held: held }))
}

/// An answer's body, with what stays as long.
struct Holding<T> {
    body: BoxBody,
    _held: T,
}

impl<T: Unpin> MessageBody for Holding<T> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Sends so many bytes each second; after how many seconds it is sent away, if it is within five minutes.
    fn sent_away_after(bytes: usize) -> Option<u64> {
        let begun = Instant::now();
        let mut pace = Pace::new(30 * SECOND, begun);
        for second in 1..300 {
            let now = begun + second * SECOND;
            if pace.deadline() < now && !pace.goes_on() {
                return Some((pace.deadline() - begun).as_secs());
            }
            if bytes > 0 {
                pace.came(bytes, now);
            }
        }
        None
    }

    #[test]
    fn a_body_goes_on_while_it_comes_fast_enough() {
        for (bytes, sent_away) in [
            (0, Some(30)),
            (1, Some(30)),
            (900, Some(30)),
            (1000, None),
            (50_000, None),
        ] {
            assert_eq!(sent_away_after(bytes), sent_away, "{bytes} bytes a second");
        }
    }

    #[test]
    fn a_body_that_pauses_is_waited_for_no_longer_than_one_window() {
        let begun = Instant::now();
        let mut pace = Pace::new(30 * SECOND, begun);
        pace.came(1_000_000, begun + 20 * SECOND);
        assert!(pace.goes_on());
        assert_eq!(pace.deadline(), begun + 50 * SECOND);
        assert!(!pace.goes_on());
    }
}
