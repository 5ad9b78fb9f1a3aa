//! A form as the template shows it.

use askama::Template;
use askama::filters::HtmlSafe;
use job_core::catalog::Api;
use page_parts::{Html, Language, Page, markdown};
use serde_json::Value;

use super::form::misfit::SHEET;
use super::form::sheet::Sheet;
use super::form::{Field, Given, Kind, Misfit, What};
use super::multipart::{COLUMN, FILE, PASTED, VALUE};
use super::{Filled, hint};
use crate::pages::{KEY, Reader};

/// A text that may be longer than this gets several lines.
const ONE_LINE: u64 = 120;

/// The page with the form.
#[derive(Template)]
#[template(path = "apis/form.html")]
pub(super) struct FormPage {
    page: Page,
    has_worker: bool,
    label: String,
    name: String,
    summary: String,
    description: Option<Html>,
    has_example: bool,
    key: String,
    /// What is wrong, each with the id of its control.
    wrong: Vec<(String, String)>,
    /// The fields before the first that takes a column of the sheet.
    before: Vec<FieldView>,
    sheet: Option<SheetView>,
    /// The others.
    after: Vec<FieldView>,
}

/// The part of the form for a file with columns.
struct SheetView {
    text: String,
    wrong: Option<String>,
    columns: Vec<ColumnView>,
}

/// The choice of one series' column.
struct ColumnView {
    id: String,
    wrong: Option<String>,
    control: String,
    title: String,
    options: Vec<Choice>,
}

/// One of several options.
struct Choice {
    value: String,
    label: String,
    is_chosen: bool,
}

/// One field.
#[derive(Template)]
#[template(path = "apis/field.html")]
struct FieldView {
    language: Language,
    id: String,
    control: String,
    title: String,
    /// Whether the title is a name of the schema's, and no text for people.
    is_bare: bool,
    description: String,
    hint: String,
    required: bool,
    wrong: Option<String>,
    input: Input,
}

impl HtmlSafe for FieldView {}

/// How a field is filled in.
enum Input {
    Line { value: String, is_number: bool },
    Area { value: String, rows: usize },
    Choice(Vec<Choice>),
    Group(Vec<FieldView>),
}

impl FormPage {
    pub(super) fn new(
        reader: &Reader,
        api: &Api,
        filled: &Filled,
        misfits: &[Misfit],
        has_worker: bool,
    ) -> Self {
        let language = reader.language;
        let label = language.say(&api.label.ja, &api.label.en).clone();
        let page = reader.page(label.clone());
        let page = if filled.was_sent {
            page.with_input()
        } else {
            page
        };
        let leaves = Field::leaves(&filled.fields);
        let wrong = misfits.iter().map(|misfit| {
            let field = leaves.iter().find(|field| field.pointer == misfit.pointer);
            let words = misfit.what.words(language);
            let words = match field.filter(|field| !field.called().is_empty()) {
                Some(field) => format!("{}: {words}", field.called()),
                None => words,
            };
            (id_of(misfit), words)
        });
        let first = filled.fields.iter().position(Field::has_series);
        let (before, after) = filled.fields.split_at(first.unwrap_or(0));
        let text = api.description.as_deref().unwrap_or_default();
        FormPage {
            page: if misfits.is_empty() {
                page
            } else {
                page.of_error()
            },
            has_worker,
            label,
            name: api.name.to_string(),
            summary: markdown::first_paragraph(text, language),
            // What is no more than a paragraph stands above already.
            description: text.trim().contains("\n\n").then(|| markdown::render(text)),
            has_example: api.example.is_some(),
            key: filled.key.clone(),
            wrong: wrong.collect(),
            before: views(language, before, &filled.given, misfits),
            after: views(language, after, &filled.given, misfits),
            sheet: SheetView::new(language, filled, misfits),
        }
    }
}

impl SheetView {
    /// Nothing where no field takes a column.
    fn new(language: Language, filled: &Filled, misfits: &[Misfit]) -> Option<Self> {
        let leaves = Field::leaves(&filled.fields);
        let series: Vec<_> = leaves
            .into_iter()
            .filter(|field| field.is_series())
            .collect();
        if series.is_empty() {
            return None;
        }
        let given = &filled.given;
        let sheet = Sheet::read(&given.sheet).ok();
        let columns = sheet.map(|sheet| columns(language, &sheet, &series, given, misfits));
        Some(SheetView {
            text: given.sheet.clone(),
            wrong: word(language, misfits, SHEET),
            columns: columns.unwrap_or_default(),
        })
    }
}

/// The choices of columns: as they were made, else as is plain, else in the order of the fields.
fn columns(
    language: Language,
    sheet: &Sheet<'_>,
    series: &[&Field],
    given: &Given,
    misfits: &[Misfit],
) -> Vec<ColumnView> {
    let plain = sheet.plain_columns(series);
    let has_chosen = !given.columns.is_empty();
    let view = |(place, field): (usize, &&Field)| {
        let plain = plain.iter().find(|(one, _)| one.pointer == field.pointer);
        let plain = plain.map(|(_, column)| *column);
        let in_order = (field.required && place < sheet.width).then_some(place);
        let chosen = match given.columns.get(&field.pointer) {
            Some(chosen) => Some(*chosen),
            None if has_chosen => None,
            None => plain.or(in_order),
        };
        let none = Choice {
            value: String::new(),
            label: language.say("(使わない)", "(none)").into(),
            is_chosen: chosen.is_none(),
        };
        let options = (0..sheet.width).map(|column| {
            let heading = sheet.headings.get(column).map_or("", String::as_str);
            let number = column + 1;
            let label = language.say(
                format!("{number}列目 {heading}"),
                format!("Column {number} {heading}"),
            );
            Choice {
                value: column.to_string(),
                label: label.trim().to_owned(),
                is_chosen: chosen == Some(column),
            }
        });
        ColumnView {
            id: id_of_column(&field.pointer),
            wrong: misfits
                .iter()
                .find(|misfit| misfit.pointer == field.pointer && misfit.what == What::WhichColumn)
                .map(|misfit| misfit.what.words(language)),
            control: format!("{COLUMN}{}", field.pointer),
            title: field.called().to_owned(),
            options: std::iter::once(none).chain(options).collect(),
        }
    };
    series.iter().enumerate().map(view).collect()
}

fn views(
    language: Language,
    fields: &[Field],
    given: &Given,
    misfits: &[Misfit],
) -> Vec<FieldView> {
    let view = |field: &Field| FieldView::new(language, field, given, misfits);
    fields.iter().map(view).collect()
}

impl FieldView {
    fn new(language: Language, field: &Field, given: &Given, misfits: &[Misfit]) -> Self {
        let value = given.text(&field.pointer).to_owned();
        let input = match &field.kind {
            Kind::Group(fields) => Input::Group(views(language, fields, given, misfits)),
            Kind::Number(_) => Input::Line {
                value,
                is_number: true,
            },
            Kind::Text { longest, .. } if longest.is_some_and(|most| most <= ONE_LINE) => {
                Input::Line {
                    value,
                    is_number: false,
                }
            }
            Kind::Text { .. } => Input::Area { value, rows: 3 },
            Kind::Series { .. } => Input::Area { value, rows: 5 },
            Kind::Json => Input::Area { value, rows: 10 },
            Kind::Choice(values) => Input::Choice(choices(language, field, values, &value)),
        };
        let title = match field.called() {
            "" => language.say("リクエスト (JSON)", "Request (JSON)"),
            called => called,
        };
        FieldView {
            language,
            id: id_at(&field.pointer),
            control: format!("{VALUE}{}", field.pointer),
            title: title.to_owned(),
            is_bare: field.title.is_none() && !field.name.is_empty(),
            description: field.description.clone().unwrap_or_default(),
            hint: hint::of(language, &field.kind),
            required: field.required,
            wrong: word(language, misfits, &field.pointer),
            input,
        }
    }

    /// Of a text in both languages, the one to be read.
    fn say<'a>(&self, ja: &'a str, en: &'a str) -> &'a str {
        self.language.say(ja, en)
    }

    /// The ids of what describes the control.
    fn described_by(&self) -> String {
        let parts = [
            ("about", !self.description.is_empty()),
            ("hint", !self.hint.is_empty()),
            ("wrong", self.wrong.is_some()),
        ];
        let there = parts.iter().filter(|(_, is_there)| *is_there);
        let ids: Vec<_> = there
            .map(|(part, _)| format!("{}-{part}", self.id))
            .collect();
        ids.join(" ")
    }
}

/// What is wrong at a place.
fn word(language: Language, misfits: &[Misfit], pointer: &str) -> Option<String> {
    let mut misfits = misfits.iter();
    // That is told where the column is chosen.
    let misfit = misfits.find(|one| one.pointer == pointer && one.what != What::WhichColumn)?;
    Some(misfit.what.words(language))
}

/// The id of the control at a place; an id holds no blanks.
fn id_at(pointer: &str) -> String {
    let plain = |c: char| if c.is_whitespace() { '_' } else { c };
    format!("at{}", pointer.chars().map(plain).collect::<String>())
}

fn id_of(misfit: &Misfit) -> String {
    match misfit.pointer.as_str() {
        SHEET => SHEET.to_owned(),
        pointer if misfit.what == What::WhichColumn => id_of_column(pointer),
        pointer => id_at(pointer),
    }
}

/// The id of the control for a series' column.
fn id_of_column(pointer: &str) -> String {
    format!("column-{}", id_at(pointer))
}

fn choices(language: Language, field: &Field, values: &[Value], chosen: &str) -> Vec<Choice> {
    let label = |value: &Value| match value {
        Value::Bool(true) => language.say("はい", "Yes").to_owned(),
        Value::Bool(false) => language.say("いいえ", "No").to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let none = Choice {
        value: String::new(),
        label: if field.required {
            language.say("選んでください", "Choose one").into()
        } else {
            language.say("(指定しない)", "(not given)").into()
        },
        is_chosen: chosen.is_empty(),
    };
    let options = values.iter().map(|value| {
        let written = value.to_string();
        Choice {
            is_chosen: written == chosen,
            value: written,
            label: label(value),
        }
    });
    std::iter::once(none).chain(options).collect()
}
