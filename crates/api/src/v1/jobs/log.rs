//! `GET /api/v1/jobs/{uuid}/log`: what the job's script wrote to stderr so far.

use actix_files::NamedFile;
use actix_web::http::header;
use actix_web::{HttpResponse, web};

use super::{find, send};
use crate::context::Context;
use crate::problem::{Kind, Problem};

/// Streams the log; empty where nothing was written.
///
/// # Errors
/// `range-not-satisfiable`, `precondition-failed`, `result-corrupt` where it is no plain file, and those of the job itself.
pub async fn log(context: Context) -> Result<HttpResponse, Problem> {
    let uuid = find(&context).await?.entry.uuid;
    let state = context.state.clone();
    let opened = web::block(move || state.folder.log(uuid)).await?;
    let file = opened.map_err(|error| {
        tracing::error!(request.id = %context.id, job.id = %uuid, error = %error, "a log cannot be read");
        Kind::ResultCorrupt.problem("the job's log is there, but cannot be read")
    })?;
    let text = "text/plain; charset=utf-8";
    let Some(file) = file else {
        return Ok(HttpResponse::Ok()
            .content_type(text)
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .finish());
    };
    let named = NamedFile::from_file(file, "log.txt")
        .map_err(|error| Kind::Internal.problem(error.to_string()))?;
    send(&context, named, text)
}
