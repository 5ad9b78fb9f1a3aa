//! `GET /api/v1/jobs/{uuid}`: how a job stands. Always 200 for a job that is known: its failure is a part of it.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;

use super::find;
use crate::context::Context;
use crate::forecast::Forecast;
use crate::job_json::Job;
use crate::prefer::{self, PREFERENCE_APPLIED};
use crate::problem::{Kind, Problem};

/// Seconds after which a place to wait may be free again.
const UNTIL_THERE_IS_A_PLACE: u32 = 5;

/// Shows a job; with `Prefer: wait=N` once it has changed from what the client knows (`If-None-Match`), or from what it
/// was when it asked. A job that has ended is shown at once.
///
/// # Errors
/// `not-found`, `job-expired`; `rate-limited` where too many wait already.
pub async fn job(context: Context) -> Result<HttpResponse, Problem> {
    let mut job = Job::new(&context, &find(&context).await?);
    let wait = prefer::wait(context.request.headers());
    let may_wait = context.header(header::IF_NONE_MATCH).is_none() || is_known(&context, &job);
    if let Some(patience) = wait.filter(|_| may_wait) {
        job = once_changed(&context, job, patience).await?;
    }
    let mut answer = if is_known(&context, &job) {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    if let Some(wait) = wait {
        let applied = format!("wait={}", wait.as_secs());
        answer.insert_header((PREFERENCE_APPLIED, applied));
    }
    if is_known(&context, &job) {
        return Ok(job.headers(&mut answer).finish());
    }
    Ok(job.answer(&context, answer))
}

/// Whether the client has this state of the job already. Weak comparison (RFC 9110 section 13.1.2): `W/` in front makes
/// no difference.
fn is_known(context: &Context, job: &Job) -> bool {
    let etag = job.etag();
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tags = context.header(header::IF_NONE_MATCH).unwrap_or_default();
    tags.split(',')
        .any(|tag| tag.trim() == "*" || opaque(tag) == opaque(&etag))
}

async fn once_changed(context: &Context, job: Job, patience: Duration) -> Result<Job, Problem> {
    if job.status.is_final() || patience.is_zero() {
        return Ok(job);
    }
    let Some(mut follower) = context.state.feed.follow(job.uuid) else {
        return Err(Kind::RateLimited
            .problem("too many clients wait for jobs at this moment; ask without Prefer: wait")
            .retry_after(UNTIL_THERE_IS_A_PLACE));
    };
    let before = job.etag();
    let changed = follower.until(patience, |view| Job::new(context, view).etag() != before);
    let last = changed.await;
    Forecast::renew(&context.state).await;
    Ok(last.map_or(job, |view| Job::new(context, &view)))
}
