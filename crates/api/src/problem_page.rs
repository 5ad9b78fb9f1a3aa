//! `GET /problems/{name}`: what a problem's type means, for whoever opens its URL.

use actix_web::HttpResponse;
use actix_web::http::header;

use crate::context::Context;
use crate::problem::{Facts, Kind, Problem};

/// Explains a problem.
///
/// # Errors
/// Where there is none of this name.
pub fn page(context: &Context) -> Result<HttpResponse, Problem> {
    let wanted = context.parameter("name");
    let facts = Kind::ALL
        .iter()
        .map(|kind| kind.facts())
        .find(|facts| facts.name == wanted);
    let Some(facts) = facts else {
        return Err(Kind::NotFound.problem("there is no problem of this name"));
    };
    let Facts {
        name,
        title,
        status,
        advice,
    } = facts;
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title>\n<h1>{title}</h1>\n<p><code>{name}</code>, status {status}.</p>\n<p>{advice}</p>\n</html>\n"
    );
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'"))
        .body(page))
}
