//! `GET /api/v1/jobs/{uuid}`: how a job stands. Always 200 for a job that is known: its failure is a part of it.

use actix_web::HttpResponse;
use actix_web::http::header;

use super::find;
use crate::dispatch::Context;
use crate::job_json::Job;
use crate::problem::Problem;

/// Shows a job.
///
/// # Errors
/// `not-found`, `job-expired`.
pub async fn job(context: Context) -> Result<HttpResponse, Problem> {
    let job = Job::new(&context, &find(&context).await?);
    let etag = job.etag();
    let known = context.header(header::IF_NONE_MATCH).is_some_and(|tags| {
        // Weak comparison (RFC 9110 section 13.1.2): W/ in front makes no difference.
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        tags.split(',')
            .any(|tag| tag.trim() == "*" || opaque(tag) == opaque(&etag))
    });
    if known {
        let mut answer = HttpResponse::NotModified();
        return Ok(answer
            .insert_header((header::ETAG, etag))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::VARY, "Accept-Language"))
            .finish());
    }
    Ok(job.answer(HttpResponse::Ok()))
}
