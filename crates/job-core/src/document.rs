//! Whether bytes are exactly one JSON document (RFC 8259), in little memory however large it is.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Checks that these bytes are exactly one JSON document in UTF-8, without a byte order mark.
///
/// # Errors
/// What is wrong, with line and column.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before
            .iter()
            .rev()
            .take_while(|byte| **byte != b'\n')
            .count()
            + 1;
        format!("invalid UTF-8 at line {line} column {column}")
    })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        return Err("byte order mark at line 1 column 1".to_owned());
    }
    serde_json::from_str(text)
        .map(|Checked| ())
        .map_err(|error| error.to_string())
}

/// Any JSON value, parsed and forgotten. `IgnoredAny` will not do: serde_json skips over lone
/// surrogates and any depth for it.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Checked)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn one_document_is_one_and_nothing_else_is() {
        for sound in ["{}", " [1, -2.5e3, \"\\ud83d\\ude00\"]\n", "null"] {
            assert_eq!(check(sound.as_bytes()), Ok(()), "{sound}");
        }
        for broken in ["", "{} {}", "NaN", "\"\\ud800\"", "\u{feff}{}", "[1,"] {
            assert!(check(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(check(b"\"\xff\"").is_err());
        assert!(check("[".repeat(1_000_000).as_bytes()).is_err());
    }
}
