//! The header `Idempotency-Key`: what a submission is known by when it is sent again.

use actix_web::http::header::HeaderName;

use crate::context::Context;
use crate::problem::{Kind, Problem};

/// The header (IETF draft `draft-ietf-httpapi-idempotency-key-header`).
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in characters.
const LONGEST: usize = 255;

/// The key that a client sent, if it sent one.
///
/// # Errors
/// `idempotency-key-invalid` where it is no key, or there are two.
pub fn key(context: &Context) -> Result<Option<String>, Problem> {
    let mut values = context.request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(invalid("it is given twice"));
    }
    let text = value.to_str().ok().filter(|text| !text.contains('\t'));
    let text = text.ok_or_else(|| invalid("it is no text of ASCII without control characters"))?;
    let key = unquoted(text.trim()).ok_or_else(|| invalid("its quotes do not fit"))?;
    match key.chars().count() {
        1..=LONGEST => Ok(Some(key)),
        0 => Err(invalid("it is empty")),
        _ => Err(invalid("it is longer than 255 characters")),
    }
}

fn invalid(why: &str) -> Problem {
    Kind::IdempotencyKeyInvalid.problem(format!("Idempotency-Key: {why}"))
}

/// A string of RFC 9651 section 3.3.3, or the text as it is where it has no quotes.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else {
        return (!text.contains('"')).then(|| text.to_owned());
    };
    let inner = rest.strip_suffix('"')?;
    let mut key = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => key.push(characters.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            other => key.push(other),
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::unquoted;

    #[test]
    fn a_key_is_a_quoted_string_or_bare() {
        for (text, key) in [
            (r#""8e03978e-40d5""#, Some("8e03978e-40d5")),
            ("8e03978e-40d5", Some("8e03978e-40d5")),
            (r#""a \"b\" \\c""#, Some(r#"a "b" \c"#)),
            (r#""a"#, None),
            (r#"a""#, None),
            (r#""a"b""#, None),
            (r#""a\b""#, None),
            (r#"""#, None),
            (r#""a\""#, None),
            (r#""""#, Some("")),
        ] {
            assert_eq!(unquoted(text).as_deref(), key, "{text}");
        }
    }
}
