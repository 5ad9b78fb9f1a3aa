//! `GET /api/v1/jobs/{uuid}/events`: a job's changes as they happen, as server-sent events (WHATWG HTML, section 9.2).
//!
//! `status` and `end` carry the job, `progress` its progress, `log` what its script wrote to stderr since. A connection
//! begins with a `status`, also when it is taken up again; what was written to the log goes on where it stopped
//! (`Last-Event-ID`). After `end` nothing comes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use actix_web::http::header::{self, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, web};
use futures_util::stream;
use job_core::ids::JobId;
use shared_folder::SharedFolder;
use tokio::time::timeout;

use super::find;
use crate::context::Context;
use crate::feed::Follower;
use crate::forecast::Forecast;
use crate::job_json::Job;
use crate::measures::Present;
use crate::problem::{Kind, Problem};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Asks proxies not to hold events back.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// After this time without an event a comment shows that the connection lives.
const SILENCE: Duration = Duration::from_secs(15);
/// A client that lost the connection comes back after so many milliseconds.
const RETRY_MS: u32 = 2_000;
/// So much of a log is read at once, in bytes.
const LOG_PIECE: usize = 64 << 10;
/// Seconds after which a place to wait may be free again.
const UNTIL_THERE_IS_A_PLACE: u32 = 5;

/// Streams the changes until the job has ended.
///
/// # Errors
/// `not-found`, `job-expired`; `rate-limited` where too many wait already.
pub async fn events(context: Context) -> Result<HttpResponse, Problem> {
    let view = find(&context).await?;
    let job = Job::new(&context, &view);
    let last = context.header(LAST_EVENT_ID).and_then(Place::parse);
    if last.as_ref().is_some_and(|last| last.ended) && job.status.is_final() {
        // Everything was told: a client that comes back by itself stops at this answer.
        return Ok(HttpResponse::build(StatusCode::NO_CONTENT).finish());
    }
    let Some(follower) = context.state.feed.follow(job.uuid) else {
        return Err(Kind::RateLimited
            .problem("too many clients wait for jobs at this moment; ask for the job itself")
            .retry_after(UNTIL_THERE_IS_A_PLACE));
    };
    let mut answer = HttpResponse::Ok();
    answer
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((BUFFERING, "no"));
    if context.request.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    tracing::debug!(job.id = %job.uuid, request.id = %context.id, "somebody follows a job");
    let mut telling = Telling {
        uuid: job.uuid,
        told: None,
        log_offset: last.map_or(0, |last| last.log_offset),
        due: VecDeque::from([format!("retry: {RETRY_MS}\n\n")]),
        log_due: false,
        over: false,
        follower,
        context,
        _counted: Present::event_stream(),
    };
    telling.take_up(job);
    let events = stream::unfold(telling, |mut telling| async {
        let text = telling.next().await?;
        Some((Ok::<_, Infallible>(web::Bytes::from(text)), telling))
    });
    Ok(answer.streaming(events))
}

/// How far a client has heard of a job: what the `id` of an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    log_offset: u64,
    ended: bool,
}

impl Place {
    /// Reads an id such as `3f2a…-1024` or `3f2a…-1024-end`; nothing where it is none of ours.
    fn parse(id: &str) -> Option<Self> {
        let (id, ended) = match id.strip_suffix("-end") {
            Some(id) => (id, true),
            None => (id, false),
        };
        let (_, offset) = id.rsplit_once('-')?;
        Some(Place {
            log_offset: offset.parse().ok()?,
            ended,
        })
    }
}

/// One client that is told of one job.
struct Telling {
    context: Context,
    uuid: JobId,
    follower: Follower,
    /// The job as it was told last.
    told: Option<Job>,
    /// So much of the log was told, in bytes.
    log_offset: u64,
    /// What is to be sent next.
    due: VecDeque<String>,
    /// The log may have more; it is read only once what is due was sent.
    log_due: bool,
    /// Nothing comes after what is due.
    over: bool,
    _counted: Present,
}

impl Telling {
    /// The next piece of the stream; nothing at its end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(text) = self.due.pop_front() {
                return Some(text);
            }
            if self.over {
                return None;
            }
            if self.log_due {
                self.take_up_log().await;
                continue;
            }
            let ended = self.told.as_ref().filter(|job| job.status.is_final());
            if let Some(job) = ended.cloned() {
                self.over = true;
                self.tell("end", &job);
                continue;
            }
            match timeout(SILENCE, self.follower.next()).await {
                Ok(Some(view)) => {
                    Forecast::renew(&self.context.state).await;
                    self.take_up(Job::new(&self.context, &view));
                }
                // The job was removed, or the server ends: the client comes back and hears more.
                Ok(None) => return None,
                Err(_) => return Some(": still there\n\n".into()),
            }
        }
    }

    /// Puts down what is new about the job.
    fn take_up(&mut self, job: Job) {
        self.log_due = true;
        let told = self.told.replace(job.clone());
        let Some(told) = told else {
            return self.tell("status", &job);
        };
        let but_for_progress = Job {
            progress: told.progress.clone(),
            ..job.clone()
        };
        if job.status.is_final() {
            // `end` tells it, after the rest of the log.
        } else if but_for_progress.tag() != told.tag() {
            self.tell("status", &job);
        } else if let Some(progress) = &job.progress
            && told.progress != job.progress
        {
            self.tell("progress", progress);
        }
    }

    /// Puts down a piece of the log that was not told yet: whole lines, and at the job's end all that is left.
    async fn take_up_log(&mut self) {
        let (state, uuid, from) = (self.context.state.clone(), self.uuid, self.log_offset);
        let read = web::block(move || read_piece(&state.folder, uuid, from));
        let piece = read.await.map_err(anyhow::Error::from).flatten();
        let piece = piece.unwrap_or_else(|error| {
            let request = self.context.id;
            tracing::warn!(job.id = %uuid, request.id = %request, error = format!("{error:#}"), "a log cannot be told");
            Vec::new()
        });
        let told = self.told.as_ref();
        let ended = told.is_some_and(|job| job.status.is_final());
        let full = piece.len() == LOG_PIECE;
        self.log_due = full;
        let end_of_line = piece.iter().rposition(|byte| *byte == b'\n');
        let length = match end_of_line {
            // Nothing is written to it any more, or a line fills the whole piece.
            None if ended || full => piece.len(),
            Some(_) if ended && !full => piece.len(),
            Some(end) => end + 1,
            None => 0,
        };
        if length > 0 {
            self.log_offset += length as u64;
            let text = String::from_utf8_lossy(&piece[..length]).into_owned();
            self.tell_text("log", text.strip_suffix('\n').unwrap_or(&text));
        }
    }

    fn tell(&mut self, event: &str, content: &impl serde::Serialize) {
        let text = serde_json::to_string(content).expect("a job always serializes");
        self.tell_text(event, &text);
    }

    fn tell_text(&mut self, event: &str, text: &str) {
        let tag = self.told.as_ref().map(Job::tag).unwrap_or_default();
        let end = if self.over { "-end" } else { "" };
        let mut piece = format!("event: {event}\nid: {tag}-{}{end}\n", self.log_offset);
        // Each of the three ends of a line would end the field (section 9.2.6).
        for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
            piece.push_str("data: ");
            piece.push_str(line);
            piece.push('\n');
        }
        piece.push('\n');
        self.due.push_back(piece);
    }
}

/// A piece of a job's log from an offset on; empty at its end.
fn read_piece(folder: &SharedFolder, uuid: JobId, from: u64) -> anyhow::Result<Vec<u8>> {
    let Some(file) = folder.log(uuid)? else {
        return Ok(Vec::new());
    };
    let mut piece = vec![0; LOG_PIECE];
    let length = file.read_at(&mut piece, from)?;
    piece.truncate(length);
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_from_the_id_of_an_event() {
        let place = |log_offset, ended| Some(Place { log_offset, ended });
        for (id, expected) in [
            ("0a1b-0", place(0, false)),
            ("0a1b-1024", place(1024, false)),
            ("0a1b-7-end", place(7, true)),
            ("0a1b", None),
            ("0a1b--1x", None),
            ("0a1b-99999999999999999999", None),
            ("-end", None),
            ("", None),
        ] {
            assert_eq!(Place::parse(id), expected, "{id}");
        }
    }
}
