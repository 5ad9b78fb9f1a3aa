//! `/apis/{api}`: a form made from an API's schema, and what becomes of it.

pub mod form;
mod hint;
mod multipart;
mod view;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use job_core::catalog::Api;
use job_core::ids::ApiName;
use uuid::Uuid;

use self::form::{Field, Given, Misfit, What, read};
use self::multipart::Sent;
use self::view::FormPage;
use super::Reader;
use super::reader::{go_to, write};
use crate::context::Context;
use crate::health::living_workers;
use crate::problem::{FieldError, Kind, Problem};
use crate::v1::jobs::submit::{Asked, Submission, enqueue};

/// Shows the form, filled with what the schema proposes, or with the example (`?example=1`).
///
/// # Errors
/// `not-found`, `no-app-server`, trouble with the folder.
pub async fn form(context: Context) -> Result<HttpResponse, Problem> {
    let api = find(&context)?;
    let fields = Field::of(api.schema.as_ref());
    let query = context.request.query_string();
    let example = api.example.as_ref();
    let example = example.filter(|_| query.split('&').any(|pair| pair == "example=1"));
    let given = match example {
        Some(example) => Given::of(&fields, example),
        None => Given::defaults(&fields),
    };
    let key = Uuid::new_v4().to_string();
    let filled = Filled {
        fields,
        given,
        key,
        was_sent: false,
    };
    let reader = Reader::of(&context.request);
    show(&context, reader, api, filled, Vec::new()).await
}

/// Submits what the form holds, and leads to the job; or shows the form again with what is wrong, or in the language
/// that was asked for.
///
/// # Errors
/// `forbidden` where another site sent it; as for a submission, but for what a person can mend in the form.
pub async fn send(context: Context, payload: &mut web::Payload) -> Result<HttpResponse, Problem> {
    let api = find(&context)?;
    let Sent {
        given,
        key,
        language,
    } = multipart::read(&context, payload).await?;
    let schema = api.clone();
    // A large file takes its time to be read through.
    let read = web::block(move || {
        let fields = Field::of(schema.schema.as_ref());
        let body = read::read(&fields, &given);
        let filled = Filled {
            fields,
            given,
            key,
            was_sent: true,
        };
        (filled, body)
    });
    let (filled, body) = read.await?;
    let reader = Reader::of(&context.request);
    let body = match (body, language) {
        (Ok(body), None) => body,
        (Err(misfits), None) => return show(&context, reader, api, filled, misfits).await,
        (body, Some(language)) => {
            let misfits = body.err().unwrap_or_default();
            return show(&context, reader.choosing(language), api, filled, misfits).await;
        }
    };
    // A column may have been chosen for several fields.
    let limit = context.state.config.options.request_limit;
    if body.len() as u64 > limit {
        let detail = format!("a request may have at most {limit} bytes");
        return Err(Kind::PayloadTooLarge.problem(detail));
    }
    let submission = Submission {
        api: api.clone(),
        body: body.into_bytes(),
        parameters: Vec::new(),
    };
    let key = key_of(&filled.key, &submission.body);
    match enqueue(&context, submission, key, Asked::default()).await {
        Ok(Some((accepted, _))) => Ok(go_to(&format!("/jobs/{}", accepted.uuid()))),
        Ok(None) => Err(Kind::Internal.problem("a job was only checked")),
        Err(problem) if problem.kind() == Kind::ValidationFailed => {
            let misfits = problem.errors().iter().map(|error| misfit(&filled, error));
            let misfits = misfits.collect();
            show(&context, reader, api, filled, misfits).await
        }
        Err(problem) => Err(problem),
    }
}

/// A form with what stands in it.
pub(super) struct Filled {
    fields: Vec<Field>,
    given: Given,
    /// Tells this form from another of the same API: what is sent twice by a double click is one job.
    key: String,
    /// Somebody has entered it.
    was_sent: bool,
}

fn find(context: &Context) -> Result<Arc<Api>, Problem> {
    if context.site.catalog.is_empty() {
        return Err(Problem::no_worker("no worker has published any API yet"));
    }
    let name = context.parameter("api").parse::<ApiName>().ok();
    let api = name.and_then(|name| context.site.catalog.get(&name).cloned());
    api.ok_or_else(|| Kind::NotFound.problem("there is no API of this name"))
}

async fn show(
    context: &Context,
    reader: Reader,
    api: Arc<Api>,
    filled: Filled,
    misfits: Vec<Misfit>,
) -> Result<HttpResponse, Problem> {
    let has_worker = !living_workers(context).await?.is_empty();
    let status = if misfits.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let frame = reader.clone();
    // Its table is looked at again, and stands in it whole.
    let markup = web::block(move || {
        let page = FormPage::new(&frame, &api, &filled, &misfits, has_worker);
        write(&page)
    });
    Ok(reader.answer_with(status, markup.await??))
}

/// The key of a form's submission; none where the form has none. It is made of the form's key and of what was entered:
/// a form that is sent twice is one job, and one that was changed in between is another.
fn key_of(form: &str, body: &[u8]) -> Option<String> {
    use sha2::{Digest, Sha256};
    if form.is_empty() {
        return None;
    }
    let digest = Sha256::digest(body);
    let content: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("form-{form}-{content}"))
}

/// What the schema says is wrong, at the field that is nearest to the place.
fn misfit(filled: &Filled, error: &FieldError) -> Misfit {
    let leaves = Field::leaves(&filled.fields);
    let covers = |field: &&&Field| {
        error
            .pointer
            .strip_prefix(&field.pointer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let nearest = leaves
        .iter()
        .filter(covers)
        .max_by_key(|field| field.pointer.len());
    let place = nearest.map_or(error.pointer.as_str(), |field| &field.pointer);
    Misfit::new(place, What::Schema(error.detail.clone()))
}
