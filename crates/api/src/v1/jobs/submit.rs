//! `POST /api/v1/jobs/{api}` and each API's own route: a request becomes a job.

use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpResponse, web};
use job_core::catalog::Api;
use job_core::files::Request;
use job_core::ids::ApiName;
use serde_json::Value;
use serde_json::value::RawValue;
use shared_folder::{JobView, job_id};

use crate::body;
use crate::dispatch::Context;
use crate::job_json::Job;
use crate::problem::{FieldError, Kind, Problem};
use crate::strict_json;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// So many errors of one body are told.
const ERRORS_TOLD: usize = 50;

/// Submits to the API that the URL names.
///
/// # Errors
/// `not-found`, `no-app-server`, whatever is wrong with the body, or the folder's refusal: then there is no job.
pub async fn by_name(
    context: Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, Problem> {
    if context.site.catalog.is_empty() {
        let detail = "no worker has published any API yet";
        return Err(Kind::NoAppServer.problem(detail).retry_after(15));
    }
    let name = context.parameter("api").parse::<ApiName>().ok();
    let Some(api) = name.and_then(|name| context.site.catalog.get(&name).cloned()) else {
        return Err(
            Kind::NotFound.problem("there is no API of this name; GET /api/v1/apis lists them")
        );
    };
    submit(&context, payload, &api, &[]).await
}

/// Submits to an API by its own route, whose parameters join the body.
///
/// # Errors
/// As for [`by_name`].
pub async fn own_route(
    context: Context,
    payload: &mut web::Payload,
    name: ApiName,
) -> Result<HttpResponse, Problem> {
    let Some(api) = context.site.catalog.get(&name).cloned() else {
        return Err(Kind::NotFound.problem("there is nothing at this URL"));
    };
    submit(&context, payload, &api, &context.parameters).await
}

async fn submit(
    context: &Context,
    payload: &mut web::Payload,
    api: &Api,
    parameters: &[(String, String)],
) -> Result<HttpResponse, Problem> {
    let state = context.state.clone();
    let body = body::read(context, payload, state.config.options.request_limit).await?;
    let params = params(&body, api, parameters)?;
    validate(context, api, &params)?;
    let now = state.clock.now();
    let request = Request {
        uuid: job_id(now),
        api: api.name.clone(),
        request_date: now,
        params: params.text,
        traceparent: context
            .header(TRACEPARENT)
            .filter(|parent| is_traceparent(parent))
            .map(str::to_owned),
    };
    let uuid = request.uuid;
    let entry = request.entry();
    let view = web::block(move || -> Result<JobView, Problem> {
        state.submitter.submit(request)?;
        // The job is accepted whatever the look at it says.
        let seen = state.folder.job(uuid, now).ok().flatten();
        Ok(seen.unwrap_or_else(|| JobView::pending(entry)))
    });
    let job = Job::new(context, &view.await??);
    tracing::info!(job.id = %uuid, job.api = %api.name, request.id = %context.id, "a job was accepted");
    let this = job.links.this.clone();
    let mut answer = HttpResponse::Accepted();
    answer.insert_header((header::LOCATION, this.clone()));
    answer.insert_header((header::LINK, format!("<{this}>; rel=\"monitor\"")));
    Ok(job.answer(answer))
}

/// A body, as its client wrote it and as it is checked.
struct Params {
    text: Box<RawValue>,
    value: Value,
}

/// The body with the route's parameters in it. What the client wrote stays as it was written, to the last digit.
fn params(body: &[u8], api: &Api, parameters: &[(String, String)]) -> Result<Params, Problem> {
    let body = if body.is_empty() && !parameters.is_empty() {
        b"{}"
    } else {
        body
    };
    let mut value = strict_json::parse(body)
        .map_err(|why| Kind::InvalidJson.problem(format!("the body is no JSON: {why}")))?;
    let mut text = String::from_utf8(body.to_vec()).expect("it was parsed as UTF-8");
    if !parameters.is_empty() {
        let Value::Object(members) = &mut value else {
            let errors = vec![FieldError::new(
                "an object is due, for the parameters of the URL to join",
                "",
            )];
            return Err(Kind::ValidationFailed
                .problem("the body is no object")
                .with_errors(errors));
        };
        let given = parameters
            .iter()
            .filter(|(name, _)| members.contains_key(name));
        let errors: Vec<_> = given
            .map(|(name, _)| FieldError::new("the URL gives it already", &pointer(name)))
            .collect();
        if !errors.is_empty() {
            return Err(Kind::ValidationFailed
                .problem("the body repeats what the URL says")
                .with_errors(errors));
        }
        let rest = text
            .trim_start()
            .strip_prefix('{')
            .unwrap_or_default()
            .to_owned();
        text = String::from("{");
        for (name, given) in parameters {
            let (value, written) = typed(given, api.schema.as_ref(), name);
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&quoted(name));
            text.push(':');
            text.push_str(&written);
            members.insert(name.clone(), value);
        }
        if !rest.trim_start().starts_with('}') {
            text.push(',');
        }
        text.push_str(&rest);
    }
    let text =
        RawValue::from_string(text).map_err(|error| Kind::Internal.problem(error.to_string()))?;
    Ok(Params { text, value })
}

/// A parameter of the URL, typed by the schema and as it is written in JSON, to the last digit; text where the schema
/// says nothing, or something that does not fit: then the check of the body tells.
fn typed(text: &str, schema: Option<&Value>, name: &str) -> (Value, String) {
    let types =
        schema.and_then(|schema| schema.pointer(&format!("/properties{}/type", pointer(name))));
    let is = |wanted: &str| match types {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(some)) => some.iter().any(|one| one == wanted),
        _ => false,
    };
    // JSON allows white space around a number; a URL has none to spare.
    let parsed = serde_json::from_str::<Value>(text)
        .ok()
        .filter(|value| match value {
            Value::Number(_) => is("number") || is("integer"),
            Value::Bool(_) => is("boolean"),
            _ => false,
        })
        .filter(|_| text.trim() == text);
    match parsed {
        Some(value) => (value, text.to_owned()),
        None => (Value::String(text.to_owned()), quoted(text)),
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text always serializes")
}

fn validate(context: &Context, api: &Api, params: &Params) -> Result<(), Problem> {
    let mut errors = Vec::new();
    // Nearly no body has one, and a large one is not walked through for it.
    if params.text.get().contains("\\u0000") {
        find_nul(&params.value, "", &mut errors);
    }
    if let Some(validator) = context.site.validator(&api.name) {
        let misfits = validator.iter_errors(&params.value).take(ERRORS_TOLD);
        errors.extend(
            misfits.map(|error| {
                FieldError::new(&error.to_string(), &error.instance_path().to_string())
            }),
        );
    }
    if errors.is_empty() {
        return Ok(());
    }
    errors.truncate(ERRORS_TOLD);
    let detail = format!("the body does not fit the API {}", api.name);
    Err(Kind::ValidationFailed.problem(detail).with_errors(errors))
}

/// Finds strings and names with a NUL, which much of what a script may call takes for their end.
fn find_nul(value: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let nul = |at: &str| FieldError::new("a NUL character is not taken", at);
    match value {
        Value::String(text) if text.contains('\0') => errors.push(nul(at)),
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                find_nul(item, &format!("{at}/{n}"), errors);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let at = format!("{at}{}", pointer(name));
                if name.contains('\0') {
                    errors.push(nul(&at));
                }
                find_nul(member, &at, errors);
            }
        }
        _ => {}
    }
}

/// A member's name as a JSON Pointer.
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Whether a header is a `traceparent` of version 00 (W3C Trace Context); another one is not passed on.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let hex = |part: &str, length| {
        part.len() == length
            && part
                .bytes()
                .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
    };
    matches!(parts[..], ["00", trace, parent, flags] if hex(trace, 32) && hex(parent, 16) && hex(flags, 2))
}
