//! What stands in the fields of a form: what a person entered, or what is proposed.

use std::collections::HashMap;

use serde_json::Value;

use super::field::{Field, Kind};

/// What stands in the fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// The text of each field, by its pointer.
    pub texts: HashMap<String, String>,
    /// The file with columns of numbers, as text; or what was pasted in its place.
    pub sheet: String,
    /// Which column belongs to which field, by the field's pointer; the first column is 0.
    pub columns: HashMap<String, usize>,
}

impl Given {
    /// What the schema proposes.
    pub fn defaults(fields: &[Field]) -> Self {
        let mut given = Given::default();
        for field in Field::leaves(fields) {
            if let Some(value) = &field.default {
                given.put(field, value);
            }
        }
        given
    }

    /// A request as it is.
    pub fn of(fields: &[Field], request: &Value) -> Self {
        let mut given = Given::default();
        for field in Field::leaves(fields) {
            if let Some(value) = request.pointer(&field.pointer) {
                given.put(field, value);
            }
        }
        given
    }

    /// The text of a field; empty where nothing stands in it.
    pub fn text(&self, pointer: &str) -> &str {
        self.texts.get(pointer).map_or("", String::as_str)
    }

    fn put(&mut self, field: &Field, value: &Value) {
        self.texts.insert(field.pointer.clone(), text(field, value));
    }
}

/// A value as it is written into its field.
fn text(field: &Field, value: &Value) -> String {
    match (&field.kind, value) {
        (Kind::Text { .. }, Value::String(text)) => text.clone(),
        (Kind::Series { .. }, Value::Array(items)) => {
            let lines: Vec<_> = items.iter().map(Value::to_string).collect();
            lines.join("\n")
        }
        (Kind::Json, value) => serde_json::to_string_pretty(value).unwrap_or_default(),
        (_, value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_filled_from_a_request_and_from_what_the_schema_proposes() {
        let schema = json!({"type": "object", "properties": {
            "n": {"type": "number", "default": 1},
            "t": {"type": "string"},
            "s": {"type": "array", "items": {"type": "number"}},
            "g": {"type": "object", "properties": {"c": {"enum": ["a", 2], "default": "a"}}},
            "j": {},
        }});
        let fields = Field::of(Some(&schema));
        let defaults = Given::defaults(&fields);
        assert_eq!((defaults.text("/n"), defaults.text("/g/c")), ("1", "\"a\""));
        let example = json!({"n": 5.0, "t": "<b>", "s": [0, -1.5], "g": {"c": 2}, "j": [null]});
        let given = Given::of(&fields, &example);
        for (pointer, text) in [
            ("/n", "5.0"),
            ("/t", "<b>"),
            ("/s", "0\n-1.5"),
            ("/g/c", "2"),
            ("/j", "[\n  null\n]"),
        ] {
            assert_eq!(given.text(pointer), text);
        }
    }
}
