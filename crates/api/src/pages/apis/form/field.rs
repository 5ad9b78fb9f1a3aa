//! Which fields a schema has. A part that no field can show becomes a field for its JSON.

use serde_json::{Map, Value};

use crate::params::pointer;

/// Deepest nesting of groups; what lies deeper is entered as JSON.
const DEEPEST: usize = 6;
/// So many `$ref` are followed from one place.
const MOST_REFERENCES: usize = 8;
/// What may say more about a part than its fields would show.
const BEYOND_FIELDS: [&str; 9] = [
    "oneOf",
    "anyOf",
    "allOf",
    "not",
    "if",
    "dependentSchemas",
    "patternProperties",
    "prefixItems",
    "contains",
];

/// One place of a request that a person fills in.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Where it stands in the request, as a JSON Pointer (RFC 6901); empty for the whole of it.
    pub pointer: String,
    /// Its name in its object; empty for the whole request.
    pub name: String,
    /// What the schema calls it.
    pub title: Option<String>,
    /// What the schema says of it.
    pub description: Option<String>,
    /// Whether it must be there.
    pub required: bool,
    /// What the schema proposes.
    pub default: Option<Value>,
    /// What it takes.
    pub kind: Kind,
}

/// What a field takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A number.
    Number(Range),
    /// A text of so many characters; a long one gets room.
    Text {
        /// At least so many.
        shortest: Option<u64>,
        /// At most so many.
        longest: Option<u64>,
    },
    /// One of these values.
    Choice(Vec<Value>),
    /// Many numbers in a row.
    Series {
        /// What each of them may be.
        each: Range,
        /// At least so many.
        fewest: Option<u64>,
        /// At most so many.
        most: Option<u64>,
    },
    /// An object with fields of its own.
    Group(Vec<Field>),
    /// Any JSON.
    Json,
}

/// What a number may be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Range {
    /// Whether it has no decimals.
    pub integer: bool,
    /// It is at least this.
    pub least: Option<f64>,
    /// It is more than this.
    pub above: Option<f64>,
    /// It is at most this.
    pub most: Option<f64>,
    /// It is less than this.
    pub below: Option<f64>,
}

impl Field {
    /// The fields of a request: its members, or the one for the whole of it where it has none to show.
    pub fn of(schema: Option<&Value>) -> Vec<Field> {
        let whole = || {
            let json = Field {
                pointer: String::new(),
                name: String::new(),
                title: None,
                description: None,
                required: true,
                default: None,
                kind: Kind::Json,
            };
            vec![json]
        };
        let Some(schema) = schema else { return whole() };
        match kind(schema, schema, "", 0) {
            Kind::Group(fields) if !fields.is_empty() => fields,
            _ => whole(),
        }
    }

    /// All fields, those in groups included, and without the groups themselves.
    pub fn leaves(fields: &[Field]) -> Vec<&Field> {
        let mut leaves = Vec::new();
        for field in fields {
            match &field.kind {
                Kind::Group(inner) => leaves.extend(Field::leaves(inner)),
                _ => leaves.push(field),
            }
        }
        leaves
    }

    /// Whether it takes many numbers.
    pub fn is_series(&self) -> bool {
        matches!(self.kind, Kind::Series { .. })
    }

    /// Whether it takes many numbers, or has a field that does.
    pub fn has_series(&self) -> bool {
        match &self.kind {
            Kind::Group(fields) => fields.iter().any(Field::has_series),
            _ => self.is_series(),
        }
    }

    /// What it is called: by its title, else by its name.
    pub fn called(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }
}

fn kind(root: &Value, schema: &Value, at: &str, depth: usize) -> Kind {
    let Some(schema) = resolved(root, schema) else {
        return Kind::Json;
    };
    if BEYOND_FIELDS.iter().any(|word| schema.contains_key(*word)) {
        return Kind::Json;
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        return Kind::Choice(values.clone());
    }
    if let Some(value) = schema.get("const") {
        return Kind::Choice(vec![value.clone()]);
    }
    let count = |name: &str| schema.get(name).and_then(Value::as_u64);
    match schema.get("type").and_then(Value::as_str) {
        Some("boolean") => Kind::Choice(vec![Value::Bool(true), Value::Bool(false)]),
        Some("number" | "integer") => Kind::Number(range(schema)),
        Some("string") => Kind::Text {
            shortest: count("minLength"),
            longest: count("maxLength"),
        },
        Some("array") => match schema.get("items").and_then(|items| each(root, items)) {
            Some(each) => Kind::Series {
                each,
                fewest: count("minItems"),
                most: count("maxItems"),
            },
            None => Kind::Json,
        },
        Some("object") if depth < DEEPEST => group(root, schema, at, depth),
        _ => Kind::Json,
    }
}

fn group(root: &Value, schema: &Map<String, Value>, at: &str, depth: usize) -> Kind {
    let Some(Value::Object(members)) = schema.get("properties") else {
        return Kind::Json;
    };
    let required = schema.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|one| one == name));
    let field = |(name, part): (&String, &Value)| {
        let at = format!("{at}{}", pointer(name));
        let target = resolved(root, part);
        // What stands beside a `$ref` says more of this place than what it leads to.
        let said = |word: &str| part.get(word).or_else(|| target?.get(word));
        let text = |word: &str| said(word).and_then(Value::as_str).map(str::to_owned);
        Field {
            name: name.clone(),
            title: text("title"),
            description: text("description"),
            required: is_required(name),
            default: said("default").cloned(),
            kind: kind(root, part, &at, depth + 1),
            pointer: at,
        }
    };
    Kind::Group(members.iter().map(field).collect())
}

/// What each item of an array of plain numbers may be.
fn each(root: &Value, items: &Value) -> Option<Range> {
    match kind(root, items, "", DEEPEST) {
        Kind::Number(range) => Some(range),
        _ => None,
    }
}

fn range(schema: &Map<String, Value>) -> Range {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    Range {
        integer: schema.get("type").is_some_and(|name| name == "integer"),
        least: bound("minimum"),
        above: bound("exclusiveMinimum"),
        most: bound("maximum"),
        below: bound("exclusiveMaximum"),
    }
}

/// The object that a schema is, or leads to within the document.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a Map<String, Value>> {
    let mut schema = schema.as_object()?;
    for _ in 0..MOST_REFERENCES {
        let Some(reference) = schema.get("$ref") else {
            return Some(schema);
        };
        let path = reference.as_str()?.strip_prefix('#')?;
        schema = root.pointer(path)?.as_object()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kinds(schema: Value) -> Vec<(String, Kind)> {
        let fields = Field::of(Some(&schema)).into_iter();
        fields.map(|field| (field.pointer, field.kind)).collect()
    }

    #[test]
    fn each_part_of_a_schema_becomes_the_field_that_fits_it() {
        let schema = json!({"type": "object", "properties": {
            "n": {"type": "number", "exclusiveMinimum": 0, "maximum": 5},
            "i": {"type": "integer"},
            "t": {"type": "string", "maxLength": 9},
            "b": {"type": "boolean"},
            "e": {"enum": ["a", 1, null]},
            "s": {"type": "array", "minItems": 2, "items": {"type": "number", "minimum": 0}},
            "texts": {"type": "array", "items": {"type": "string"}},
            "both": {"type": ["number", "null"]},
            "one": {"oneOf": [{"type": "number"}, {"type": "string"}]},
            "a/b": {"type": "object", "properties": {"x~": {"$ref": "#/$defs/x"}}},
        }, "$defs": {"x": {"type": "integer", "title": "X"}}});
        let integer = Range {
            integer: true,
            ..Range::default()
        };
        let found = kinds(schema.clone());
        let of = |name: &str| &found.iter().find(|(at, _)| at == name).unwrap().1;
        let range = Range {
            above: Some(0.0),
            most: Some(5.0),
            ..Range::default()
        };
        assert_eq!(of("/n"), &Kind::Number(range));
        assert_eq!(of("/i"), &Kind::Number(integer.clone()));
        assert_eq!(
            of("/t"),
            &Kind::Text {
                shortest: None,
                longest: Some(9)
            }
        );
        assert_eq!(of("/b"), &Kind::Choice(vec![json!(true), json!(false)]));
        assert_eq!(
            of("/e"),
            &Kind::Choice(vec![json!("a"), json!(1), json!(null)])
        );
        assert!(
            matches!(of("/s"), Kind::Series { fewest: Some(2), most: None, each } if each.least == Some(0.0))
        );
        for json in ["/texts", "/both", "/one"] {
            assert_eq!(of(json), &Kind::Json, "{json}");
        }
        let Kind::Group(inner) = of("/a~1b") else {
            panic!()
        };
        assert_eq!(
            (inner[0].pointer.as_str(), inner[0].called()),
            ("/a~1b/x~0", "X")
        );
        assert_eq!(inner[0].kind, Kind::Number(integer));
        assert_eq!(Field::leaves(&Field::of(Some(&schema))).len(), 10);
    }

    #[test]
    fn a_schema_that_has_no_fields_is_one_field_for_json() {
        for schema in [
            json!(true),
            json!({}),
            json!({"type": "array", "items": {"type": "number"}}),
            json!({"type": "object"}),
            json!({"$ref": "#"}),
            json!({"$ref": "#/nowhere"}),
            json!({"type": "object", "properties": {"a": {}}, "anyOf": [{"required": ["a"]}]}),
        ] {
            assert_eq!(
                kinds(schema.clone()),
                [(String::new(), Kind::Json)],
                "{schema}"
            );
        }
        assert_eq!(Field::of(None)[0].kind, Kind::Json);
    }
}
