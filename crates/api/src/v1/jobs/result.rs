//! `GET /api/v1/jobs/{uuid}/result`: what the job's script printed, as it printed it.

use actix_files::NamedFile;
use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use job_core::status::State;
use shared_folder::view::PublishedResponse;

use super::{find, send};
use crate::context::Context;
use crate::job_json::Job;
use crate::problem::{Kind, Problem};

/// Streams the result, or the part of it that is asked for.
///
/// # Errors
/// `result-not-ready`, `job-failed`, `job-canceled`, `result-corrupt`, `range-not-satisfiable`, `precondition-failed`,
/// and those of the job itself.
pub async fn result(context: Context) -> Result<HttpResponse, Problem> {
    let view = find(&context).await?;
    match &view.state {
        State::Done { .. } => {}
        State::Pending | State::Processing { .. } => {
            let job = Job::new(&context, &view);
            let problem = Kind::ResultNotReady.problem(format!("the job is {}", job.status));
            return Err(problem.retry_after(job.retry_after()));
        }
        State::Failed { failure, .. } => {
            return Err(Kind::JobFailed
                .problem("a failed job has no result")
                .with_failure(failure.clone()));
        }
        State::Canceled { .. } => {
            return Err(Kind::JobCanceled.problem("a canceled job has no result"));
        }
    }
    let uuid = view.entry.uuid;
    let receipt = view
        .receipt
        .ok_or_else(|| corrupt(&context, "it has no receipt"))?;
    let (state, now) = (context.state.clone(), context.state.clock.now());
    let opened = web::block(move || state.folder.published_response(&receipt, now)).await?;
    let file = match opened {
        Ok(PublishedResponse::Sound(file)) => file,
        Ok(PublishedResponse::Gone) => return Err(corrupt(&context, "it is gone")),
        Ok(PublishedResponse::Changed) => {
            return Err(corrupt(&context, "it is not what was published"));
        }
        Err(error) => return Err(corrupt(&context, &error.to_string())),
    };
    let named = NamedFile::from_file(file, "result.json")
        .map_err(|error| corrupt(&context, &error.to_string()))?;
    let answer = send(&context, named, "application/json")?;
    if context.request.method() == Method::GET && answer.status().is_success() {
        context
            .state
            .submitter
            .retrieved(uuid, context.state.clock.now());
    }
    Ok(answer)
}

fn corrupt(context: &Context, why: &str) -> Problem {
    tracing::error!(request.id = %context.id, job.id = context.parameter("uuid"), why, "a result cannot be read");
    Kind::ResultCorrupt.problem("the job is done, but its result cannot be read any more")
}
