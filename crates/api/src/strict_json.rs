//! JSON as it is taken from strangers: every document that is accepted means the same to every reader.
//!
//! Beyond what the JSON parser refuses by itself (NaN, lone surrogates, a second document), no name may stand twice in
//! an object (RFC 8259 section 4 leaves its meaning open), and nothing is nested deeper than 32 levels.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Deepest nesting of objects and arrays.
pub const DEPTH_LIMIT: usize = 32;

/// Reads one document.
///
/// # Errors
/// What is wrong, with line and column.
pub fn parse(bytes: &[u8]) -> Result<Value, String> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err("it begins with a byte order mark".into());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: {error}"))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| error.to_string())
}

struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: Error>(&self) -> Result<Strict, E> {
        if self.depth == DEPTH_LIMIT {
            return Err(E::custom(format_args!(
                "it is nested deeper than {DEPTH_LIMIT} levels"
            )));
        }
        Ok(Strict {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is too large"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.deeper()?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(self.deeper()?)?;
            if !names.insert(name.clone()) {
                let name: String = name.chars().take(100).collect();
                return Err(A::Error::custom(format_args!(
                    "the name {name:?} stands twice in one object"
                )));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_means_one_thing_is_taken() {
        let nested = format!("{}{}", "[".repeat(32), "]".repeat(32));
        for good in [
            "null",
            " {\"a\":[1,-2.5e3,\"\\u00e9\",true]} ",
            "1e308",
            nested.as_str(),
        ] {
            assert!(parse(good.as_bytes()).is_ok(), "{good}");
        }
        assert_eq!(
            parse(b"{\"b\":1,\"a\":2}").unwrap().to_string(),
            "{\"b\":1,\"a\":2}"
        );
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        let deep = "[".repeat(33);
        let bombs = "[".repeat(1_000_000);
        for bad in [
            "",
            "{",
            "NaN",
            "[Infinity]",
            "1 2",
            "{\"a\":1,\"a\":2}",
            "\"\\ud800\"",
            "1e400",
            "'x'",
            "{\"a\":1,}",
            "\u{feff}{}",
            deep.as_str(),
            bombs.as_str(),
        ] {
            assert!(
                parse(bad.as_bytes()).is_err(),
                "{}",
                &bad[..bad.len().min(20)]
            );
        }
        assert!(parse(b"\"\xff\"").is_err());
    }
}
