//! The reference of all settings, for the README: made from the comments on the fields, so that it cannot be wrong.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::settings::Settings;

/// A Markdown table: setting, variable, default, meaning.
pub fn markdown() -> String {
    let schema = schemars::schema_for!(Settings).to_value();
    let defaults = serde_json::to_value(Settings::default()).expect("defaults always serialize");
    let mut table =
        String::from("| setting | environment | default | meaning |\n|---|---|---|---|\n");
    let root = schema.as_object().expect("a struct's schema is an object");
    rows(root, root, "", &defaults, &mut table);
    table
}

fn rows(
    root: &Map<String, Value>,
    section: &Map<String, Value>,
    prefix: &str,
    defaults: &Value,
    table: &mut String,
) {
    let properties = section.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let key = format!("{prefix}{name}");
        if let Some(inner) = section_of(root, property) {
            rows(root, inner, &format!("{key}."), &defaults[name], table);
            continue;
        }
        let meaning = property["description"]
            .as_str()
            .unwrap_or_default()
            .replace('\n', " ");
        let default = match &defaults[name] {
            Value::Null => "–".to_owned(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let variable = format!("BCRL_{}", key.replace('.', "__").to_uppercase());
        writeln!(table, "| `{key}` | `{variable}` | {default} | {meaning} |").expect("text grows");
    }
}

/// The schema of a section, where the property is one (and no single value).
fn section_of<'a>(
    root: &'a Map<String, Value>,
    property: &'a Value,
) -> Option<&'a Map<String, Value>> {
    let name = property["$ref"].as_str()?.strip_prefix("#/$defs/")?;
    let schema = root.get("$defs")?.get(name)?.as_object()?;
    schema.contains_key("properties").then_some(schema)
}

#[cfg(test)]
mod tests {
    /// The table stands in the README between these two lines.
    const BEGIN: &str =
        "<!-- settings: made by the tests of boot; BCRL_UPDATE_README=1 writes it anew -->\n";
    const END: &str = "<!-- end of settings -->\n";

    #[test]
    fn every_setting_has_its_row() {
        let table = super::markdown();
        assert!(
            table.contains("| `api.listen` | `BCRL_API__LISTEN` | `127.0.0.1:8080` | Address"),
            "{table}"
        );
        assert!(
            table.contains("| `worker.lease` | `BCRL_WORKER__LEASE` | `1m` |"),
            "{table}"
        );
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever changed a setting asks for the table to be written"
    )]
    fn the_readme_shows_the_settings_as_they_are() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, rest) = text
            .split_once(BEGIN)
            .expect("the README has a place for the settings");
        let (shown, after) = rest.split_once(END).expect("that place has an end");
        if std::env::var_os("BCRL_UPDATE_README").is_some() {
            std::fs::write(
                path,
                format!("{before}{BEGIN}{}{END}{after}", super::markdown()),
            )
            .unwrap();
            return;
        }
        assert_eq!(
            shown,
            super::markdown(),
            "run this test once more with BCRL_UPDATE_README=1"
        );
    }
}
