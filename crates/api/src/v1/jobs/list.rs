//! `GET /api/v1/jobs`: the jobs, newest first, a page at a time.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use job_core::date::Date;
use job_core::ids::{ApiName, JobId};
use job_core::status::Status;
use serde::{Deserialize, Serialize};

use crate::dispatch::Context;
use crate::job_json::Job;
use crate::problem::{Kind, Problem, cut};

/// Jobs on a page where nothing is said.
const LIMIT: usize = 100;
/// Most jobs on a page; who asks for more gets so many.
const LIMIT_MOST: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    status: Option<Status>,
    api: Option<ApiName>,
    /// Submitted at this date or later.
    from: Option<Date>,
    /// Submitted before this date.
    to: Option<Date>,
    limit: Option<i64>,
    /// What `next` of the page before said: the last job on it.
    cursor: Option<JobId>,
}

#[derive(Serialize)]
struct Page {
    jobs: Vec<Job>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<JobId>,
}

/// Lists jobs.
///
/// # Errors
/// `bad-request` where a part of the query cannot be understood.
pub async fn list(context: Context) -> Result<HttpResponse, Problem> {
    let query = web::Query::<Query>::from_query(context.request.query_string());
    let query = query
        .map_err(|error| Kind::BadRequest.problem(cut(&format!("the query: {error}"))))?
        .into_inner();
    let limit = match query.limit {
        None => LIMIT,
        Some(limit) if limit < 1 => {
            return Err(Kind::BadRequest.problem("limit: at least 1 is due"));
        }
        Some(limit) => usize::try_from(limit).unwrap_or(LIMIT_MOST).min(LIMIT_MOST),
    };
    let state = context.state.clone();
    let now = state.clock.now();
    let queue = web::block(move || state.folder.settled_queue(now)).await??;
    let start = match query.cursor {
        None => 0,
        Some(cursor) => queue
            .iter()
            .rev()
            .position(|entry| entry.uuid == cursor)
            .map(|place| place + 1)
            .ok_or_else(|| {
                Kind::BadRequest.problem(
                    "cursor: the job that it names is no longer kept; begin again without it",
                )
            })?,
    };
    let wanted = queue.iter().rev().skip(start).filter(|entry| {
        query.status.is_none_or(|status| entry.status() == status)
            && query.api.as_ref().is_none_or(|api| entry.api == *api)
            && query.from.is_none_or(|from| entry.request_date >= from)
            && query.to.is_none_or(|to| entry.request_date < to)
    });
    // One more than is shown tells whether there is a next page.
    let mut jobs: Vec<_> = wanted
        .take(limit + 1)
        .map(|entry| Job::of_entry(&context, entry, entry.state()))
        .collect();
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    let next = jobs.last().filter(|_| more).map(|job| job.uuid);
    let mut answer = HttpResponse::Ok();
    if let Some(next) = next {
        answer.insert_header((
            header::LINK,
            format!("<{}>; rel=\"next\"", next_url(&context, next)),
        ));
    }
    answer.insert_header((header::CACHE_CONTROL, "no-cache"));
    answer.insert_header((header::VARY, "Accept-Language"));
    Ok(answer.json(Page { jobs, next }))
}

/// The same query, one page on.
fn next_url(context: &Context, next: JobId) -> String {
    let query = context.request.query_string();
    let kept = query
        .split('&')
        .filter(|part| !part.is_empty() && !part.starts_with("cursor="));
    let parts: Vec<_> = kept
        .map(str::to_owned)
        .chain([format!("cursor={next}")])
        .collect();
    format!("/api/v1/jobs?{}", parts.join("&"))
}
