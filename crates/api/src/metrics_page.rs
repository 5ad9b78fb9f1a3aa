//! `GET /metrics`: the figures of this process, as Prometheus collects them (text format 0.0.4).

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::context::Context;
use crate::problem::Problem;

/// All figures, with those of the queue as it is now; they stay as they were where it cannot be read.
///
/// # Errors
/// Where the server is ending.
pub async fn metrics_page(context: Context) -> Result<HttpResponse, Problem> {
    let state = context.state.clone();
    let text = web::block(move || {
        if let Err(error) = state.measures.look(&state.folder, state.clock.now()) {
            tracing::warn!(request.id = %context.id, error = %error, "the queue cannot be counted now");
        }
        state.measures.text(state.feed.waiting())
    });
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text.await?))
}
