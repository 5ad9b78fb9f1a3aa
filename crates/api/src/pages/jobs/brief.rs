//! A value of which only the begin is kept, and what is seen of the rest on the way.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;
use std::hash::BuildHasher;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::table::MOST_COLUMNS;

/// So many values are kept of one that lies deeper.
pub(super) const MOST_WITHIN: usize = 200;
/// So many characters of a text are kept.
pub(super) const LONGEST: usize = 2_000;

/// Reads a value of which no more than a number of values is kept.
pub(super) struct Brief<'a> {
    /// So many may still be kept.
    pub(super) budget: &'a Cell<usize>,
    /// Where it is an element of an array, what is known of all of them.
    pub(super) rows: Option<&'a RefCell<Rows>>,
}

impl<'a> Brief<'a> {
    /// The same for what lies within.
    fn within(&self) -> Brief<'a> {
        Brief {
            budget: self.budget,
            rows: None,
        }
    }

    /// Whether there is room for one more.
    fn has_room(&self) -> bool {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(1));
        left > 0
    }
}

impl<'de> DeserializeSeed<'de> for Brief<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Brief<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(cut(text).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while self.has_room() {
            match seq.next_element_seed(self.within())? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
        if seq.next_element::<IgnoredAny>()?.is_some() {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            items.push("…".into());
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let has_room = self.has_room();
            let value = map.next_value_seed(self.within())?;
            if let Some(rows) = self.rows {
                rows.borrow_mut().take(&name, &value);
            }
            if has_room {
                members.insert(cut(&name), value);
            } else {
                members.insert("…".into(), "…".into());
            }
        }
        Ok(Value::Object(members))
    }
}

/// What the elements of an array have, be it kept or not.
#[derive(Default)]
pub(super) struct Rows {
    /// The names of their members, as numbers that stand for them: up to one more than a table may have columns.
    pub(super) names: HashSet<u64>,
    /// Some members hold others.
    pub(super) have_depth: bool,
}

impl Rows {
    fn take(&mut self, name: &str, value: &Value) {
        self.have_depth |= !is_flat(value);
        if self.names.len() <= MOST_COLUMNS {
            let name = self.names.hasher().hash_one(name);
            self.names.insert(name);
        }
    }
}

/// Whether a value holds no others.
pub(super) fn is_flat(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
