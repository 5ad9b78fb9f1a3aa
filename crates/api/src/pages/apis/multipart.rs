//! What a form sends (`multipart/form-data`, RFC 7578).

use actix_multipart::{Multipart, MultipartError};
use actix_web::web;
use futures_util::{StreamExt, stream};
use page_parts::{Language, language};

use super::form::Given;
use super::form::sheet::decode;
use crate::body;
use crate::context::Context;
use crate::pages::{KEY, form_key};
use crate::problem::{Kind, Problem};

/// What stands in front of a field's pointer in the name of its control.
pub(super) const VALUE: &str = "value";
/// The same for the choice of its column.
pub(super) const COLUMN: &str = "column";
/// The control for the file with columns.
pub(super) const FILE: &str = "sheet-file";
/// The control for what is pasted in its place.
pub(super) const PASTED: &str = "sheet";
/// A form as it was sent.
#[derive(Debug)]
pub(super) struct Sent {
    /// What stands in its fields.
    pub(super) given: Given,
    /// Its own key.
    pub(super) key: String,
    /// It is not to be submitted, but shown again in this language.
    pub(super) language: Option<Language>,
}

/// Reads a form of at most as many bytes as a request may have.
///
/// # Errors
/// `payload-too-large`, `request-timeout`, `bad-request`, `unsupported-media-type`.
pub(super) async fn read(context: &Context, payload: &mut web::Payload) -> Result<Sent, Problem> {
    let limit = context.state.config.options.request_limit;
    let body = body::read_any(context, payload, limit).await?;
    let whole = stream::iter([Ok(web::Bytes::from(body))]);
    let mut parts = Multipart::new(context.request.headers(), whole);
    let mut sent = Sent {
        given: Given::default(),
        key: String::new(),
        language: None,
    };
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(refused)?;
        let name = part.name().map(unescaped).unwrap_or_default();
        let mut content = Vec::new();
        while let Some(piece) = part.next().await {
            content.extend_from_slice(&piece.map_err(refused)?);
        }
        sent.take(&name, &content);
    }
    Ok(sent)
}

impl Sent {
    /// Takes one part. What belongs to no field of the form is never looked at.
    fn take(&mut self, name: &str, content: &[u8]) {
        let text = || String::from_utf8_lossy(content).into_owned();
        if name == KEY {
            self.key = form_key(&text());
        } else if name == language::CONTROL {
            self.language = Language::of_code(&text());
        } else if name == FILE {
            if !content.is_empty() {
                self.given.sheet = decode(content);
            }
        } else if name == PASTED {
            // A file that was chosen is newer than what was pasted before.
            if self.given.sheet.is_empty() {
                self.given.sheet = text();
            }
        } else if let Some(pointer) = name.strip_prefix(COLUMN) {
            if let Ok(column) = text().parse() {
                self.given.columns.insert(pointer.to_owned(), column);
            }
        } else if let Some(pointer) = name.strip_prefix(VALUE) {
            self.given.texts.insert(pointer.to_owned(), text());
        }
    }
}

/// A control's name: browsers write three characters of it differently (WHATWG HTML, section 4.10.22.7).
fn unescaped(name: &str) -> String {
    let name = name.replace("%22", "\"");
    name.replace("%0D", "\r").replace("%0A", "\n")
}

fn refused(error: MultipartError) -> Problem {
    match error {
        MultipartError::ContentTypeMissing
        | MultipartError::ContentTypeParse
        | MultipartError::ContentTypeIncompatible
        | MultipartError::BoundaryMissing => {
            Kind::UnsupportedMediaType.problem("Content-Type: multipart/form-data is due")
        }
        other => Kind::BadRequest.problem(format!("the form cannot be read: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_go_where_their_names_say() {
        let mut sent = Sent {
            given: Given::default(),
            key: String::new(),
            language: None,
        };
        for (name, content) in [
            ("value/n", "1"),
            ("value", "{}"),
            ("column/s", "1"),
            ("column/t", ""),
            ("sheet-file", "a,b\n"),
            ("sheet", "older"),
            ("key", "k"),
            ("lang", "en"),
            ("other", "x"),
        ] {
            sent.take(name, content.as_bytes());
        }
        assert_eq!((sent.given.text("/n"), sent.given.text("")), ("1", "{}"));
        assert_eq!(sent.given.columns, [("/s".to_owned(), 1)].into());
        assert_eq!(
            (sent.given.sheet.as_str(), sent.key.as_str()),
            ("a,b\n", "k")
        );
        assert_eq!(sent.language, Some(Language::En));
        assert_eq!(unescaped("value/a%22b"), "value/a\"b");
    }
}
