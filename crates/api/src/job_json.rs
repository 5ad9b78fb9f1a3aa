//! A job as a client sees it.

use actix_web::http::header;
use actix_web::{HttpResponse, HttpResponseBuilder};
use job_core::catalog::{Catalog, Label};
use job_core::date::Date;
use job_core::entry::Entry;
use job_core::estimate;
use job_core::ids::{ApiName, JobId, WorkerId};
use job_core::lease::Lease;
use job_core::status::{Failure, State, Status};
use page_parts::language::prefers_english;
use serde::Serialize;
use shared_folder::JobView;
use utoipa::ToSchema;

use crate::context::Context;

/// Nobody is asked to come again sooner, in seconds.
const SOONEST: u32 = 1;
/// Nobody is asked to come again later, in seconds.
const LATEST: u32 = 30;

/// A job. What is absent is unknown, or does not apply.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Job {
    /// The job's id.
    #[schema(value_type = uuid::Uuid)]
    pub uuid: JobId,
    /// Its API.
    #[schema(value_type = String)]
    pub api: ApiName,
    /// The API's name for people, in the language that the client prefers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub label: Option<String>,
    /// Where it stands.
    #[schema(value_type = String)]
    pub status: Status,
    /// How far its script is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub progress: Option<Progress>,
    /// Its place among the pending jobs: 1 is next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub queue_position: Option<usize>,
    /// The number of its latest run; 1 is the first. A pending job that has one waits to be run again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub attempt: Option<u32>,
    /// Who runs it, or ran it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub worker: Option<WorkerId>,
    /// When it was submitted.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    pub request_date: Date,
    /// When its status or progress changed last.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    pub updated_date: Date,
    /// When its latest run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
    pub started_date: Option<Date>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
    pub finished_date: Option<Date>,
    /// When a client first fetched its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
    pub retrieved_date: Option<Date>,
    /// Until when it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
    pub expires_date: Option<Date>,
    /// When it will probably start and finish; absent where its API, or one before it, has fewer than ten known runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub estimate: Option<Estimate>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::openapi::Failure>, nullable = false)]
    pub failure: Option<Failure>,
    /// Whether a client asked for its end, and it has not come yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// Where the rest of it is.
    pub links: Links,
}

/// How far a script is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Progress {
    /// From 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub percent: Option<f64>,
    /// What it says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
}

/// When a job will probably start and finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Estimate {
    /// When it starts; absent where it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub start: Option<Spread>,
    /// When it finishes.
    pub finish: Spread,
}

/// Between what dates something will probably come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Spread {
    /// In half of all cases it comes by then.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    pub p50: Date,
    /// In nine of ten cases it comes by then.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    pub p90: Date,
}

/// Where the rest of a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Links {
    /// The job itself.
    #[serde(rename = "self")]
    pub this: String,
    /// Its result, once it is done.
    pub result: String,
    /// Its changes, as they happen.
    pub events: String,
    /// What its script wrote to stderr.
    pub log: String,
}

impl Links {
    /// The links of a job, behind the URL at which the API is reached, or from its root where that is empty.
    pub fn new(base: &str, uuid: JobId) -> Self {
        let this = format!("{base}/api/v1/jobs/{uuid}");
        Links {
            result: format!("{this}/result"),
            events: format!("{this}/events"),
            log: format!("{this}/log"),
            this,
        }
    }
}

impl Job {
    /// A job with all that the folder knows of it.
    pub fn new(context: &Context, view: &JobView) -> Self {
        let receipt = view.receipt.as_ref();
        let lease = view.lease.as_ref();
        let progress = view.progress.as_ref();
        let running = view.state.status() == Status::Processing;
        let latest = [
            progress.map(|progress| progress.updated_date),
            view.state.finished(),
            lease
                .and_then(|lease| lease.attempts.last())
                .map(|run| run.ended_date),
            lease.filter(|_| running).map(|lease| lease.claimed),
        ];
        Job {
            progress: progress.map(|progress| Progress {
                percent: progress.percent,
                message: progress.message.clone(),
            }),
            queue_position: view.jobs_before.map(|before| before + 1),
            attempt: receipt.map_or_else(|| latest_run(lease?, running), |receipt| receipt.attempt),
            worker: receipt.map_or_else(
                || lease.filter(|_| running).map(|lease| lease.worker.clone()),
                |receipt| receipt.worker.clone(),
            ),
            started_date: receipt.map_or_else(
                || lease.filter(|_| running).map(|lease| lease.claimed),
                |receipt| receipt.started_date,
            ),
            updated_date: latest
                .into_iter()
                .flatten()
                .max()
                .unwrap_or(view.entry.request_date),
            estimate: expected(context, view),
            cancel_requested: view.cancel_requested,
            ..Job::of_entry(context, &view.entry, &view.state)
        }
    }

    /// A job as the index alone knows it, for lists.
    pub fn of_entry(context: &Context, entry: &Entry, state: &State) -> Self {
        let finished = state.finished();
        Job {
            uuid: entry.uuid,
            api: entry.api.clone(),
            label: label(context, &context.site.catalog, &entry.api),
            status: state.status(),
            progress: None,
            queue_position: None,
            attempt: None,
            worker: None,
            request_date: entry.request_date,
            updated_date: finished.unwrap_or(entry.request_date),
            started_date: None,
            finished_date: finished,
            retrieved_date: entry.retrieved_date,
            expires_date: finished.map(|finished| finished.plus(context.state.config.options.keep)),
            estimate: None,
            failure: match state {
                State::Failed { failure, .. } => failure.clone(),
                _ => None,
            },
            cancel_requested: false,
            links: Links::new("", entry.uuid),
        }
    }

    /// Whole seconds after which it is worth asking again: when it will probably have ended, where that is known, and
    /// the later the more jobs are before it, where it is not.
    pub fn retry_after(&self, now: Date) -> u32 {
        let finish = self
            .estimate
            .map(|estimate| estimate.finish.p50.since(now).num_seconds() + 1);
        let seconds = finish.or(self.queue_position.map(|place| place as i64));
        seconds.map_or(SOONEST, |seconds| {
            u32::try_from(seconds.max(0)).map_or(LATEST, |seconds| seconds.clamp(SOONEST, LATEST))
        })
    }

    /// The weak entity tag: it changes with status, progress, failure and a wish to cancel, not with the place in the
    /// queue (RFC 9110 section 8.8.3).
    pub fn etag(&self) -> String {
        format!("W/\"{}\"", self.tag())
    }

    /// What stands in the entity tag.
    pub fn tag(&self) -> String {
        use sha2::{Digest, Sha256};
        let told = serde_json::to_vec(&(
            &self.uuid,
            self.status,
            &self.progress,
            &self.failure,
            self.attempt,
            self.cancel_requested,
        ));
        let digest = Sha256::digest(told.expect("a job always serializes"));
        let short = digest.iter().take(12);
        short.map(|byte| format!("{byte:02x}")).collect()
    }

    /// The answer that shows it.
    pub fn answer(&self, context: &Context, mut answer: HttpResponseBuilder) -> HttpResponse {
        if !self.status.is_final() {
            let seconds = self.retry_after(context.state.clock.now());
            answer.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        self.headers(&mut answer).json(self)
    }

    /// What tells caches and clients this state of it from another.
    pub fn headers<'a>(&self, answer: &'a mut HttpResponseBuilder) -> &'a mut HttpResponseBuilder {
        answer
            .insert_header((header::ETAG, self.etag()))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::VARY, "Accept-Language"))
    }
}

/// The number of the latest run: the one that is under way, else the last one that has ended. A worker that claims a
/// job writes the lease before the index: until then the job still waits.
fn latest_run(lease: &Lease, running: bool) -> Option<u32> {
    if running || lease.token.is_none() {
        Some(lease.attempt)
    } else {
        lease.attempts.last().map(|run| run.attempt)
    }
}

/// What is expected of a job. A script that failed runs again after a pause that no estimate knows of.
fn expected(context: &Context, view: &JobView) -> Option<Estimate> {
    let waits = view.state.status() == Status::Pending;
    let lease = view.lease.as_ref();
    if view.state.status().is_final()
        || lease.is_some_and(|lease| waits && lease.retry_date.is_some())
    {
        return None;
    }
    let told = context.state.forecast.of(view.entry.uuid)?;
    let spread = |spread: estimate::Spread| Spread {
        p50: spread.p50,
        p90: spread.p90,
    };
    // What was told of a job before it started, or was given back, is old.
    (told.start.is_some() == waits).then(|| Estimate {
        start: told.start.map(spread),
        finish: spread(told.finish),
    })
}

/// The API's name for people, in the language that the client prefers; Japanese where it says nothing.
fn label(context: &Context, catalog: &Catalog, api: &ApiName) -> Option<String> {
    let Label { ja, en } = &catalog.get(api)?.label;
    let english = context
        .header(header::ACCEPT_LANGUAGE)
        .is_some_and(prefers_english);
    Some(if english { en.clone() } else { ja.clone() })
}
