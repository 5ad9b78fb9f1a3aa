//! `POST /api/v1/jobs/{api}` and each API's own route: a request becomes a job.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpResponse, web};
use job_core::catalog::Api;
use job_core::entry::Entry;
use job_core::files::Request;
use job_core::ids::ApiName;
use job_core::trace::is_traceparent;
use serde::Serialize;
use shared_folder::idempotency::Key;
use shared_folder::submit::Accepted;
use shared_folder::{JobView, job_id};
use utoipa::ToSchema;

use crate::context::Context;
use crate::forecast::Forecast;
use crate::job_json::Job;
use crate::prefer::{self, PREFERENCE_APPLIED};
use crate::problem::{Kind, Problem};
use crate::webhooks::Webhooks;
use crate::{body, idempotency, params};

/// Whose keys these are, as long as there are no clients.
const CLIENT: &str = "anonymous";
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Submits to the API that the URL names.
///
/// # Errors
/// `not-found`, `no-app-server`, whatever is wrong with the body, or the folder's refusal: then there is no job.
pub async fn by_name(
    context: Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, Problem> {
    if context.site.catalog.is_empty() {
        return Err(Problem::no_worker("no worker has published any API yet"));
    }
    let name = context.parameter("api").parse::<ApiName>().ok();
    let Some(api) = name.and_then(|name| context.site.catalog.get(&name).cloned()) else {
        return Err(
            Kind::NotFound.problem("there is no API of this name; GET /api/v1/apis lists them")
        );
    };
    submit(&context, payload, api, Vec::new()).await
}

/// Submits to an API by its own route, whose parameters join the body.
///
/// # Errors
/// As for [`by_name`].
pub async fn own_route(
    mut context: Context,
    payload: &mut web::Payload,
    name: ApiName,
) -> Result<HttpResponse, Problem> {
    let Some(api) = context.site.catalog.get(&name).cloned() else {
        return Err(Kind::NotFound.problem("there is nothing at this URL"));
    };
    let parameters = std::mem::take(&mut context.parameters);
    submit(&context, payload, api, parameters).await
}

async fn submit(
    context: &Context,
    payload: &mut web::Payload,
    api: Arc<Api>,
    parameters: Vec<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let limit = context.state.config.options.request_limit;
    let body = body::read(context, payload, limit).await?;
    let submission = Submission {
        api,
        body,
        parameters,
    };
    accept(context, submission).await
}

/// What is to become a job.
pub(crate) struct Submission {
    /// Its API.
    pub(crate) api: Arc<Api>,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// The parameters of the URL, which join it.
    pub(crate) parameters: Vec<(String, String)>,
}

/// Makes a job of it, or only checks it where that is asked for.
pub(super) async fn accept(
    context: &Context,
    submission: Submission,
) -> Result<HttpResponse, Problem> {
    let asked = Asked::read(
        context.request.query_string(),
        &context.state.config.webhooks,
    )?;
    let key = idempotency::key(context)?;
    let Some((_, view)) = enqueue(context, submission, key, asked).await? else {
        return Ok(HttpResponse::Ok().json(Valid { valid: true }));
    };
    Forecast::renew(&context.state).await;
    let mut job = Job::new(context, &view);
    let wait = prefer::wait(context.request.headers());
    if let Some(patience) = wait {
        job = once_ended(context, job, patience).await;
    }
    let mut answer = if wait.is_some() && job.status.is_final() {
        HttpResponse::Ok()
    } else {
        HttpResponse::Accepted()
    };
    if let Some(wait) = wait {
        let applied = format!("wait={}", wait.as_secs());
        answer.insert_header((PREFERENCE_APPLIED, applied));
    }
    let this = &job.links.this;
    answer.insert_header((header::LOCATION, this.clone()));
    answer.insert_header((header::LINK, format!("<{this}>; rel=\"monitor\"")));
    Ok(job.answer(context, answer))
}

/// Checks a submission and puts it into the queue, whoever sent it in which form; nothing where it was only to be
/// checked. A `key` makes it known when it is sent again.
///
/// # Errors
/// Whatever is wrong with the body, or the folder's refusal: then there is no job.
pub(crate) async fn enqueue(
    context: &Context,
    submission: Submission,
    key: Option<String>,
    asked: Asked,
) -> Result<Option<(Accepted, JobView)>, Problem> {
    let Submission {
        api,
        body,
        parameters,
    } = submission;
    let (state, site) = (context.state.clone(), context.site.clone());
    let limit = state.config.options.request_limit;
    let Asked {
        validate_only,
        webhook,
    } = asked;
    let trace = context.header(TRACEPARENT);
    let traceparent = trace.filter(|text| is_traceparent(text)).map(str::to_owned);
    let now = state.clock.now();
    let uuid = job_id(now);
    let name = api.name.clone();
    // A large body takes its time to be parsed as well as to be written.
    let accepted = web::block(move || -> Result<Option<(Accepted, JobView)>, Problem> {
        let validator = site.validator(&api.name);
        let params = params::read(&body, &parameters, &api, validator.as_deref(), limit)?;
        if validate_only {
            return Ok(None);
        }
        let request = Request {
            uuid,
            api: api.name.clone(),
            request_date: now,
            params,
            idempotency_key: key.clone(),
            webhook,
            traceparent,
        };
        let known_by = |key: String| {
            let body = request.params.get().as_bytes();
            Key::new(CLIENT, &api.name, &key, body, request.webhook.as_deref())
        };
        let key = key.map(known_by);
        let (name, date) = (request.api.clone(), request.request_date);
        let accepted = state.submitter.submit(request, key)?;
        // The job is accepted whatever the look at it says.
        let seen = state.folder.job(accepted.uuid(), now).ok().flatten();
        let unseen = || JobView::pending(Entry::pending(accepted.uuid(), name, date));
        Ok(Some((accepted, seen.unwrap_or_else(unseen))))
    });
    let accepted = accepted.await??;
    if let Some((accepted, _)) = &accepted {
        let uuid = accepted.uuid();
        let what = match accepted {
            Accepted::New(_) => "a job was accepted",
            Accepted::Again(_) => "a submission was sent again",
        };
        tracing::info!(job.id = %uuid, job.api = %name, request.id = %context.id, "{what}");
    }
    Ok(accepted)
}

/// The answer to a submission that was only to be checked, and has nothing wrong with it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Valid {
    /// `true`: nothing is wrong.
    valid: bool,
}

/// What a submission asks for besides its job.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Whether it is only to be checked.
    validate_only: bool,
    /// The URL that is to be told of the job's end.
    webhook: Option<String>,
}

impl Asked {
    /// Reads the query. Other parameters than these two, each once, are refused: a misspelt one would make a job.
    fn read(query: &str, webhooks: &Webhooks) -> Result<Self, Problem> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query);
        let mut asked = Asked::default();
        let mut seen = HashSet::new();
        for (name, value) in pairs.map_err(|_| not_asked())?.into_inner() {
            match name.as_str() {
                "validate_only" => asked.validate_only = validate_only(&value)?,
                "webhook" => asked.webhook = Some(receiver(&value, webhooks)?),
                _ => return Err(not_asked()),
            }
            if !seen.insert(name) {
                return Err(not_asked());
            }
        }
        Ok(asked)
    }
}

fn validate_only(value: &str) -> Result<bool, Problem> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Kind::BadRequest.problem("validate_only: true or false is due")),
    }
}

/// The URL that is to be told, as it will be sent.
fn receiver(value: &str, webhooks: &Webhooks) -> Result<String, Problem> {
    if !webhooks.are_on() {
        return Err(Kind::BadRequest.problem(
            "webhook: this server sends none, as no secret is set to sign them with (webhook.secrets)",
        ));
    }
    let url = webhooks.receivers.check(value);
    url.map(Into::into)
        .map_err(|unfit| Kind::BadRequest.problem(format!("webhook: {unfit}")))
}

fn not_asked() -> Problem {
    Kind::BadRequest.problem(
        "the query: validate_only=true and webhook=URL, each once, are all that a submission may have in it",
    )
}

/// The job as it is at its end, or when the client has waited enough. It is accepted whatever comes of the waiting, so
/// where too many wait already nobody is refused.
async fn once_ended(context: &Context, job: Job, patience: Duration) -> Job {
    let follower = context.state.feed.follow(job.uuid);
    let Some(mut follower) = follower.filter(|_| !job.status.is_final()) else {
        return job;
    };
    let ended = follower.until(patience, |view| view.state.status().is_final());
    let last = ended.await;
    Forecast::renew(&context.state).await;
    last.map_or(job, |view| Job::new(context, &view))
}
