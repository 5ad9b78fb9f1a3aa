//! What changes something is taken from our own pages only, and from what is no browser: a page of another site could
//! send it in its visitor's name.

use actix_web::http::header::{self, HeaderMap, HeaderName};

use crate::context::Context;
use crate::problem::{Kind, Problem};

/// Where the page that sent a request lies, as the browser says (W3C Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what the page of another site sent, but for looking at things.
///
/// # Errors
/// `forbidden`.
pub fn check(context: &Context) -> Result<(), Problem> {
    if context.request.method().is_safe() || is_ours(context.request.headers()) {
        return Ok(());
    }
    Err(Kind::Forbidden.problem("a page of another site sent this request"))
}

/// Browsers say where a page lies, or at least its origin; who says neither is no browser, and nobody's visitor.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    if let Some(site) = text(FETCH_SITE) {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN) else {
        return true;
    };
    let host = text(header::HOST).unwrap_or_default();
    let schemes = ["http://", "https://"];
    let mut named = schemes
        .iter()
        .filter_map(|scheme| origin.strip_prefix(scheme));
    named.any(|named| !host.is_empty() && named.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_form_of_another_site_is_told_from_ours() {
        for (site, origin, ours) in [
            (Some("same-origin"), None, true),
            (Some("none"), None, true),
            (Some("same-site"), Some("http://lab.example"), false),
            (Some("cross-site"), None, false),
            (Some(""), None, false),
            (None, Some("http://lab.example"), true),
            (None, Some("https://LAB.example"), true),
            (None, Some("http://lab.example.evil.example"), false),
            (None, Some("http://lab.example:8080"), false),
            (None, Some("null"), false),
            (None, None, true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("lab.example"));
            if let Some(site) = site {
                headers.insert(FETCH_SITE, HeaderValue::from_static(site));
            }
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_ours(&headers), ours, "{site:?} {origin:?}");
        }
    }
}
