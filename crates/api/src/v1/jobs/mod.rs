//! `/api/v1/jobs`

pub mod cancel;
pub mod job;
pub mod list;
pub mod log;
pub mod result;
pub mod submit;

use actix_files::NamedFile;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, web};
use job_core::ids::JobId;
use shared_folder::JobView;

use crate::dispatch::Context;
use crate::problem::{Kind, Problem};

/// The job that the URL names.
///
/// # Errors
/// `not-found`; `job-expired` where the id's own time is before the retention.
async fn find(context: &Context) -> Result<JobView, Problem> {
    let uuid = id(context)?;
    let state = context.state.clone();
    let now = state.clock.now();
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

fn unknown(context: &Context, uuid: JobId) -> Problem {
    let keep = context.state.config.options.keep;
    let now = context.state.clock.now().unix_millis();
    match uuid.made_at_millis() {
        Some(made) if now - made > keep.num_milliseconds() => Kind::JobExpired.problem(format!(
            "finished jobs are kept for {} days",
            keep.num_days()
        )),
        _ => Kind::NotFound.problem("there is no such job"),
    }
}

/// Streams a file, or the part of it that is asked for (RFC 9110 section 14).
///
/// # Errors
/// `range-not-satisfiable`.
fn send(context: &Context, file: NamedFile, media_type: &str) -> Result<HttpResponse, Problem> {
    let file = file
        .set_content_type(media_type.parse().expect("it is a media type"))
        .disable_content_disposition();
    let mut answer = file.into_response(&context.request);
    if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        let size = answer.headers().get(header::CONTENT_RANGE);
        let size = size.and_then(|size| size.to_str().ok()).unwrap_or_default();
        return Err(Kind::RangeNotSatisfiable
            .problem("the range cannot be read, or begins behind the end")
            .with_header(header::CONTENT_RANGE, size));
    }
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(answer)
}
