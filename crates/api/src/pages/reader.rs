//! Who reads a page, and how pages are answered.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use page_parts::{Language, Page, language};

use crate::accept;
use crate::context::Context;
use crate::problem::{Kind, Problem};

/// What a page may load: what we serve ourselves, and nothing written into the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// Somebody who reads pages.
#[derive(Debug, Clone)]
pub struct Reader {
    /// In which language.
    pub language: Language,
    /// The page's path.
    path: String,
    /// Its query, without `?`.
    query: String,
    /// The language was chosen just now, by the URL or in a form.
    has_chosen: bool,
}

impl Reader {
    /// Whoever sent this request.
    pub fn of(request: &HttpRequest) -> Self {
        let header = |name| request.headers().get(name)?.to_str().ok();
        let query = request.query_string();
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let chosen = pairs
            .find(|(name, _)| *name == language::CONTROL)
            .map(|(_, code)| code);
        let cookie = header(header::COOKIE).and_then(language::of_cookies);
        Reader {
            language: Language::choose(chosen, cookie, header(header::ACCEPT_LANGUAGE)),
            path: request.path().to_owned(),
            query: query.to_owned(),
            has_chosen: chosen.and_then(Language::of_code).is_some(),
        }
    }

    /// The same, where it is a page that answers: nothing where a program is to be answered.
    pub fn of_pages(request: &HttpRequest) -> Option<Self> {
        is_for_people(request.path(), request.headers()).then(|| Reader::of(request))
    }

    /// The same, where there is a page in one language only.
    pub fn in_language(self, language: Language) -> Self {
        Reader { language, ..self }
    }

    /// The same, who has chosen this language just now.
    pub fn choosing(self, language: Language) -> Self {
        Reader {
            language,
            has_chosen: true,
            ..self
        }
    }

    /// Of a text in both languages, the one to be read.
    pub fn say<'a>(&self, ja: &'a str, en: &'a str) -> &'a str {
        self.language.say(ja, en)
    }

    /// The frame of the page.
    pub fn page(&self, title: impl Into<String>) -> Page {
        Page::new(self.language, title, &self.query)
    }

    /// The page's path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The answer that shows a page.
    ///
    /// # Errors
    /// `internal` where the page cannot be written.
    pub fn answer(
        &self,
        status: StatusCode,
        page: &impl Template,
    ) -> Result<HttpResponse, Problem> {
        Ok(self.answer_with(status, write(page)?))
    }

    /// The answer that shows a page which has been written already.
    pub fn answer_with(&self, status: StatusCode, markup: String) -> HttpResponse {
        let mut answer = HttpResponse::build(status);
        answer
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
            // Not "no-referrer": forms would then be sent with `Origin: null`, as if from elsewhere.
            .insert_header((header::REFERRER_POLICY, "same-origin"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::CONTENT_LANGUAGE, self.language.code()))
            .insert_header((header::VARY, "Accept-Language, Cookie"));
        if self.has_chosen {
            answer.insert_header((header::SET_COOKIE, self.language.cookie()));
        }
        answer.body(markup)
    }
}

/// Writes a page.
///
/// # Errors
/// `internal` where it cannot be written.
pub(super) fn write(page: &impl Template) -> Result<String, Problem> {
    page.render()
        .map_err(|error| Kind::Internal.problem(format!("a page cannot be written: {error}")))
}

/// The answer that leads to another page.
pub(super) fn go_to(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// The title of an API in the reader's language.
pub(super) fn label(context: &Context, reader: &Reader, api: &job_core::ids::ApiName) -> String {
    match context.site.catalog.get(api) {
        Some(api) => reader.say(&api.label.ja, &api.label.en).to_owned(),
        None => api.to_string(),
    }
}

/// Whether it is a page that answers at this URL. Elsewhere, but for the API, only who asks for HTML by name gets it.
fn is_for_people(path: &str, headers: &HeaderMap) -> bool {
    let is_page =
        path == "/" || path == "/jobs" || path.starts_with("/jobs/") || path.starts_with("/apis/");
    let accepts = headers.get_all(header::ACCEPT);
    let names_html = accepts
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("text/html"));
    let may_be = is_page || (names_html && !path.starts_with("/api/"));
    may_be && accept::takes(headers, &["text/html"])
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn people_get_pages_and_programs_get_documents() {
        for (path, accept, is_page) in [
            ("/", None, true),
            ("/jobs", Some("*/*"), true),
            ("/jobs/x", Some("text/html"), true),
            ("/jobs/x", Some("application/json"), false),
            ("/apis/soc", None, true),
            ("/nowhere", None, false),
            ("/nowhere", Some("*/*"), false),
            ("/nowhere", Some("text/html,*/*;q=0.8"), true),
            ("/nowhere", Some("text/html;q=0"), false),
            ("/api/v1/jobs/x", Some("text/html,*/*;q=0.8"), false),
            ("/jobsx", None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(is_for_people(path, &headers), is_page, "{path} {accept:?}");
        }
    }
}
