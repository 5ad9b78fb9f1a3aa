//! `/api/v1/jobs`

pub mod cancel;
pub mod csv;
mod cursor;
pub mod events;
pub mod job;
pub mod list;
pub mod log;
pub mod rerun;
pub mod result;
pub mod submit;

use actix_files::NamedFile;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, web};
use chrono::TimeDelta;
use job_core::ids::JobId;
use shared_folder::JobView;

use crate::context::Context;
use crate::forecast::Forecast;
use crate::problem::{Kind, Problem};

/// The job that the URL names.
///
/// # Errors
/// `not-found`; `job-expired` where the id's own time is before the retention.
pub(crate) async fn find(context: &Context) -> Result<JobView, Problem> {
    let uuid = id(context)?;
    let state = context.state.clone();
    let now = state.clock.now();
    Forecast::renew(&state).await;
    let view = web::block(move || state.folder.job(uuid, now)).await??;
    view.ok_or_else(|| unknown(context, uuid))
}

/// The id that the URL names. What is no id is as unknown as one that nobody gave out.
fn id(context: &Context) -> Result<JobId, Problem> {
    context
        .parameter("uuid")
        .parse()
        .map_err(|_| Kind::NotFound.problem("there is no such job"))
}

pub(crate) fn unknown(context: &Context, uuid: JobId) -> Problem {
    let keep = context.state.config.options.keep;
    let now = context.state.clock.now().unix_millis();
    match uuid.made_at_millis() {
        Some(made) if now - made > keep.num_milliseconds() => {
            Kind::JobExpired.problem(format!("finished jobs are kept for {}", in_words(keep)))
        }
        _ => Kind::NotFound.problem("there is no such job"),
    }
}

/// A time, in the largest unit of which it has at least two.
fn in_words(time: TimeDelta) -> String {
    let units = [
        (time.num_days(), "days"),
        (time.num_hours(), "hours"),
        (time.num_minutes(), "minutes"),
    ];
    let fits = units.into_iter().find(|(number, _)| *number >= 2);
    let (number, unit) = fits.unwrap_or((time.num_seconds(), "seconds"));
    format!("{number} {unit}")
}

/// Streams a file, or the part of it that is asked for (RFC 9110 section 14).
///
/// # Errors
/// `range-not-satisfiable`, `precondition-failed`, `bad-request`.
fn send(context: &Context, file: NamedFile, media_type: &str) -> Result<HttpResponse, Problem> {
    let file = file
        .set_content_type(media_type.parse().expect("it is a media type"))
        .disable_content_disposition();
    let mut answer = file.into_response(&context.request);
    match answer.status() {
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let size = answer.headers().get(header::CONTENT_RANGE);
            let size = size.and_then(|size| size.to_str().ok()).unwrap_or_default();
            return Err(Kind::RangeNotSatisfiable
                .problem("the range cannot be read, or begins behind the end")
                .with_header(header::CONTENT_RANGE, size));
        }
        StatusCode::BAD_REQUEST => {
            return Err(Kind::BadRequest.problem("the header Range is no text"));
        }
        StatusCode::PRECONDITION_FAILED => {
            let detail =
                "it has another ETag than If-Match says, or is newer than If-Unmodified-Since";
            return Err(Kind::PreconditionFailed.problem(detail));
        }
        _ => {}
    }
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_a_unit_of_its_size() {
        for (seconds, words) in [
            (604_800, "7 days"),
            (86_400, "24 hours"),
            (5_400, "90 minutes"),
            (60, "60 seconds"),
        ] {
            assert_eq!(in_words(TimeDelta::seconds(seconds)), words);
        }
    }
}
