//! `/jobs/{uuid}`: a job as people see it, from its place in the queue to its result.

mod brief;
mod material;
pub mod outcome;
pub mod series;
pub mod survey;
pub mod unit;
mod view;
pub mod words;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use shared_folder::finish::Cancel;

use self::view::JobPage;
use super::Reader;
use super::reader::go_to;
use super::{KEY, form_key};
use crate::body;
use crate::context::Context;
use crate::health::living_workers;
use crate::job_json::Job;
use crate::problem::{Kind, Problem};
use crate::v1::jobs::submit::{Asked, enqueue};
use crate::v1::jobs::{find, rerun, unknown};

/// The form that submits a job again has no more than its key, in bytes.
const FORM_LIMIT: u64 = 4 << 10;

/// Shows a job.
///
/// # Errors
/// `not-found`, `job-expired`, trouble with the folder.
pub async fn job(context: Context) -> Result<HttpResponse, Problem> {
    let reader = Reader::of(&context.request);
    let seen = find(&context).await?;
    let job = Job::new(&context, &seen);
    let has_worker = job.status.is_final() || !living_workers(&context).await?.is_empty();
    let (state, site) = (context.state.clone(), context.site.clone());
    let (language, now) = (reader.language, state.clock.now());
    let api = site.catalog.get(&job.api).cloned();
    let gathered = web::block(move || {
        let schema = api.as_ref().and_then(|api| api.schema.as_ref());
        material::gather(&state.folder, &seen, schema, language, now)
    });
    let page = JobPage::new(&context, &reader, job, gathered.await?, has_worker);
    reader.answer(StatusCode::OK, &page)
}

/// Cancels a job, and leads back to it. One that has ended meanwhile says so itself.
///
/// # Errors
/// `forbidden` where another site sent it; `not-found`, `job-expired`, trouble with the folder.
pub async fn cancel(context: Context) -> Result<HttpResponse, Problem> {
    let uuid = find(&context).await?.entry.uuid;
    let (state, now) = (context.state.clone(), context.state.clock.now());
    match web::block(move || state.folder.cancel(uuid, now)).await?? {
        Cancel::Canceled | Cancel::Requested => {
            tracing::info!(job.id = %uuid, request.id = %context.id, "a job's end was asked for");
        }
        Cancel::AlreadyFinal(_) => {}
        Cancel::Unknown => return Err(unknown(&context, uuid)),
    }
    Ok(go_to(&format!("/jobs/{uuid}")))
}

/// Submits what a job was submitted with, and leads to the new job.
///
/// # Errors
/// `forbidden` where another site sent it; as for a submission.
pub async fn rerun(context: Context, payload: &mut web::Payload) -> Result<HttpResponse, Problem> {
    let form = body::read_any(&context, payload, FORM_LIMIT).await?;
    let key = key_in(&form).map(|key| format!("rerun-{key}"));
    let submission = rerun::submission(&context).await?;
    match enqueue(&context, submission, key, Asked::default()).await? {
        Some((accepted, _)) => Ok(go_to(&format!("/jobs/{}", accepted.uuid()))),
        None => Err(Kind::Internal.problem("a job was only checked")),
    }
}

/// The key of a form (`application/x-www-form-urlencoded`, WHATWG URL section 5.1); nothing where it has none.
fn key_in(form: &[u8]) -> Option<String> {
    let form = str::from_utf8(form).ok()?;
    let fields = web::Query::<Vec<(String, String)>>::from_query(form).ok()?;
    let (_, key) = fields.iter().find(|(name, _)| name == KEY)?;
    (!key.is_empty()).then(|| form_key(key))
}

#[cfg(test)]
mod tests {
    use super::key_in;

    #[test]
    fn the_key_of_a_form_is_read_as_forms_are_written() {
        let long = "k".repeat(100);
        for (form, key) in [
            ("key=k1", Some("k1")),
            ("other=1&key=k1&key=k2", Some("k1")),
            ("key=a%2Bb+c%3D", Some("a+b c=")),
            (&format!("key={long}"), Some(&long[..64])),
            ("key=", None),
            ("keys=k1", None),
            ("", None),
        ] {
            assert_eq!(key_in(form.as_bytes()).as_deref(), key, "{form}");
        }
        assert_eq!(key_in(b"key=\xff"), None);
    }
}
