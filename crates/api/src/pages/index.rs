//! `GET /`: what can be run. `GET /jobs?id=…`: a job by its id.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use job_core::catalog::Api;
use job_core::ids::JobId;
use page_parts::{Page, markdown};

use super::Reader;
use super::reader::go_to;
use crate::context::Context;
use crate::health::living_workers;
use crate::problem::Problem;

#[derive(Template)]
#[template(path = "index.html")]
struct Index {
    page: Page,
    has_worker: bool,
    apis: Vec<Card>,
    /// What was searched for.
    id: String,
    /// What was searched for is no id.
    is_wrong: bool,
}

/// One API.
struct Card {
    name: String,
    label: String,
    summary: String,
}

/// Shows the APIs.
///
/// # Errors
/// Trouble with the folder.
pub async fn index(context: Context) -> Result<HttpResponse, Problem> {
    let reader = Reader::of(&context.request);
    let index = Index::new(&context, &reader).await?;
    reader.answer(StatusCode::OK, &index)
}

/// Leads to the job with the id that was entered.
///
/// # Errors
/// Trouble with the folder.
pub async fn find(context: Context) -> Result<HttpResponse, Problem> {
    let reader = Reader::of(&context.request);
    let pairs = web::Query::<Vec<(String, String)>>::from_query(context.request.query_string());
    let pairs = pairs.map(web::Query::into_inner).unwrap_or_default();
    let id = pairs.into_iter().find(|(name, _)| name == "id");
    let Some((_, id)) = id else {
        return Ok(go_to("/"));
    };
    // Ids are copied from wherever they stand: in capitals, or with blanks around.
    let id = id.trim().to_lowercase();
    if let Ok(uuid) = id.parse::<JobId>() {
        return Ok(go_to(&format!("/jobs/{uuid}")));
    }
    let mut index = Index::new(&context, &reader).await?;
    index.page = index.page.of_error();
    index.id = id.chars().take(100).collect();
    index.is_wrong = true;
    reader.answer(StatusCode::UNPROCESSABLE_ENTITY, &index)
}

impl Index {
    async fn new(context: &Context, reader: &Reader) -> Result<Self, Problem> {
        let card = |api: &Api| Card {
            name: api.name.to_string(),
            label: reader.say(&api.label.ja, &api.label.en).to_owned(),
            summary: api.description.as_deref().map_or_else(String::new, |text| {
                markdown::first_paragraph(text, reader.language)
            }),
        };
        Ok(Index {
            page: reader.page(reader.say("APIの一覧", "What can be run")),
            has_worker: !living_workers(context).await?.is_empty(),
            apis: context.site.catalog.iter().map(|api| card(api)).collect(),
            id: String::new(),
            is_wrong: false,
        })
    }
}
