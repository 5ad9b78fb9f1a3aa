//! One table finds who answers. Every answer gets its request id, and nothing is guessed from its content.

use std::rc::Rc;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use job_core::ids::{ApiName, JobId};
use job_core::route::{Lookup, Route, Target};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use crate::connection::Stage;
use crate::context::{Context, State};
use crate::endpoint::Endpoint;
use crate::logged::Logged;
use crate::measures::{Asked, Present};
use crate::pages::Reader;
use crate::problem::{Kind, Problem};
use crate::site::Site;
use crate::{accept, body, docs, health, metrics_page, pages, problem_page, rate, same_site, v1};

/// Names the request in answers and logs.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers a request.
pub async fn dispatch(
    request: HttpRequest,
    mut payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    let id = Uuid::now_v7();
    let stage = request.conn_data::<Rc<Stage>>().cloned();
    let under_way = (stage.map(Stage::begin), Present::request());
    let mut asked = Asked::new(request.method());
    let mut logged = Logged::new(&state, &request);
    let site = state.site.borrow().clone();
    let path = request.path().to_owned();
    let method = request.method().clone();
    let reader = Reader::of_pages(&request);
    let context = Context {
        state,
        site,
        request,
        parameters: Vec::new(),
        id,
    };
    let mut answer = answer(context, &mut payload, &path, &mut asked)
        .await
        .unwrap_or_else(|problem| tell(&problem, reader.as_ref(), id));
    sign(&mut answer, id);
    tracing::debug!(request.id = %id, method = %method, path, status = answer.status().as_u16(), "answered");
    asked.answered(answer.status());
    logged.answered(answer.status());
    body::hold_until_made(answer, (payload, under_way, logged))
}

/// A problem as whoever asked reads it: people as a page, programs as a document.
fn tell(problem: &Problem, reader: Option<&Reader>, id: Uuid) -> HttpResponse {
    match reader {
        Some(reader) => pages::error::page(reader, problem, id),
        None => problem.answer(id),
    }
}

/// Puts into an answer what stands in all of them.
pub(crate) fn sign(answer: &mut HttpResponse, id: Uuid) {
    let headers = answer.headers_mut();
    headers.insert(
        REQUEST_ID,
        HeaderValue::from_str(&id.to_string()).expect("a UUID is a header's value"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}

async fn answer(
    mut context: Context,
    payload: &mut web::Payload,
    path: &str,
    asked: &mut Asked,
) -> Result<HttpResponse, Problem> {
    body::check_size(&context)?;
    let segments =
        segments(path).ok_or_else(|| Kind::NotFound.problem("there is nothing at this URL"))?;
    let method = context.request.method().clone();
    // Whoever may GET may ask for the head alone; the server leaves the body out.
    let looked_up = if method == Method::HEAD {
        Method::GET
    } else {
        method.clone()
    };
    let site = context.site.clone();
    let found = match site.routes.find(looked_up.as_str(), &segments) {
        Lookup::Found(route, _) if !is_for(&site, &segments, &route.method) => {
            site.routes.find(Method::OPTIONS.as_str(), &segments)
        }
        found => found,
    };
    match found {
        Lookup::Found(route, parameters) => {
            context.parameters = parameters;
            asked.takes(&route.key);
            let Some(endpoint) = Endpoint::of(route) else {
                return Err(Kind::NotFound.problem("there is nothing at this URL"));
            };
            let id = context.id;
            let reader = Reader::of_pages(&context.request);
            let standing = context.state.rates.count(endpoint, &context.request)?;
            let answer = ask(endpoint, route, context, payload).await;
            let answer = answer.unwrap_or_else(|problem| tell(&problem, reader.as_ref(), id));
            Ok(rate::tell(answer, standing))
        }
        Lookup::OtherMethods(methods) => {
            let fits = methods
                .into_iter()
                .filter(|method| is_for(&site, &segments, method));
            let mut allowed: Vec<&str> = fits.chain(["OPTIONS"]).collect();
            if allowed.contains(&"GET") {
                allowed.push("HEAD");
            }
            allowed.sort_unstable();
            let allow = (header::ALLOW, allowed.join(", "));
            if method == Method::OPTIONS {
                return Ok(HttpResponse::build(StatusCode::NO_CONTENT)
                    .insert_header(allow)
                    .finish());
            }
            let detail = format!("this URL answers {}", allow.1);
            Err(Kind::MethodNotAllowed
                .problem(detail)
                .with_header(allow.0, &allow.1))
        }
        Lookup::Nothing => Err(Kind::NotFound.problem("there is nothing at this URL")),
    }
}

/// Whether a method is for what the URL names: an API and a job may stand at the same place of a URL, and are asked for
/// different things. What is neither is left to whoever answers.
fn is_for(site: &Site, segments: &[String], method: &str) -> bool {
    let [api, v1, jobs, name] = segments else {
        return true;
    };
    if [api, v1, jobs] != ["api", "v1", "jobs"] {
        return true;
    }
    let is_api = name
        .parse()
        .is_ok_and(|name: ApiName| site.catalog.get(&name).is_some());
    let is_job = name.parse::<JobId>().is_ok();
    match method {
        "POST" => is_api || !is_job,
        _ => is_job || !is_api,
    }
}

async fn ask(
    endpoint: Endpoint,
    route: &Route,
    context: Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, Problem> {
    same_site::check(&context)?;
    take_or_leave(&context, endpoint)?;
    match &route.target {
        Target::Submit(api) => v1::jobs::submit::own_route(context, payload, api.clone()).await,
        Target::BuiltIn => call(endpoint, context, payload).await,
    }
}

/// Refuses a client that does not take what the endpoint has to give, before anything is done.
fn take_or_leave(context: &Context, endpoint: Endpoint) -> Result<(), Problem> {
    let given = endpoint.media_types();
    if given.is_empty() || accept::takes(context.request.headers(), given) {
        return Ok(());
    }
    let detail = format!("this URL answers with {}", given.join(" or "));
    Err(Kind::NotAcceptable.problem(detail))
}

async fn call(
    endpoint: Endpoint,
    context: Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, Problem> {
    match endpoint {
        Endpoint::Submit => v1::jobs::submit::by_name(context, payload).await,
        Endpoint::List => v1::jobs::list::list(context).await,
        Endpoint::Job | Endpoint::JobAlias => v1::jobs::job::job(context).await,
        Endpoint::Cancel => v1::jobs::cancel::cancel(context).await,
        Endpoint::Result => v1::jobs::result::result(context).await,
        Endpoint::Log => v1::jobs::log::log(context).await,
        Endpoint::Rerun => v1::jobs::rerun::rerun(context).await,
        Endpoint::Events => v1::jobs::events::events(context).await,
        Endpoint::Apis => v1::apis::apis(context).await,
        Endpoint::Healthz => Ok(health::healthz()),
        Endpoint::Readyz => health::readyz(context).await,
        Endpoint::OpenApi => Ok(docs::openapi(&context)),
        Endpoint::Docs => Ok(docs::front()),
        Endpoint::DocsFile => docs::file(&context),
        Endpoint::Metrics => metrics_page::metrics_page(context).await,
        Endpoint::ProblemPage => problem_page::page(&context),
        Endpoint::Page(place) => pages::show(place, context, payload).await,
    }
}

/// The path's segments, decoded; nothing where one is no UTF-8.
fn segments(path: &str) -> Option<Vec<String>> {
    let rest = path.strip_prefix('/')?;
    rest.split('/')
        .map(|segment| {
            percent_decode_str(segment)
                .decode_utf8()
                .ok()
                .map(Into::into)
        })
        .collect()
}
