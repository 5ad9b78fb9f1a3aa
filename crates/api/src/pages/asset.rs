//! `GET /assets/{name}`: what pages load besides themselves.

use actix_web::HttpResponse;
use actix_web::http::header;
use page_parts::assets;

use crate::context::Context;
use crate::problem::{Kind, Problem};

/// Hands out an asset. Its name changes with its content, so whoever has it need not ask again.
///
/// # Errors
/// `not-found`.
pub fn asset(context: &Context) -> Result<HttpResponse, Problem> {
    let asset = assets::find(context.parameter("name"))
        .ok_or_else(|| Kind::NotFound.problem("there is nothing at this URL"))?;
    Ok(HttpResponse::Ok()
        .content_type(asset.media_type)
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(asset.content))
}
