//! What a JSON document holds, read through once and kept only as far as a page shows it: the first elements of each
//! array, how many there are, and the course of its numbers. Of a long document no more is in memory at any time than
//! that and one text, the longest of it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::brief::{Brief, MOST_WITHIN, Rows, cut, is_flat};
use super::series::Series;
use crate::table::MOST_COLUMNS;

/// So many elements of an array are kept.
pub const FIRST: usize = 100;
/// So many members of an object are kept.
const MOST_MEMBERS: usize = 100;
/// Of so many members of a table's rows the course is kept.
const MOST_COURSES: usize = 20;

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// A text, a number, a truth or nothing; or what lies too deep to be more than JSON.
    Value(Value),
    /// An object.
    Members {
        /// Its first members.
        members: Vec<(String, Part)>,
        /// How many more there are.
        more: u64,
        /// All of them together can be had as CSV.
        is_table: bool,
    },
    /// An array.
    Items(Items),
}

/// An array.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Items {
    /// How many elements it has.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Value>,
    /// The course of its numbers, where all elements are some.
    pub series: Option<Series>,
    /// The courses of the members that all elements have as a number, where all are objects.
    pub columns: Vec<(String, Series)>,
    /// All elements are texts, numbers, truths or nothing.
    pub is_plain: bool,
    /// All elements are objects of these.
    pub is_table: bool,
    /// So many different names their members have; those beyond what CSV may have as columns count as one.
    pub width: usize,
}

/// Reads a document through.
///
/// # Errors
/// Where it is no JSON, or cannot be read.
pub fn survey(document: impl Read) -> serde_json::Result<Part> {
    let mut reader = serde_json::Deserializer::from_reader(BufReader::new(document));
    let part = PartSeed {
        may_have_parts: true,
    }
    .deserialize(&mut reader)?;
    reader.end()?;
    Ok(part)
}

impl Part {
    /// Its members; none where it is no object.
    pub fn members(&self) -> &[(String, Part)] {
        match self {
            Part::Members { members, .. } => members,
            _ => &[],
        }
    }

    /// Whether it can be had as CSV, as [`crate::table`] sees it.
    pub fn is_table(&self) -> bool {
        match self {
            Part::Items(items) => items.has_csv(),
            Part::Members { is_table, .. } => *is_table,
            Part::Value(_) => false,
        }
    }
}

/// Reads the document, or a member of it.
struct PartSeed {
    /// Its members are told apart; deeper ones are JSON.
    may_have_parts: bool,
}

impl<'de> DeserializeSeed<'de> for PartSeed {
    type Value = Part;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Part, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PartSeed {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Part, E> {
        Ok(Part::Value(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Part, E> {
        Ok(Part::Value(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Part, E> {
        Ok(Part::Value(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Part, E> {
        Ok(Part::Value(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Part, E> {
        Ok(Part::Value(Number::from_f64(value).into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Part, E> {
        Ok(Part::Value(cut(text).into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Part, A::Error> {
        let mut items = Items {
            series: Some(Series::default()),
            is_plain: true,
            is_table: true,
            ..Items::default()
        };
        let (budget, rows) = (Cell::new(MOST_WITHIN), RefCell::new(Rows::default()));
        let brief = || Brief {
            budget: &budget,
            rows: Some(&rows),
        };
        while let Some(value) = seq.next_element_seed(brief())? {
            items.take(value);
            budget.set(MOST_WITHIN);
        }
        let rows = rows.into_inner();
        items.width = rows.names.len();
        items.is_table &= !rows.have_depth;
        items.series = items.series.filter(|series| series.count > 0);
        let (count, is_table) = (items.count, items.is_table);
        items
            .columns
            .retain(|(_, series)| is_table && series.count == count);
        Ok(Part::Items(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
        if !self.may_have_parts {
            let brief = Brief {
                budget: &Cell::new(MOST_WITHIN),
                rows: None,
            };
            return brief.visit_map(map).map(Part::Value);
        }
        let (mut members, mut more) = (Vec::new(), 0);
        let mut arrays = Arrays::default();
        while let Some(name) = map.next_key::<String>()? {
            let seed = PartSeed {
                may_have_parts: false,
            };
            let part = map.next_value_seed(seed)?;
            if let Part::Items(items) = &part {
                arrays.take(items);
            }
            if members.len() < MOST_MEMBERS {
                members.push((cut(&name), part));
            } else {
                more += 1;
            }
        }
        Ok(Part::Members {
            members,
            more,
            is_table: arrays.are_table(),
        })
    }
}

impl Items {
    /// Whether CSV can be made of it alone.
    fn has_csv(&self) -> bool {
        self.is_table && self.width <= MOST_COLUMNS
    }

    fn take(&mut self, value: Value) {
        self.count += 1;
        match (value.as_f64(), &mut self.series) {
            (Some(number), Some(series)) => series.push(number),
            (None, Some(_)) => self.series = None,
            _ => {}
        }
        self.is_plain &= is_flat(&value);
        self.is_table &= value
            .as_object()
            .is_some_and(|members| members.values().all(is_flat));
        if let Some(members) = value.as_object().filter(|_| self.is_table) {
            self.take_row(members);
        }
        if self.first.len() < FIRST {
            self.first.push(value);
        }
    }

    /// Takes the numbers of a row. What the first row does not have is in not all of them.
    fn take_row(&mut self, members: &Map<String, Value>) {
        for (name, value) in members {
            let Some(number) = value.as_f64() else {
                continue;
            };
            let known = self.columns.iter().position(|(one, _)| one == name);
            match known {
                Some(place) => self.columns[place].1.push(number),
                None if self.count == 1 && self.columns.len() < MOST_COURSES => {
                    let mut series = Series::default();
                    series.push(number);
                    self.columns.push((name.clone(), series));
                }
                None => {}
            }
        }
    }
}

/// The arrays of an object: one of them is a table, or they are the columns of one.
#[derive(Default)]
struct Arrays {
    count: usize,
    /// So many of them are tables.
    tables: usize,
    /// How long the first is.
    length: u64,
    /// Some cannot be a column beside the first.
    differ: bool,
}

impl Arrays {
    fn take(&mut self, items: &Items) {
        if self.count == 0 {
            self.length = items.count;
        }
        self.count += 1;
        self.tables += usize::from(items.has_csv() && items.count > 0);
        self.differ |= !items.is_plain || items.count != self.length;
    }

    fn are_table(&self) -> bool {
        match self.tables {
            0 => !self.differ && (1..=MOST_COLUMNS).contains(&self.count),
            tables => tables == 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::brief::LONGEST;
    use super::*;

    fn of(text: &str) -> Part {
        survey(text.as_bytes()).unwrap()
    }

    #[test]
    fn parts_are_told_apart() {
        let part = of(
            r#"{"a": 1.0, "s": [1, 2.5], "t": [{"x": 1, "z": 2}, {"z": 3, "y": null}], "n": {"deep": [1]}, "e": []}"#,
        );
        let members = part.members();
        let items = |name: &str| match &members.iter().find(|(one, _)| one == name).unwrap().1 {
            Part::Items(items) => items.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(members[0], ("a".into(), Part::Value(json!(1.0))));
        assert_eq!(members[3].1, Part::Value(json!({"deep": [1]})));
        assert_eq!(items("s").series.unwrap().high, 2.5);
        assert!(items("t").is_table && items("t").series.is_none());
        let names: Vec<_> = items("t")
            .columns
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["z"], "of x and y some are missing");
        assert_eq!((items("e").count, items("e").series), (0, None));
        assert!(part.is_table(), "one of its arrays is");
        assert!(survey(&b"{\"a\": [1,"[..]).is_err());
    }

    #[test]
    fn what_can_be_had_as_csv_is_known() {
        for (document, is_table) in [
            ("[{\"a\": 1}, {\"b\": null}]", true),
            ("[]", true),
            ("{\"soc\": [1, 2], \"t\": [0, 1], \"last\": 2}", true),
            ("{\"soc\": [1, 2], \"t\": [0]}", false),
            ("{\"a\": [{\"x\": 1}], \"b\": [{\"x\": 1}]}", false),
            ("[[1]]", false),
            ("[1, 2]", false),
            ("[{\"a\": [1]}]", false),
            ("{\"a\": 1}", false),
            ("1", false),
        ] {
            assert_eq!(of(document).is_table(), is_table, "{document}");
            let csv = crate::table::Table::find(document);
            assert_eq!(csv.is_some(), is_table, "{document}");
        }
    }

    #[test]
    fn what_is_not_kept_counts_for_csv_all_the_same() {
        let members = |names: std::ops::Range<usize>, value: &str| {
            let members: Vec<_> = names.map(|n| format!("\"m{n}\":{value}")).collect();
            members.join(",")
        };
        let most = MOST_COLUMNS;
        for (document, is_table) in [
            (format!("[{{{}}}]", members(0..most, "1")), true),
            (format!("[{{{}}}]", members(0..most + 1, "1")), false),
            // Each row is narrow enough, and all together are not.
            (
                format!(
                    "{{\"a\": [{{{}}}, {{{}}}]}}",
                    members(0..600, "1"),
                    members(500..most + 1, "1")
                ),
                false,
            ),
            (
                format!("[{{{}, \"deep\": [1]}}]", members(0..300, "1")),
                false,
            ),
            (format!("{{{}}}", members(0..most, "[1]")), true),
            (format!("{{{}}}", members(0..most + 1, "[1]")), false),
            (
                format!("{{{}, \"odd\": [1, 2]}}", members(0..150, "[1]")),
                false,
            ),
            (
                format!("{{{}, \"rows\": [{{\"a\": 1}}]}}", members(0..150, "1")),
                true,
            ),
        ] {
            let begin = &document[..40];
            assert_eq!(of(&document).is_table(), is_table, "{begin}");
            let csv = crate::table::Table::find(&document);
            assert_eq!(csv.is_some(), is_table, "{begin}");
        }
    }

    #[test]
    fn of_a_long_document_only_a_part_is_kept() {
        let numbers: Vec<_> = (0..50_000).map(|n| n.to_string()).collect();
        let deep = "[".repeat(50) + &"1,".repeat(10_000) + "1" + &"]".repeat(50);
        let text = format!(
            "{{\"n\": [{}], \"d\": [{deep}], \"t\": {:?}}}",
            numbers.join(","),
            "x".repeat(9_000)
        );
        let part = of(&text);
        let Part::Items(items) = &part.members()[0].1 else {
            panic!()
        };
        assert_eq!((items.count, items.first.len()), (50_000, FIRST));
        let Part::Items(items) = &part.members()[1].1 else {
            panic!()
        };
        assert!(items.first[0].to_string().len() < 1_000);
        let Part::Value(Value::String(text)) = &part.members()[2].1 else {
            panic!()
        };
        assert_eq!(text.chars().count(), LONGEST + 1);
        let many: Vec<_> = (0..150).map(|n| format!("\"m{n}\": 1")).collect();
        let Part::Members { members, more, .. } = of(&format!("{{{}}}", many.join(","))) else {
            panic!()
        };
        assert_eq!((members.len(), more), (100, 50));
    }
}
