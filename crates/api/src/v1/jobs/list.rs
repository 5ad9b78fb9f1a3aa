//! `GET /api/v1/jobs`: the jobs, newest or oldest first, a page at a time.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use job_core::date::Date;
use job_core::entry::Entry;
use job_core::ids::ApiName;
use job_core::status::Status;
use serde::Serialize;
use utoipa::ToSchema;

use super::cursor::{Cursor, Order};
use crate::context::Context;
use crate::job_json::Job;
use crate::problem::{Kind, Problem, cut};

/// Jobs on a page where nothing is said.
const LIMIT: usize = 100;
/// Most jobs on a page; who asks for more gets so many.
const LIMIT_MOST: usize = 1000;

#[derive(Debug, Default)]
struct Query {
    status: Option<Status>,
    api: Option<ApiName>,
    /// Submitted at this date or later.
    from: Option<Date>,
    /// Submitted before this date.
    to: Option<Date>,
    order: Option<Order>,
    limit: Option<usize>,
    /// What `next` of the page before said.
    cursor: Option<Cursor>,
}

impl Query {
    /// Reads a query; each name at most once.
    fn parse(text: &str) -> Result<Self, Problem> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(text);
        let pairs =
            pairs.map_err(|error| Kind::BadRequest.problem(cut(&format!("the query: {error}"))))?;
        let mut query = Query::default();
        for (name, value) in pairs.into_inner() {
            match name.as_str() {
                "status" => set(&mut query.status, &name, value.parse())?,
                "api" => set(&mut query.api, &name, value.parse())?,
                "from" => set(&mut query.from, &name, date(&value))?,
                "to" => set(&mut query.to, &name, date(&value))?,
                "order" => set(&mut query.order, &name, value.parse())?,
                "limit" => set(&mut query.limit, &name, limit(&value))?,
                "cursor" => set(&mut query.cursor, &name, value.parse())?,
                _ => {
                    return Err(Kind::BadRequest
                        .problem(cut(&format!("the query: there is no parameter {name:?}"))));
                }
            }
        }
        let order = query.order.unwrap_or_default();
        match &query.cursor {
            Some(cursor) if cursor.order != order => Err(Kind::BadRequest
                .problem("cursor: it is one of a list in the other order; begin again without it")),
            _ => Ok(query),
        }
    }

    fn wants(&self, entry: &Entry) -> bool {
        self.status.is_none_or(|status| entry.status() == status)
            && self.api.as_ref().is_none_or(|api| entry.api == *api)
            && self.from.is_none_or(|from| entry.request_date >= from)
            && self.to.is_none_or(|to| entry.request_date < to)
    }
}

fn set<T, E: std::fmt::Display>(
    place: &mut Option<T>,
    name: &str,
    value: Result<T, E>,
) -> Result<(), Problem> {
    let value = value.map_err(|error| Kind::BadRequest.problem(format!("{name}: {error}")))?;
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Kind::BadRequest.problem(format!("{name}: it is given twice"))),
    }
}

fn date(text: &str) -> Result<Date, &'static str> {
    text.parse().map_err(|_| {
        "a date such as 2026-01-31T00:00:00Z or 2026-01-31T00:00:00%2B09:00 is due (a bare + in a query is a space)"
    })
}

/// Whole numbers from 1; too large ones are cut.
fn limit(text: &str) -> Result<usize, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    match text.parse() {
        Ok(0) => Err("at least 1 is due"),
        Ok(limit) => Ok(LIMIT_MOST.min(limit)),
        Err(_) if digits => Ok(LIMIT_MOST),
        Err(_) => Err("a whole number, at least 1, is due"),
    }
}

/// A page of jobs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Page {
    /// The jobs, as the index knows them.
    jobs: Vec<Job>,
    /// What to send as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// Lists jobs.
///
/// # Errors
/// `bad-request` where a part of the query cannot be understood.
pub async fn list(context: Context) -> Result<HttpResponse, Problem> {
    let query = Query::parse(context.request.query_string())?;
    let limit = query.limit.unwrap_or(LIMIT);
    let state = context.state.clone();
    let queue = web::block(move || state.folder.queue()).await??;
    let order = query.order.unwrap_or_default();
    let entries: Box<dyn Iterator<Item = &Arc<Entry>>> = match order {
        Order::Newest => Box::new(queue.iter().rev()),
        Order::Oldest => Box::new(queue.iter()),
    };
    let rest = match &query.cursor {
        None => entries,
        Some(cursor) => {
            let known = queue.get(cursor.uuid).is_some();
            Box::new(cursor.go_on(entries, known))
        }
    };
    // One more than is shown tells whether there is a next page.
    let wanted = rest.filter(|entry| query.wants(entry));
    let mut page: Vec<_> = wanted.take(limit + 1).cloned().collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let last = page.last().filter(|_| more);
    let next = last.map(|entry| Cursor::behind(entry, order).to_string());
    let (state, now) = (context.state.clone(), context.state.clock.now());
    let page = web::block(move || state.folder.settled(page, now)).await??;
    let jobs = page
        .iter()
        .map(|entry| Job::of_entry(&context, entry, entry.state()));
    let jobs = jobs.collect();
    let mut answer = HttpResponse::Ok();
    if let Some(next) = &next {
        let link = format!("<{}>; rel=\"next\"", next_url(&context, next));
        answer.insert_header((header::LINK, link));
    }
    answer.insert_header((header::CACHE_CONTROL, "no-cache"));
    answer.insert_header((header::VARY, "Accept-Language"));
    Ok(answer.json(Page { jobs, next }))
}

/// The same query, one page on.
fn next_url(context: &Context, next: &str) -> String {
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
