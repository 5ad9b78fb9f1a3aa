//! The pages for people: the same jobs as under `/api/v1`, as HTML. They work without scripts.
//!
//! The folders mirror the URLs. What all pages have in common is `page-parts`; templates are in `templates/`.

pub mod apis;
pub mod asset;
pub mod error;
pub mod index;
pub mod jobs;
mod reader;

use actix_web::{HttpResponse, web};

use crate::context::Context;
use crate::problem::Problem;

pub use reader::Reader;

/// The control for a form's own key, which tells what is sent twice by a double click.
pub(crate) const KEY: &str = "key";
/// The longest key of a form, in characters.
const LONGEST_KEY: usize = 64;

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `GET /`
    Index,
    /// `GET /assets/{name}`
    Asset,
    /// `GET /apis/{api}`
    Form,
    /// `POST /apis/{api}`
    Send,
    /// `GET /jobs`
    Find,
    /// `GET /jobs/{uuid}`
    Job,
    /// `POST /jobs/{uuid}/cancel`
    Cancel,
    /// `POST /jobs/{uuid}/rerun`
    Rerun,
}

/// Shows a page, or does what its form asks for.
///
/// # Errors
/// Those of the API's own endpoint for the same.
pub async fn show(
    place: Place,
    context: Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, Problem> {
    match place {
        Place::Index => index::index(context).await,
        Place::Asset => asset::asset(&context),
        Place::Form => apis::form(context).await,
        Place::Send => apis::send(context, payload).await,
        Place::Find => index::find(context).await,
        Place::Job => jobs::job(context).await,
        Place::Cancel => jobs::cancel(context).await,
        Place::Rerun => jobs::rerun(context, payload).await,
    }
}

/// The key of a form as it was sent, as far as it is taken.
fn form_key(sent: &str) -> String {
    sent.chars().take(LONGEST_KEY).collect()
}
