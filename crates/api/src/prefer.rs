//! What a client would like beside what it asks for (`Prefer`, RFC 7240).

use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName};

/// What a client would like.
pub const PREFER: HeaderName = HeaderName::from_static("prefer");
/// What of it was heeded.
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Nobody is kept waiting for longer; who would like more is answered after this time.
const LONGEST_WAIT: u64 = 60;

/// How long the client would like to wait for an answer: whole seconds, at most 60. Of several the first counts; what
/// cannot be understood is no wish, and wishes of other kinds are not heeded.
pub fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers
        .get_all(PREFER)
        .filter_map(|value| value.to_str().ok());
    let wishes = values.flat_map(|value| value.split(','));
    let wait = wishes.filter_map(|wish| {
        // A wish may have parameters of its own behind a semicolon.
        let (name, value) = wish.split(';').next()?.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("wait")
            .then(|| value.trim().trim_matches('"').to_owned())
    });
    seconds(&wait.into_iter().next()?)
}

fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    // More than fits into a number is more than anybody is kept waiting for.
    let asked = digits.then(|| text.parse().unwrap_or(u64::MAX))?;
    Some(Duration::from_secs(asked.min(LONGEST_WAIT)))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_wish_to_wait_is_found_among_others_and_kept_within_bounds() {
        let wait_of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(PREFER, HeaderValue::from_static(value));
            }
            wait(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(wait_of(&[]), None);
        for (value, seconds) in [
            ("wait=30", Some(30)),
            ("Wait = 5", Some(5)),
            ("wait=\"7\"", Some(7)),
            (
                "respond-async, wait=10; priority=1, handling=lenient",
                Some(10),
            ),
            ("wait=0", Some(0)),
            ("wait=61", Some(60)),
            ("wait=1000000000", Some(60)),
            ("wait=99999999999999999999999", Some(60)),
            ("wait=1, wait=2", Some(1)),
            ("wait=abc, wait=2", None),
            ("wait=-1", None),
            ("wait=1e9", None),
            ("wait=1.5", None),
            ("wait=", None),
            ("wait", None),
            ("waiting=3", None),
            ("", None),
        ] {
            assert_eq!(wait_of(&[value]), seconds, "{value}");
        }
        assert_eq!(wait_of(&["respond-async", "wait=3"]), Some(3));
    }
}
