//! Columns of numbers, as instruments and spreadsheets write them: commas, tabs, semicolons or blanks between them,
//! with or without a heading, which may stand in a comment.

use std::collections::VecDeque;

use encoding_rs::Encoding;

use super::field::Field;
use super::misfit::What;
use super::number::json_number;

/// What comments begin with.
const COMMENTS: [char; 2] = ['#', '%'];
/// A sheet may have so many columns: each of them is a choice for each series.
const WIDEST: usize = 1_000;
/// So many lines above the numbers may be their heading.
const LINES_ABOVE: usize = 20;

/// A sheet whose form is known. It is read through once for each column that is wanted, and never held in pieces.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet<'a> {
    /// The headings, where there are some.
    pub headings: Vec<String>,
    /// How many columns the first line with numbers has.
    pub width: usize,
    delimiter: Delimiter,
    /// The text from the first line with numbers on.
    body: &'a str,
    /// The number of that line, counted from 1.
    first: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delimiter {
    Byte(u8),
    Blanks,
}

/// The text of a file: in what its byte order mark says, else UTF-8, else what Japanese spreadsheets write (Shift_JIS).
pub fn decode(bytes: &[u8]) -> String {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return encoding.decode(&bytes[length..]).0.into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::SHIFT_JIS.decode(bytes).0.into_owned(),
    }
}

impl<'a> Sheet<'a> {
    /// Looks at the text of a file.
    ///
    /// # Errors
    /// Where no line has a number in it, or the first that has one has too many columns.
    pub fn read(text: &'a str) -> Result<Self, What> {
        let mut above = VecDeque::new();
        let mut begin = 0;
        for (n, whole) in text.split_inclusive('\n').enumerate() {
            let line = whole.trim();
            if !line.starts_with(COMMENTS) && has_number(line) {
                return Self::with(above, line, &text[begin..], n + 1);
            }
            begin += whole.len();
            if !line.is_empty() {
                above.truncate(LINES_ABOVE - 1);
                above.push_front(line);
            }
        }
        Err(What::NoRows)
    }

    fn with(above: VecDeque<&str>, line: &str, body: &'a str, first: usize) -> Result<Self, What> {
        let delimiter = Delimiter::of(line);
        let width = delimiter.cells(line).len();
        if width > WIDEST {
            return Err(What::TooManyColumns(WIDEST));
        }
        // The heading is the nearest line above that has as many cells, be it a comment.
        let heading = above.into_iter().find_map(|line| {
            let line = line.trim_start_matches(COMMENTS).trim();
            let cells = Delimiter::of_heading(line, delimiter).cells(line);
            (cells.len() == width).then_some(cells)
        });
        Ok(Sheet {
            headings: heading.unwrap_or_default(),
            width,
            delimiter,
            body,
            first,
        })
    }

    /// Which column is whose, for those fields where it is plain: the heading names them, or there is one of each.
    pub fn plain_columns<'f>(&self, series: &[&'f Field]) -> Vec<(&'f Field, usize)> {
        if self.width == 1 && self.headings.is_empty() {
            let required: Vec<_> = series.iter().filter(|field| field.required).collect();
            return match (required.as_slice(), series) {
                ([only], _) => vec![(**only, 0)],
                ([], [only]) => vec![(*only, 0)],
                _ => Vec::new(),
            };
        }
        let named = series.iter().filter_map(|field| {
            let names = names_of(field);
            let is_named = |heading: &&String| names.contains(&plain(heading));
            let mut fitting = self
                .headings
                .iter()
                .enumerate()
                .filter(|(_, heading)| is_named(heading));
            match (fitting.next(), fitting.next()) {
                (Some((column, _)), None) => Some((*field, column)),
                _ => None,
            }
        });
        named.collect()
    }

    /// Hands over the numbers of a column, as JSON writes them.
    ///
    /// # Errors
    /// The first line in which there is none.
    pub fn column(&self, column: usize, mut take: impl FnMut(&str)) -> Result<(), What> {
        let mut hand_over = |line: usize, cell: Option<&str>| {
            // Quotes after a blank are none to the reader.
            let cell = cell.ok_or(What::FewColumns(line))?.trim_matches('"');
            let number = json_number(cell).ok_or_else(|| What::no_number_in_line(line, cell))?;
            take(&number);
            Ok(())
        };
        let Delimiter::Byte(byte) = self.delimiter else {
            let lines = self.body.lines().enumerate();
            for (n, line) in lines.filter(|(_, line)| is_row(line.trim())) {
                hand_over(self.first + n, line.split_whitespace().nth(column))?;
            }
            return Ok(());
        };
        let mut rows = csv_reader(byte, self.body);
        let mut row = csv::StringRecord::new();
        // Text in UTF-8 whose rows may be of any length has nothing that could not be read.
        while rows.read_record(&mut row).unwrap_or(false) {
            let line = row.position().map_or(0, csv::Position::line);
            if row.len() > 1 || is_row(&row[0]) {
                let line = self.first + usize::try_from(line).unwrap_or(1) - 1;
                hand_over(line, row.get(column))?;
            }
        }
        Ok(())
    }
}

fn csv_reader(delimiter: u8, text: &str) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes())
}

/// Whether a line is more than blanks or a comment.
fn is_row(line: &str) -> bool {
    !line.is_empty() && !line.starts_with(COMMENTS)
}

/// Whether a cell of a line is a number.
fn has_number(line: &str) -> bool {
    let cells = |byte: u8| line.split(char::from(byte));
    let is_number = |cell: &str| json_number(cell.trim().trim_matches('"')).is_some();
    match Delimiter::of(line) {
        Delimiter::Byte(byte) => cells(byte).any(is_number),
        Delimiter::Blanks => line.split_whitespace().any(is_number),
    }
}

impl Delimiter {
    /// What stands between the cells of a line.
    fn of(line: &str) -> Self {
        let delimiters = [b'\t', b';', b','];
        let found = delimiters
            .into_iter()
            .find(|byte| line.as_bytes().contains(byte));
        found.map_or(Delimiter::Blanks, Delimiter::Byte)
    }

    /// A heading has what the rows have; where these have blanks, its own.
    fn of_heading(line: &str, rows: Delimiter) -> Self {
        match rows {
            Delimiter::Blanks => Delimiter::of(line),
            byte => byte,
        }
    }

    /// The cells of a line, up to one more than a sheet may have.
    fn cells(self, line: &str) -> Vec<String> {
        let most = WIDEST + 1;
        let Delimiter::Byte(byte) = self else {
            let cells = line.split_whitespace().take(most);
            return cells.map(str::to_owned).collect();
        };
        let mut reader = csv_reader(byte, line);
        let record = reader.records().next().and_then(Result::ok);
        let record = record.unwrap_or_default();
        record.iter().take(most).map(str::to_owned).collect()
    }
}

/// What a field's column may be called: its title or name, with or without the unit.
fn names_of(field: &Field) -> Vec<String> {
    let title = field.title.as_deref().unwrap_or(&field.name);
    let bare_title = title.split(['[', '(', '［', '（']).next().unwrap_or(title);
    let bare_name = field
        .name
        .rsplit_once('_')
        .map_or(field.name.as_str(), |(name, _)| name);
    [title, bare_title, &field.name, bare_name]
        .map(plain)
        .to_vec()
}

/// A name without what people write differently: capitals, blanks, and the kind of brackets.
fn plain(name: &str) -> String {
    let name = name.to_lowercase();
    let letters = name
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-' | '"'));
    letters
        .map(|c| match c {
            '(' | '［' | '（' => '[',
            ')' | '］' | '）' => ']',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn soc() -> Vec<Field> {
        let series =
            |title: &str| json!({"type": "array", "title": title, "items": {"type": "number"}});
        let schema = json!({"type": "object", "required": ["time_s", "current_a"], "properties": {
            "time_s": series("Time [s]"),
            "current_a": series("Current [A]"),
            "voltage_v": series("Voltage [V]"),
        }});
        Field::of(Some(&schema))
    }

    fn found(text: &str) -> Vec<(String, usize)> {
        let fields = soc();
        let series: Vec<_> = fields.iter().collect();
        let sheet = Sheet::read(text).unwrap();
        let columns = sheet.plain_columns(&series).into_iter();
        columns
            .map(|(field, column)| (field.name.clone(), column))
            .collect()
    }

    #[test]
    fn columns_are_found_by_their_headings() {
        let both = [("time_s".to_owned(), 0), ("current_a".to_owned(), 1)];
        for text in [
            "# Based on the US06 drive cycle,\n# time [s],current [A]\n0,0.012859\n1,0.01\n",
            "time_s;current_a\n0;1\n",
            "Time (s)\tCurrent (A)\r\n0\t1\r\n",
            "\"Time [s]\", \"Current [A]\"\n0, 1\n",
            "time current\n0 1\n",
            "# by hand\n\nTIME,CURRENT\n0,1\n",
        ] {
            assert_eq!(found(text), both, "{text}");
        }
        assert_eq!(
            found("n,voltage,current [A],time\n1,3.7,0.5,0\n"),
            [
                ("time_s".to_owned(), 3),
                ("current_a".into(), 2),
                ("voltage_v".into(), 1)
            ]
        );
    }

    #[test]
    fn what_is_not_plain_is_not_guessed() {
        for text in ["0,1\n1,2\n", "a,b\n0,1\n", "time,time\n0,1\n", "5\n6\n"] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn numbers_are_taken_to_the_last_digit_and_faults_with_their_line() {
        let column = |text: &str, column| {
            let mut numbers = Vec::new();
            let sheet = Sheet::read(text).unwrap();
            sheet.column(column, |number| numbers.push(number.to_owned()))?;
            Ok::<_, What>(numbers)
        };
        let text = "# t,i\n0,0.10\n\n1,.5\n# end\n2,x\n3\n";
        let sheet = Sheet::read(text).unwrap();
        assert_eq!(
            (sheet.width, sheet.headings),
            (2, vec!["t".into(), "i".into()])
        );
        assert_eq!(column(text, 0).unwrap(), ["0", "1", "2", "3"]);
        assert_eq!(column(text, 1), Err(What::NoNumberInLine(6, "x".into())));
        assert_eq!(column("0,1\n2\n", 1), Err(What::FewColumns(2)));
        assert_eq!(
            column("t;i\r\n\"0\"; \"1\"\r\n  \r\n2;3\r\n", 1).unwrap(),
            ["1", "3"]
        );
        assert_eq!(
            column("t i\n0 1\n# c d\n\n2  x", 1),
            Err(What::NoNumberInLine(5, "x".into()))
        );
        for text in ["", "time,current\n", "# 1,2\n"] {
            assert_eq!(Sheet::read(text), Err(What::NoRows), "{text}");
        }
    }

    #[test]
    fn a_sheet_that_is_too_wide_is_refused() {
        for delimiter in [",", ";", "\t", " "] {
            let wide = |width: usize| vec!["1"; width].join(delimiter);
            assert_eq!(Sheet::read(&wide(WIDEST)).unwrap().width, WIDEST);
            for width in [WIDEST + 1, WIDEST * 100] {
                let refused = Err(What::TooManyColumns(WIDEST));
                assert_eq!(Sheet::read(&wide(width)), refused, "{width}");
            }
        }
    }

    #[test]
    fn a_long_sheet_is_read_in_no_time() {
        let text = "t,i\n".to_owned() + &"\"1\",2\n".repeat(200_000);
        let mut count = 0;
        // A reader for each line would take minutes.
        Sheet::read(&text)
            .unwrap()
            .column(1, |_| count += 1)
            .unwrap();
        assert_eq!(count, 200_000);
    }

    #[test]
    fn files_of_japanese_spreadsheets_are_read() {
        let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode("時間,電流\n0,1\n");
        assert_eq!(decode(&bytes), "時間,電流\n0,1\n");
        assert_eq!(decode("\u{feff}時間".as_bytes()), "時間");
        assert_eq!(decode(b"\xff\xfe0\0\t\x001\0"), "0\t1");
    }
}
