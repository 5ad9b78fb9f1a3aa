//! The request that a filled form makes, as JSON, or what is wrong with it.

use std::collections::HashMap;

use serde_json::Value;

use super::field::{Field, Kind, Range};
use super::given::Given;
use super::misfit::{Misfit, SHEET, What};
use super::number::json_number;
use super::row::Row;
use super::sheet::Sheet;
use crate::strict_json;

/// The request's text. Numbers stand in it as they were entered, to the last digit.
///
/// # Errors
/// What is wrong, in the order of the fields.
pub fn read(fields: &[Field], given: &Given) -> Result<String, Vec<Misfit>> {
    let mut reading = Reading {
        given,
        sheet: None,
        columns: HashMap::new(),
        misfits: Vec::new(),
    };
    reading.take_sheet(fields);
    let text = match fields {
        [whole] if whole.pointer.is_empty() => reading.json(whole),
        members => reading.object(members),
    };
    match (text, reading.misfits.is_empty()) {
        (Some(text), true) => Ok(text),
        (None, true) => Ok("{}".into()),
        _ => Err(reading.misfits),
    }
}

struct Reading<'a> {
    given: &'a Given,
    sheet: Option<Sheet<'a>>,
    /// The columns of the sheet, by the pointers of their fields.
    columns: HashMap<String, usize>,
    misfits: Vec<Misfit>,
}

impl Reading<'_> {
    fn wrong(&mut self, pointer: &str, what: What) {
        self.misfits.push(Misfit::new(pointer, what));
    }

    /// Shares the columns of the sheet out among the series: as chosen, else as is plain.
    fn take_sheet(&mut self, fields: &[Field]) {
        if self.given.sheet.trim().is_empty() {
            return;
        }
        let sheet = match Sheet::read(&self.given.sheet) {
            Ok(sheet) => sheet,
            Err(what) => return self.wrong(SHEET, what),
        };
        let leaves = Field::leaves(fields);
        let series: Vec<_> = leaves
            .into_iter()
            .filter(|field| field.is_series())
            .collect();
        let plain = sheet.plain_columns(&series);
        for field in series {
            let chosen = self.given.columns.get(&field.pointer).copied();
            let plain = plain.iter().find(|(one, _)| one.pointer == field.pointer);
            // Whoever chose some columns has seen them all.
            let plain = plain.filter(|_| self.given.columns.is_empty());
            match chosen.or(plain.map(|(_, column)| *column)) {
                Some(column) => {
                    self.columns.insert(field.pointer.clone(), column);
                }
                None if field.required && self.given.text(&field.pointer).trim().is_empty() => {
                    self.wrong(&field.pointer, What::WhichColumn);
                }
                None => {}
            }
        }
        self.sheet = Some(sheet);
    }

    /// An object of these members; nothing where none of them is there.
    fn object(&mut self, members: &[Field]) -> Option<String> {
        let mut text = String::new();
        for member in members {
            if let Some(value) = self.value(member) {
                text.push(if text.is_empty() { '{' } else { ',' });
                text.push_str(&Value::from(member.name.as_str()).to_string());
                text.push(':');
                text.push_str(&value);
            }
        }
        if text.is_empty() {
            return None;
        }
        text.push('}');
        Some(text)
    }

    /// A field's value as JSON; nothing where it is left out, or wrong.
    fn value(&mut self, field: &Field) -> Option<String> {
        if let Kind::Group(members) = &field.kind {
            return self.group(field, members);
        }
        if let Kind::Series { each, fewest, most } = &field.kind {
            return self.series(field, each, *fewest, *most);
        }
        let text = self.given.text(&field.pointer);
        let trimmed = text.trim();
        if trimmed.is_empty() {
            if field.required {
                self.wrong(&field.pointer, What::Missing);
            }
            return None;
        }
        match &field.kind {
            Kind::Number(range) => {
                let Some(number) = json_number(trimmed) else {
                    self.wrong(&field.pointer, What::no_number(trimmed));
                    return None;
                };
                if let Some(what) = range.misfit(&number) {
                    self.wrong(&field.pointer, what);
                }
                Some(number)
            }
            Kind::Text { shortest, longest } => {
                // A text area sends each end of a line as two characters (WHATWG HTML, section 4.10.22).
                let text = text.replace("\r\n", "\n");
                let length = text.chars().count() as u64;
                if let Some(least) = shortest.filter(|least| length < *least) {
                    self.wrong(&field.pointer, What::TooShort(least));
                }
                if let Some(most) = longest.filter(|most| length > *most) {
                    self.wrong(&field.pointer, What::TooLong(most));
                }
                Some(Value::from(text).to_string())
            }
            Kind::Choice(values) => {
                let chosen = values
                    .iter()
                    .map(Value::to_string)
                    .find(|value| value == text);
                if chosen.is_none() {
                    self.wrong(&field.pointer, What::NoChoice);
                }
                chosen
            }
            _ => self.json(field),
        }
    }

    /// A group that may be left out is there once something stands in it.
    fn group(&mut self, field: &Field, members: &[Field]) -> Option<String> {
        let before = self.misfits.len();
        let text = self.object(members);
        let is_blank = self.misfits[before..]
            .iter()
            .all(|misfit| misfit.what == What::Missing);
        if text.is_none() && is_blank && !field.required {
            self.misfits.truncate(before);
            return None;
        }
        Some(text.unwrap_or_else(|| "{}".into()))
    }

    fn series(
        &mut self,
        field: &Field,
        each: &Range,
        fewest: Option<u64>,
        most: Option<u64>,
    ) -> Option<String> {
        let mut row = Row::new(each);
        let column = self.columns.get(&field.pointer).copied();
        let taken = match self.sheet.as_ref().zip(column) {
            Some((sheet, column)) => sheet.column(column, |number| row.push(number)),
            None => row.take_pasted(self.given.text(&field.pointer)),
        };
        if let Err(what) = taken {
            self.wrong(&field.pointer, what);
            return None;
        }
        if row.count == 0 {
            let mut misfits = self.misfits.iter();
            let is_told = misfits.any(|misfit| misfit.pointer == field.pointer);
            if field.required && !is_told {
                self.wrong(&field.pointer, What::Missing);
            }
            return None;
        }
        let few = fewest.filter(|least| row.count < *least);
        let many = most.filter(|most| row.count > *most);
        let wrong = row.misfit.or(few.map(What::TooFew));
        if let Some(what) = wrong.or(many.map(What::TooMany)) {
            self.wrong(&field.pointer, what);
        }
        Some(row.text + "]")
    }

    fn json(&mut self, field: &Field) -> Option<String> {
        let text = self.given.text(&field.pointer);
        if text.trim().is_empty() {
            self.wrong(&field.pointer, What::Missing);
            return None;
        }
        match strict_json::parse(text.as_bytes()) {
            Ok(_) => Some(text.trim().to_owned()),
            Err(why) => {
                self.wrong(&field.pointer, What::NoJson(why));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "required": ["n", "s"], "properties": {
            "n": {"type": "number", "exclusiveMinimum": 0, "maximum": 10},
            "i": {"type": "integer"},
            "t": {"type": "string", "minLength": 2, "maxLength": 4},
            "c": {"enum": ["a", 1]},
            "s": {"type": "array", "minItems": 2, "items": {"type": "number", "minimum": 0}, "title": "S [m]"},
            "g": {"type": "object", "required": ["x"], "properties": {"x": {"type": "number"}, "y": {}}},
        }})
    }

    fn given(texts: &[(&str, &str)]) -> Given {
        let texts = texts
            .iter()
            .map(|(at, text)| ((*at).to_owned(), (*text).to_owned()));
        Given {
            texts: texts.collect(),
            ..Given::default()
        }
    }

    fn try_with(texts: &[(&str, &str)]) -> Result<String, Vec<Misfit>> {
        read(&Field::of(Some(&schema())), &given(texts))
    }

    #[test]
    fn what_is_entered_becomes_json_to_the_last_digit() {
        for (texts, body) in [
            (
                &[("/n", "1.50"), ("/s", "0\r\n1e1\r\n")][..],
                r#"{"n":1.50,"s":[0,1e1]}"#,
            ),
            (
                &[("/n", "１"), ("/s", "0, .5\t7")],
                r#"{"n":1,"s":[0,0.5,7]}"#,
            ),
            (
                &[
                    ("/n", "1"),
                    ("/i", "5.0"),
                    ("/t", "a\"<"),
                    ("/c", "\"a\""),
                    ("/s", "1 2"),
                ],
                r#"{"n":1,"i":5.0,"t":"a\"<","c":"a","s":[1,2]}"#,
            ),
            (
                &[
                    ("/n", "1"),
                    ("/s", "1 2"),
                    ("/g/x", "3"),
                    ("/g/y", " [null, 1.0] "),
                ],
                r#"{"n":1,"s":[1,2],"g":{"x":3,"y":[null, 1.0]}}"#,
            ),
            (
                &[("/n", "1"), ("/s", "1 2"), ("/t", "")],
                r#"{"n":1,"s":[1,2]}"#,
            ),
        ] {
            assert_eq!(try_with(texts).as_deref(), Ok(body));
        }
    }

    #[test]
    fn what_is_wrong_is_told_at_its_place() {
        let quoted = |text: &str| text.to_owned();
        for (texts, pointer, what) in [
            (&[("/s", "1 2")][..], "/n", What::Missing),
            (
                &[("/n", "x"), ("/s", "1 2")],
                "/n",
                What::NoNumber(quoted("x")),
            ),
            (&[("/n", "0"), ("/s", "1 2")], "/n", What::NotAbove(0.0)),
            (&[("/n", "11"), ("/s", "1 2")], "/n", What::Over(10.0)),
            (&[("/n", "1")], "/s", What::Missing),
            (&[("/n", "1"), ("/s", "1")], "/s", What::TooFew(2)),
            (
                &[("/n", "1"), ("/s", "1\n2 <b>")],
                "/s",
                What::NoNumberInLine(2, quoted("<b>")),
            ),
            (
                &[("/n", "1"), ("/s", "1 2 -3")],
                "/s",
                What::Item(3, Box::new(What::Under(0.0))),
            ),
            (
                &[("/n", "1"), ("/s", "1 2"), ("/i", "1.5")],
                "/i",
                What::NoInteger,
            ),
            (
                &[("/n", "1"), ("/s", "1 2"), ("/t", "a")],
                "/t",
                What::TooShort(2),
            ),
            (
                &[("/n", "1"), ("/s", "1 2"), ("/t", "abcde")],
                "/t",
                What::TooLong(4),
            ),
            (
                &[("/n", "1"), ("/s", "1 2"), ("/c", "2")],
                "/c",
                What::NoChoice,
            ),
            (
                &[("/n", "1"), ("/s", "1 2"), ("/g/y", "1")],
                "/g/x",
                What::Missing,
            ),
        ] {
            assert_eq!(try_with(texts), Err(vec![Misfit::new(pointer, what)]));
        }
        let wrong = try_with(&[("/n", "1"), ("/s", "1 2"), ("/g/x", "1"), ("/g/y", "{")]);
        assert!(matches!(wrong.unwrap_err()[0].what, What::NoJson(_)));
    }

    #[test]
    fn columns_of_a_sheet_come_before_what_stands_in_the_fields() {
        let fields = Field::of(Some(&schema()));
        let mut filled = given(&[("/n", "1"), ("/s", "8 9")]);
        filled.sheet = "k,s [m]\n5,0.10\n6,.2\n".into();
        assert_eq!(
            read(&fields, &filled).as_deref(),
            Ok(r#"{"n":1,"s":[0.10,0.2]}"#)
        );
        filled.columns.insert("/s".into(), 0);
        assert_eq!(
            read(&fields, &filled).as_deref(),
            Ok(r#"{"n":1,"s":[5,6]}"#)
        );
    }

    #[test]
    fn a_column_that_is_not_plain_has_to_be_chosen() {
        let fields = Field::of(Some(&schema()));
        let mut filled = given(&[("/n", "1")]);
        filled.sheet = "1,2\n3,4\n".into();
        assert_eq!(
            read(&fields, &filled),
            Err(vec![Misfit::new("/s", What::WhichColumn)])
        );
        filled.columns.insert("/s".into(), 1);
        assert_eq!(
            read(&fields, &filled).as_deref(),
            Ok(r#"{"n":1,"s":[2,4]}"#)
        );
        filled.sheet = "no numbers".into();
        let wrong = read(&fields, &filled).unwrap_err();
        assert_eq!(wrong[0], Misfit::new(SHEET, What::NoRows));
    }

    #[test]
    fn a_request_without_fields_is_json_as_it_was_entered() {
        let fields = Field::of(None);
        assert_eq!(
            read(&fields, &given(&[("", " [1.0] ")])).as_deref(),
            Ok("[1.0]")
        );
        assert_eq!(
            read(&fields, &given(&[])),
            Err(vec![Misfit::new("", What::Missing)])
        );
        let double = read(&fields, &given(&[("", "{\"a\":1,\"a\":2}")]));
        assert!(matches!(double.unwrap_err()[0].what, What::NoJson(_)));
    }
}
