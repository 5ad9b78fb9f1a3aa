//! `GET /problems/{name}`: what a problem's type means, for whoever opens its URL. It is for those who write programs, and
//! in English as what their programs are told.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use page_parts::{Language, Page};

use crate::context::Context;
use crate::pages::Reader;
use crate::problem::{Facts, Kind, Problem};

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    page: Page,
    name: &'static str,
    title: &'static str,
    status: u16,
    advice: &'static str,
}

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
    let reader = Reader::of(&context.request).in_language(Language::En);
    let page = ProblemPage {
        page: reader.page(title),
        name,
        title,
        status: status.as_u16(),
        advice,
    };
    reader.answer(StatusCode::OK, &page)
}
