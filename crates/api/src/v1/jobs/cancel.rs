//! `DELETE /api/v1/jobs/{uuid}`: a client wants a job to end.

use actix_web::{HttpResponse, web};
use shared_folder::finish::Cancel;

use super::{find, id, unknown};
use crate::context::Context;
use crate::job_json::Job;
use crate::problem::{Kind, Problem};

/// Cancels a job that waits, or asks a running one to end.
///
/// # Errors
/// `not-found`, `job-expired`; `job-final` where it has ended.
pub async fn cancel(context: Context) -> Result<HttpResponse, Problem> {
    let uuid = id(&context)?;
    let state = context.state.clone();
    let now = state.clock.now();
    match web::block(move || state.folder.cancel(uuid, now)).await?? {
        Cancel::Canceled | Cancel::Requested => {
            tracing::info!(job.id = %uuid, request.id = %context.id, "a job's end was asked for");
            Ok(Job::new(&context, &find(&context).await?).answer(&context, HttpResponse::Ok()))
        }
        Cancel::AlreadyFinal(status) => {
            Err(Kind::JobFinal.problem(format!("the job has ended: it is {status}")))
        }
        Cancel::Unknown => Err(unknown(&context, uuid)),
    }
}
