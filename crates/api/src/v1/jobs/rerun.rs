//! `POST /api/v1/jobs/{uuid}/rerun`: the same request once more, as a new job.

use actix_web::{HttpResponse, web};

use super::submit::{Submission, accept};
use super::{find, unknown};
use crate::body;
use crate::context::Context;
use crate::problem::{Kind, Problem};

/// Submits what a job was submitted with; the API's schema is that of today.
///
/// # Errors
/// `bad-request` where a body is sent; `not-found`, `job-expired`, also where no worker offers the job's API any more;
/// else as for a submission.
pub async fn rerun(context: Context) -> Result<HttpResponse, Problem> {
    if body::is_sent(&context) {
        let detail = "a rerun takes no body: to change something, submit to the API itself";
        return Err(Kind::BadRequest.problem(detail));
    }
    let submission = submission(&context).await?;
    accept(&context, submission).await
}

/// What the job of the URL was submitted with.
///
/// # Errors
/// `not-found`, `job-expired`, also where no worker offers the job's API any more.
pub(crate) async fn submission(context: &Context) -> Result<Submission, Problem> {
    let entry = find(context).await?.entry;
    let state = context.state.clone();
    let uuid = entry.uuid;
    let request = web::block(move || state.folder.request(uuid)).await??;
    let request = request.ok_or_else(|| unknown(context, uuid))?;
    let Some(api) = context.site.catalog.get(&entry.api).cloned() else {
        let detail = format!("no worker offers the API {} any more", entry.api);
        return Err(Kind::NotFound.problem(detail));
    };
    Ok(Submission {
        api,
        body: request.params.get().as_bytes().to_vec(),
        parameters: Vec::new(),
    })
}
