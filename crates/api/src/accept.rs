//! Whether a client takes what an endpoint has to give (`Accept`, RFC 9110 section 12.5.1).

use actix_web::http::header::{self, HeaderMap};

/// Whether the client takes this media type. Who says nothing, or nothing that can be understood, takes anything.
pub fn takes(headers: &HeaderMap, media_type: &str) -> bool {
    let values = headers.get_all(header::ACCEPT);
    let values = values.filter_map(|value| value.to_str().ok());
    let ranges: Vec<_> = values
        .flat_map(|value| value.split(','))
        .filter_map(Range::parse)
        .collect();
    let fits = ranges.iter().filter(|range| range.fits(media_type));
    // The most specific range counts: `*/*, application/json;q=0` takes all but JSON.
    let best = fits.max_by_key(|range| range.specificity());
    ranges.is_empty() || best.is_some_and(|range| range.is_wanted)
}

/// One of the ranges of media types that a client takes, or takes not.
struct Range<'a> {
    kind: &'a str,
    subkind: &'a str,
    is_wanted: bool,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subkind) = parts.next()?.split_once('/')?;
        let is_none = |weight: &str| {
            let weight = weight.strip_prefix("q=").or(weight.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.parse() == Ok(0.0))
        };
        Some(Range {
            kind,
            subkind,
            is_wanted: !parts.any(is_none),
        })
    }

    fn fits(&self, media_type: &str) -> bool {
        let (kind, subkind) = media_type.split_once('/').unwrap_or((media_type, ""));
        let is = |range: &str, part: &str| range == "*" || range.eq_ignore_ascii_case(part);
        is(self.kind, kind) && is(self.subkind, subkind)
    }

    fn specificity(&self) -> (bool, bool) {
        (self.kind != "*", self.subkind != "*")
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_client_takes_what_its_ranges_cover() {
        let json = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            takes(&headers, "application/json")
        };
        assert!(takes(&HeaderMap::new(), "application/json"));
        for accept in [
            "*/*",
            "application/json",
            "APPLICATION/JSON; q=0.5",
            "application/*",
            "text/html, application/xhtml+xml, */*;q=0.8",
            "text/csv, application/json;q=0.1",
            "",
            "garbage",
            "*/*;q=0, application/json",
        ] {
            assert!(json(accept), "{accept}");
        }
        for accept in [
            "text/html",
            "text/*, image/png",
            "application/json;q=0",
            "*/*, application/json;q=0",
            "application/problem+json",
        ] {
            assert!(!json(accept), "{accept}");
        }
    }
}
