//! A result as a page shows it: single values as a list, arrays as tables, numbers as plots.

use page_parts::chart::Line;
use page_parts::{Html, Language, number};
use serde_json::Value;

use super::brief::is_flat;
use super::series::Series;
use super::survey::{Items, Part};
use super::unit;

/// So many plots are drawn.
const MOST_PLOTS: usize = 6;
/// A longer text stands apart from the single values, in characters.
const LONG: usize = 80;
/// So many columns of a table of objects are shown.
const COLUMNS_SHOWN: usize = 50;

/// A result.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The single values, with their names.
    pub figures: Vec<(String, String)>,
    /// Members that are not shown.
    pub more: u64,
    /// The plots.
    pub plots: Vec<Plot>,
    /// The tables.
    pub tables: Vec<Table>,
    /// Long texts, and what is no table as JSON, with their names.
    pub documents: Vec<(String, String)>,
    /// It can be had as CSV.
    pub has_csv: bool,
}

/// A plot.
#[derive(Debug)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// The drawing.
    pub svg: Html,
    /// What is to be known of it.
    pub note: String,
}

/// The first rows of a table.
#[derive(Debug)]
pub struct Table {
    /// What it is called.
    pub title: String,
    /// The headings, and whether the column has numbers.
    pub columns: Vec<(String, bool)>,
    /// The first rows, each cell as text.
    pub rows: Vec<Vec<String>>,
    /// How many rows there are in all.
    pub count: u64,
}

impl Table {
    /// Whether all rows are shown.
    pub fn is_whole(&self) -> bool {
        self.rows.len() as u64 == self.count
    }

    /// How many rows there are in all, for people.
    pub fn total(&self) -> String {
        number::grouped(self.count)
    }
}

/// Numbers in a row, with their name.
struct Named<'a> {
    name: &'a str,
    series: &'a Series,
}

impl Outcome {
    /// Arranges a result; places to draw it over may also come from the `request`, whose parts are named by `schema`.
    pub fn new(
        result: &Part,
        request: Option<&Part>,
        schema: Option<&Value>,
        language: Language,
    ) -> Self {
        let mut outcome = Outcome {
            has_csv: result.is_table(),
            ..Outcome::default()
        };
        let whole = [(String::new(), result.clone())];
        let members = match result {
            Part::Members { members, more, .. } => {
                outcome.more = *more;
                members.as_slice()
            }
            _ => &whole,
        };
        for (name, part) in members {
            match part {
                Part::Value(Value::String(text)) if text.chars().count() > LONG => {
                    outcome.documents.push((name.clone(), text.clone()));
                }
                Part::Value(value) if is_flat(value) => {
                    let named = if name.is_empty() {
                        language.say("結果", "Result")
                    } else {
                        name
                    };
                    let named = unit::label(named, schema);
                    outcome.figures.push((named, text(value)));
                }
                Part::Value(value) => outcome.add_document(name, value),
                Part::Members { .. } => {}
                Part::Items(items) if items.is_table && items.count > 0 => {
                    outcome.tables.push(of_objects(name, items));
                }
                Part::Items(items) if items.is_plain => {}
                Part::Items(items) => {
                    let first = Value::Array(items.first.clone());
                    outcome.add_document(name, &first);
                }
            }
        }
        outcome.add_columns(members);
        outcome.add_plots(members, request, schema, language);
        outcome
    }

    fn add_document(&mut self, name: &str, value: &Value) {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.documents.push((name.to_owned(), text));
    }

    /// Arrays of one length are columns of one table.
    fn add_columns(&mut self, members: &[(String, Part)]) {
        let mut groups: Vec<(u64, Vec<(&str, &Items)>)> = Vec::new();
        for (name, part) in members {
            let Part::Items(items) = part else { continue };
            if !items.is_plain || items.count == 0 {
                continue;
            }
            match groups.iter_mut().find(|(count, _)| *count == items.count) {
                Some((_, group)) => group.push((name, items)),
                None => groups.push((items.count, vec![(name, items)])),
            }
        }
        for (count, group) in groups {
            let names: Vec<_> = group.iter().map(|(name, _)| *name).collect();
            let rows = group
                .iter()
                .map(|(_, items)| items.first.len())
                .max()
                .unwrap_or(0);
            let cell =
                |items: &Items, row: usize| items.first.get(row).map_or_else(String::new, text);
            let row = |row| group.iter().map(|(_, items)| cell(items, row)).collect();
            let column =
                |(name, items): &(&str, &Items)| ((*name).to_owned(), items.series.is_some());
            self.tables.push(Table {
                title: names.join(", "),
                columns: group.iter().map(column).collect(),
                rows: (0..rows).map(row).collect(),
                count,
            });
        }
    }

    fn add_plots(
        &mut self,
        members: &[(String, Part)],
        request: Option<&Part>,
        schema: Option<&Value>,
        language: Language,
    ) {
        let inputs: Vec<_> = arrays(request.map_or(&[][..], Part::members)).collect();
        let lists: Vec<_> = arrays(members).collect();
        let mut drawn: Vec<_> = pairs(&lists, &inputs).collect();
        let tables: Vec<Vec<_>> = members.iter().filter_map(columns).collect();
        for columns in &tables {
            // A table without places is a list, whose order may mean nothing.
            drawn.extend(pairs(columns, &[]).filter(|(_, places)| places.is_some()));
        }
        for (n, (named, places)) in drawn.into_iter().take(MOST_PLOTS).enumerate() {
            self.plots.extend(plot(n, named, places, schema, language));
        }
    }
}

/// The arrays of numbers.
fn arrays(members: &[(String, Part)]) -> impl Iterator<Item = Named<'_>> {
    members.iter().filter_map(|(name, part)| match part {
        Part::Items(items) => Some(Named {
            name,
            series: items.series.as_ref()?,
        }),
        _ => None,
    })
}

/// The columns of a table that are numbers; nothing where it is no table.
fn columns((_, part): &(String, Part)) -> Option<Vec<Named<'_>>> {
    let Part::Items(items) = part else {
        return None;
    };
    let columns = items.columns.iter();
    Some(
        columns
            .map(|(name, series)| Named { name, series })
            .collect(),
    )
}

/// What is drawn, and over which places, which may also be among `others`.
fn pairs<'a>(
    all: &'a [Named<'a>],
    others: &'a [Named<'a>],
) -> impl Iterator<Item = (&'a Named<'a>, Option<&'a Named<'a>>)> {
    let is_place = |named: &Named<'_>| unit::is_place(named.name) && named.series.rises;
    let values = all
        .iter()
        .filter(move |named| !is_place(named) && named.series.count > 1);
    values.map(move |named| {
        let mut candidates = all.iter().chain(others);
        let fits = |one: &&Named<'_>| is_place(one) && one.series.count == named.series.count;
        (named, candidates.find(fits))
    })
}

fn plot(
    n: usize,
    named: &Named<'_>,
    places: Option<&Named<'_>>,
    schema: Option<&Value>,
    language: Language,
) -> Option<Plot> {
    let y_label = match named.name {
        "" => language.say("値", "Value").to_owned(),
        name => unit::label(name, schema),
    };
    let x_label = match places {
        Some(places) => unit::label(places.name, schema),
        None => language.say("番号(0から)", "Place, from 0").to_owned(),
    };
    let spans = named.series.over(places.map(|places| places.series));
    let count = number::grouped(named.series.count);
    let (low, high) = (
        number::about(named.series.low),
        number::about(named.series.high),
    );
    let title = language.say(
        format!("{x_label}に対する{y_label}"),
        format!("{y_label} over {x_label}"),
    );
    let description = language.say(
        format!("{count}個の値の折れ線グラフ。最小{low}、最大{high}。"),
        format!("A line through {count} values, from {low} to {high}."),
    );
    let condensed = language.say(
        "横1ピクセルごとに最小値と最大値を結んで描いています。",
        " Each pixel column shows the smallest and largest of its values.",
    );
    let condensed = if Line::is_condensed(&spans) {
        condensed
    } else {
        ""
    };
    let svg = Line {
        id: &format!("plot-{n}"),
        title: &title,
        description: &description,
        x_label: &x_label,
        y_label: &y_label,
        spans: &spans,
    };
    Some(Plot {
        svg: svg.draw()?,
        note: language.say(
            format!("{title}。{description}{condensed}"),
            format!("{title}. {description}{condensed}"),
        ),
        title,
    })
}

/// A table of objects, whose columns are all members of the first of them.
fn of_objects(name: &str, items: &Items) -> Table {
    let mut names: Vec<&String> = Vec::new();
    let objects = || items.first.iter().filter_map(Value::as_object);
    for member in objects().flat_map(|object| object.keys()) {
        if !names.contains(&member) && names.len() < COLUMNS_SHOWN {
            names.push(member);
        }
    }
    let is_number = |name: &String| {
        let mut values = objects().filter_map(|object| object.get(name));
        values.all(|value| value.is_number() || value.is_null())
    };
    let cell = |object: &serde_json::Map<String, Value>, name: &String| {
        object.get(name).map_or_else(String::new, text)
    };
    let rows = objects().map(|object| names.iter().map(|name| cell(object, name)).collect());
    Table {
        title: name.to_owned(),
        columns: names
            .iter()
            .map(|name| ((*name).clone(), is_number(name)))
            .collect(),
        rows: rows.collect(),
        count: items.count,
    }
}

/// A single value as text.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::survey::survey;
    use super::*;

    fn of(document: &Value, request: Option<&Value>) -> Outcome {
        let part = |value: &Value| survey(value.to_string().as_bytes()).unwrap();
        let schema = json!({"properties": {"time_s": {"title": "Time [s]"}}});
        let request = request.map(part);
        Outcome::new(
            &part(document),
            request.as_ref(),
            Some(&schema),
            Language::En,
        )
    }

    #[test]
    fn values_are_listed_columns_tabled_and_numbers_drawn_over_the_times_of_the_request() {
        let result = json!({"soc": [1, 0.9, 0.85], "final_soc": 0.85, "note": "<b>"});
        let request = json!({"time_s": [0, 1, 2.5], "current_a": [1, 1, 1]});
        let outcome = of(&result, Some(&request));
        let figures = [
            ("final_soc".to_owned(), "0.85".to_owned()),
            ("note".into(), "<b>".into()),
        ];
        assert_eq!(outcome.figures, figures);
        assert_eq!(outcome.tables[0].columns, [("soc".to_owned(), true)]);
        assert_eq!(
            (outcome.tables[0].rows.len(), outcome.tables[0].count),
            (3, 3)
        );
        assert_eq!(outcome.plots[0].title, "soc over Time [s]");
        assert!(outcome.has_csv);
        let other = json!({"time_s": [0, 1]});
        assert_eq!(
            of(&result, Some(&other)).plots[0].title,
            "soc over Place, from 0"
        );
    }

    #[test]
    fn objects_are_rows_and_what_is_nested_stays_json() {
        let result = json!({"rows": [{"a": 1, "b": "x"}, {"c": null, "a": 2}], "deep": {"x": [1]}, "mixed": [1, [2]]});
        let outcome = of(&result, None);
        let names = [
            ("a".to_owned(), true),
            ("b".into(), false),
            ("c".into(), true),
        ];
        assert_eq!(outcome.tables[0].columns, names);
        assert_eq!(outcome.tables[0].rows[1], ["2", "", "–"]);
        assert_eq!((outcome.documents.len(), outcome.plots.len()), (2, 0));
        let long = "x".repeat(LONG + 1);
        assert_eq!(
            of(&json!({"note": long}), None).documents,
            [("note".to_owned(), long)]
        );
        let timed = of(&json!([{"t": 0, "v": 3.5}, {"t": 1, "v": 3.25}]), None);
        assert_eq!(timed.plots[0].title, "v over t");
        let plain = of(&json!(35), None);
        assert_eq!(plain.figures, [("Result".to_owned(), "35".to_owned())]);
    }
}
