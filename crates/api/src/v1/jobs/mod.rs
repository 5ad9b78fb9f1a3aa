//! `/api/v1/jobs`

pub mod cancel;
pub mod job;
pub mod list;
pub mod log;
pub mod result;
pub mod submit;

use actix_web::web;
use job_core::ids::JobId;
use shared_folder::JobView;

use crate::dispatch::Context;
use crate::problem::{Kind, Problem};

/// The job that the URL names.
///
/// # Errors
/// `not-found`; `job-expired` where the id's own time is before the retention.
async fn find(context: &Context) -> Result<JobView, Problem> {
    let uuid = id(context)?;
    let state = context.state.clone();
    let now = state.clock.now();
    let view = web::block(move || state.folder.job(uuid, now)).await??;
    view.ok_or_else(|| unknown(context, uuid))
}

/// The id that the URL names. What is no id is as unknown as one that nobody gave out.
fn id(context: &Context) -> Result<JobId, Problem> {
    context
        .parameter("uuid")
        .parse()
        .map_err(|_| Kind::NotFound.problem("there is no such job"))
}

fn unknown(context: &Context, uuid: JobId) -> Problem {
    let keep = context.state.config.options.keep;
    let now = context.state.clock.now().unix_millis();
    match uuid.made_at_millis() {
        Some(made) if now - made > keep.num_milliseconds() => Kind::JobExpired.problem(format!(
            "finished jobs are kept for {} days",
            keep.num_days()
        )),
        _ => Kind::NotFound.problem("there is no such job"),
    }
}
