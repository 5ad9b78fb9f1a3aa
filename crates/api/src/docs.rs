//! `GET /openapi.json`: the API's description. `GET /docs`: the same for people, as Swagger UI, without any other server.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName};
use utoipa_swagger_ui::Config;

use crate::context::Context;
use crate::problem::{Kind, Problem};

/// The page loads nothing from elsewhere; it sets styles itself, and has its pictures in itself.
const POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
);

/// The description of what there is at this moment.
pub fn openapi(context: &Context) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .json(&context.site.openapi)
}

/// Where the documentation begins.
pub fn front() -> HttpResponse {
    HttpResponse::Found()
        .insert_header((header::LOCATION, "/docs/index.html"))
        .finish()
}

/// A part of the documentation.
///
/// # Errors
/// `not-found` where there is none of this name.
pub fn file(context: &Context) -> Result<HttpResponse, Problem> {
    let config = Arc::new(Config::from("/openapi.json").try_it_out_enabled(true));
    match utoipa_swagger_ui::serve(context.parameter("file"), config) {
        Ok(Some(file)) => Ok(HttpResponse::Ok()
            .content_type(file.content_type)
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header(POLICY)
            .body(file.bytes.into_owned())),
        Ok(None) => Err(Kind::NotFound.problem("there is nothing at this URL")),
        Err(error) => Err(Kind::Internal.problem(error.to_string())),
    }
}
