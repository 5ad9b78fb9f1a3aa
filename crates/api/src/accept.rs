//! What a client takes of what an endpoint has to give (`Accept`, RFC 9110 section 12.5.1).

use actix_web::http::header::{self, HeaderMap};

/// Whether the client takes one of these media types.
pub fn takes(headers: &HeaderMap, media_types: &[&str]) -> bool {
    preferred(headers, media_types).is_some()
}

/// The media type that the client likes best, of several alike the first; nothing where it takes none. Who says
/// nothing, or nothing that can be understood, takes anything.
pub fn preferred<'t>(headers: &HeaderMap, media_types: &[&'t str]) -> Option<&'t str> {
    let values = headers.get_all(header::ACCEPT);
    let values = values.filter_map(|value| value.to_str().ok());
    let ranges: Vec<_> = values
        .flat_map(|value| value.split(','))
        .filter_map(Range::parse)
        .collect();
    let mut best = (None, 0.0);
    for media_type in media_types {
        let weight = weight(&ranges, media_type);
        if weight > best.1 {
            best = (Some(*media_type), weight);
        }
    }
    best.0
}

fn weight(ranges: &[Range<'_>], media_type: &str) -> f32 {
    if ranges.is_empty() {
        return 1.0;
    }
    let fits = ranges.iter().filter(|range| range.fits(media_type));
    // The most specific range counts: `*/*, application/json;q=0` takes all but JSON.
    let best = fits.max_by_key(|range| range.specificity());
    best.map_or(0.0, |range| range.weight)
}

/// One of the ranges of media types that a client takes, or takes not.
struct Range<'a> {
    kind: &'a str,
    subkind: &'a str,
    /// From 0, which is not at all, to 1.
    weight: f32,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subkind) = parts.next()?.split_once('/')?;
        let weight = |part: &str| {
            let weight = part.strip_prefix("q=").or(part.strip_prefix("Q="))?;
            weight
                .parse()
                .ok()
                .filter(|weight| (0.0..=1.0).contains(weight))
        };
        Some(Range {
            kind,
            subkind,
            weight: parts.find_map(weight).unwrap_or(1.0),
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
            takes(&headers, &["application/json"])
        };
        assert!(takes(&HeaderMap::new(), &["application/json"]));
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

    #[test]
    fn of_several_the_one_that_is_liked_best_is_given() {
        let of = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            preferred(&headers, &["application/json", "text/csv"])
        };
        for (accept, given) in [
            ("*/*", Some("application/json")),
            ("text/csv", Some("text/csv")),
            ("text/csv, application/json", Some("application/json")),
            ("text/csv, application/json;q=0.9", Some("text/csv")),
            ("text/csv, */*;q=0.1", Some("text/csv")),
            ("text/*;q=0.5, application/json;q=0.2", Some("text/csv")),
            ("text/csv;q=7", Some("text/csv")),
            ("text/html", None),
        ] {
            assert_eq!(of(accept), given, "{accept}");
        }
    }
}
