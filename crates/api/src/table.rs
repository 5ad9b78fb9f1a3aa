//! A result as a table, where it is one: an array of flat objects, an object that has one such array, or an object with
//! arrays of the same length, which are columns.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// What has more columns is no table.
pub(crate) const MOST_COLUMNS: usize = 1_000;
/// Begins a text that a spreadsheet takes for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
/// The byte order mark, in UTF-8.
const BOM: &str = "\u{feff}";

/// A table within the text of a JSON document.
#[derive(Debug)]
pub struct Table<'a> {
    columns: Vec<Cow<'a, str>>,
    cells: Cells<'a>,
}

#[derive(Debug)]
enum Cells<'a> {
    /// Row by row, each cell with the number of its column: rows may leave columns out.
    Records {
        cells: Vec<(usize, Cell<'a>)>,
        /// Where each row stands among the cells.
        rows: Vec<Range<usize>>,
    },
    /// Column by column, all of the same length.
    Series(Vec<Vec<Cell<'a>>>),
}

/// One value, which is no array and no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell<'a>(&'a str);

/// For whom a table is written as CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A program: each text as it is.
    Program,
    /// A spreadsheet: a byte order mark comes first, and a text that would be taken for a formula gets a `'` before it.
    Spreadsheet,
}

impl<'a> Table<'a> {
    /// The table in a JSON document; nothing where there is none, or more than one.
    pub fn find(document: &'a str) -> Option<Self> {
        if document.trim_start().starts_with('[') {
            return records(document);
        }
        let Members(members) = serde_json::from_str(document).ok()?;
        let arrays = members
            .into_iter()
            .filter(|(_, value)| value.get().starts_with('['));
        let arrays: Vec<_> = arrays.collect();
        let mut tables = arrays
            .iter()
            .filter(|(_, array)| !is_empty(array.get()))
            .filter_map(|(_, array)| records(array.get()));
        match (tables.next(), tables.next()) {
            (Some(table), None) => Some(table),
            (Some(_), Some(_)) => None,
            (None, _) => series(&arrays),
        }
    }

    /// The names of the columns, in the order in which they come.
    pub fn columns(&self) -> &[Cow<'a, str>] {
        &self.columns
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        match &self.cells {
            Cells::Records { rows, .. } => rows.len(),
            Cells::Series(columns) => columns.first().map_or(0, Vec::len),
        }
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cells of a row, one for each column; nothing where the row leaves it out.
    pub fn row(&self, row: usize) -> Vec<Option<Cell<'a>>> {
        match &self.cells {
            Cells::Records { cells, rows } => {
                let mut whole = vec![None; self.columns.len()];
                for (column, cell) in &cells[rows[row].clone()] {
                    whole[*column] = Some(*cell);
                }
                whole
            }
            Cells::Series(columns) => columns.iter().map(|cells| Some(cells[row])).collect(),
        }
    }

    /// Writes it as CSV (RFC 4180), the names of the columns first.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_csv(&self, mut to: impl Write, reader: Reader) -> io::Result<()> {
        if reader == Reader::Spreadsheet {
            to.write_all(BOM.as_bytes())?;
        }
        if self.columns.is_empty() {
            return Ok(());
        }
        let mut csv = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(to);
        let written = |text: &str| match reader {
            Reader::Spreadsheet if text.starts_with(FORMULA) => format!("'{text}"),
            _ => text.to_owned(),
        };
        csv.write_record(self.columns.iter().map(|name| written(name)))
            .map_err(of_the_writer)?;
        for row in 0..self.len() {
            csv.write_record(self.row(row).into_iter().map(|cell| match cell {
                None => String::new(),
                Some(cell) if cell.is_text() => written(&cell.text()),
                Some(cell) => cell.text().into_owned(),
            }))
            .map_err(of_the_writer)?;
        }
        csv.flush()
    }
}

/// The trouble of whoever is written to, as it told it.
fn of_the_writer(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

impl<'a> Cell<'a> {
    fn new(value: &'a RawValue) -> Option<Self> {
        let text = value.get();
        (!text.starts_with(['[', '{'])).then_some(Cell(text))
    }

    /// As it is shown: a text without its quotes, a number to its last digit, `null` as nothing.
    pub fn text(self) -> Cow<'a, str> {
        match self.0 {
            "null" => Cow::Borrowed(""),
            text if self.is_text() => {
                serde_json::from_str::<Text<'_>>(text).map_or(Cow::Borrowed(text), |text| text.0)
            }
            text => Cow::Borrowed(text),
        }
    }

    /// Its value as a number, where it is one.
    pub fn number(self) -> Option<f64> {
        self.0.parse().ok()
    }

    fn is_text(self) -> bool {
        self.0.starts_with('"')
    }
}

/// A table of an array whose elements are all flat objects.
fn records(array: &str) -> Option<Table<'_>> {
    let objects: Vec<&RawValue> = serde_json::from_str(array).ok()?;
    let mut columns = Vec::new();
    let mut numbers: HashMap<Cow<'_, str>, usize> = HashMap::new();
    let (mut cells, mut rows) = (Vec::new(), Vec::with_capacity(objects.len()));
    for object in objects {
        let Members(members) = serde_json::from_str(object.get()).ok()?;
        let begin = cells.len();
        for (name, value) in members {
            let cell = Cell::new(value)?;
            let column = *numbers.entry(name.clone()).or_insert_with(|| {
                columns.push(name);
                columns.len() - 1
            });
            if column == MOST_COLUMNS {
                return None;
            }
            cells.push((column, cell));
        }
        rows.push(begin..cells.len());
    }
    let cells = Cells::Records { cells, rows };
    Some(Table { columns, cells })
}

/// A table of arrays that are columns.
fn series<'a>(arrays: &[(Cow<'a, str>, &'a RawValue)]) -> Option<Table<'a>> {
    let (mut columns, mut series) = (Vec::new(), Vec::<Vec<Cell<'_>>>::new());
    for (name, array) in arrays {
        let values: Vec<&RawValue> = serde_json::from_str(array.get()).ok()?;
        let cells: Option<Vec<_>> = values.into_iter().map(Cell::new).collect();
        columns.push(name.clone());
        series.push(cells?);
    }
    let length = series.first()?.len();
    let fits = series.iter().all(|cells| cells.len() == length);
    (fits && columns.len() <= MOST_COLUMNS).then_some(Table {
        columns,
        cells: Cells::Series(series),
    })
}

fn is_empty(array: &str) -> bool {
    array[1..].trim_start().starts_with(']')
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Text(name), value)) = map.next_entry()? {
                    if members.len() == MOST_COLUMNS {
                        return Err(Error::custom(
                            "it has more members than a table has columns",
                        ));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// A text, which is only copied where it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(document: &str, reader: Reader) -> Option<String> {
        let mut written = Vec::new();
        let table = Table::find(document)?;
        table.write_csv(&mut written, reader).unwrap();
        Some(String::from_utf8(written).unwrap())
    }

    #[test]
    fn what_is_a_table_is_written_to_the_last_digit() {
        for (document, written) in [
            (
                r#" [{"a": 1.50, "b": "x"}, {"b": null, "c": true}] "#,
                "a,b,c\r\n1.50,x,\r\n,,true\r\n",
            ),
            (
                r#"{"n": 2, "rows": [{"a": 12345678901234567890}], "none": []}"#,
                "a\r\n12345678901234567890\r\n",
            ),
            (
                r#"{"soc": [0.9, 0.8], "t": [0, 1], "last": 0.8}"#,
                "soc,t\r\n0.9,0\r\n0.8,1\r\n",
            ),
            ("[]", ""),
            (r#"{"soc": []}"#, "soc\r\n"),
            ("[{}, {}]", ""),
            (
                r#"[{"電,池": "\"quoted\"\nline", "e": "\u00e9"}]"#,
                "\"電,池\",e\r\n\"\"\"quoted\"\"\nline\",é\r\n",
            ),
        ] {
            assert_eq!(
                csv(document, Reader::Program).as_deref(),
                Some(written),
                "{document}"
            );
        }
    }

    #[test]
    fn what_is_no_table_or_more_than_one_is_none() {
        for document in [
            "1",
            "\"text\"",
            "{}",
            r#"{"a": 1}"#,
            "[1, 2]",
            "[[1, 2]]",
            r#"[{"a": [1]}]"#,
            r#"[{"a": 1}, 2]"#,
            r#"{"a": [{"x": 1}], "b": [{"x": 2}]}"#,
            r#"{"a": [1, 2], "b": [1]}"#,
            r#"{"a": [1, [2]]}"#,
        ] {
            assert_eq!(csv(document, Reader::Program), None, "{document}");
        }
        let wide: Vec<_> = (0..=MOST_COLUMNS)
            .map(|column| format!("\"{column}\":1"))
            .collect();
        assert!(Table::find(&format!("[{{{}}}]", wide.join(","))).is_none());
    }

    #[test]
    fn a_spreadsheet_is_given_its_mark_and_no_formula() {
        let document = r#"[{"=a": -1, "b": "=1+1"}, {"b": "plain - text"}, {"b": "@x"}]"#;
        let written = csv(document, Reader::Spreadsheet).unwrap();
        assert_eq!(
            written,
            "\u{feff}'=a,b\r\n-1,'=1+1\r\n,plain - text\r\n,'@x\r\n"
        );
    }

    #[test]
    fn a_cell_is_text_or_a_number() {
        let table = Table::find(r#"{"v": [1e3, "1", null, false]}"#).unwrap();
        let cells: Vec<_> = (0..table.len())
            .filter_map(|row| table.row(row)[0])
            .collect();
        let texts: Vec<_> = cells.iter().map(|cell| cell.text()).collect();
        assert_eq!(texts, ["1e3", "1", "", "false"]);
        let numbers: Vec<_> = cells.iter().map(|cell| cell.number()).collect();
        assert_eq!(numbers, [Some(1000.0), None, None, None]);
    }
}
