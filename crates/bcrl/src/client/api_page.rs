//! One API for a person: what it does, what it takes, and commands to try it.

use serde_json::Value;

use super::Client;
use super::apis::ApiSummary;
use super::body::pair_value;
use super::json_text;
use super::show::{self, plain};

/// From how many bytes on an example is shown in part only.
const LONG: usize = 1000;
/// How many characters of a long example are shown.
const SHOWN: usize = 300;

/// The whole page.
pub(super) fn describe(api: &ApiSummary, client: &Client) -> String {
    let title = format!(
        "{}  {}",
        api.name,
        api.label.in_language(client.settings.language)
    );
    let mut parts = vec![plain(&title)];
    parts.extend(api.description.as_deref().map(|text| indented(text.trim())));
    parts.push(section("route", &api.routes().join("\n")));
    parts.extend(
        api.schema
            .as_ref()
            .map(|schema| section("body", &members(schema))),
    );
    let example = api.example.as_ref().map_or("{}", |example| example.get());
    let example = json_text::compact(example);
    let (shown, commands) = match example.len() <= LONG {
        true => (example.clone(), commands(&api.name, &example, client)),
        false => (in_part(&example), commands_by_file(&api.name, client)),
    };
    parts.push(section("example", &shown));
    parts.push(section("try it", &commands));
    parts.join("\n\n")
}

fn in_part(example: &str) -> String {
    let start: String = example.chars().take(SHOWN).collect();
    format!("{start}… ({} in all)", show::size(example.len() as u64))
}

/// Commands for an example that nobody wants to see on a command line.
fn commands_by_file(name: &str, client: &Client) -> String {
    let bcrl = &client.settings.command;
    let file = format!("{name}.json");
    format!(
        "{bcrl} apis --json {name} | jq .example > {file}\n{bcrl} submit {name} --file {file} --wait\n{}",
        curl(name, &format!("@{file}"), client)
    )
}

fn commands(name: &str, example: &str, client: &Client) -> String {
    let curl = curl(name, example, client);
    match pairs(example) {
        Some(pairs) => format!(
            "{} submit {name} {pairs}--wait\n{curl}",
            client.settings.command
        ),
        None => curl,
    }
}

fn curl(name: &str, body: &str, client: &Client) -> String {
    let url = format!("{}/api/v1/jobs/{name}", client.server.url());
    // The variable, never its value: the page may be copied into a document.
    let key = match client.settings.key {
        Some(_) => "-H \"Authorization: Bearer $BCRL_KEY\" ",
        None => "",
    };
    format!(
        "curl -X POST {} -H 'Content-Type: application/json' {key}-d {}",
        quoted(&url),
        quoted(body)
    )
}

/// The members of an example as `key=value`, each with a space behind it; none where they cannot be given so.
fn pairs(example: &str) -> Option<String> {
    let members: serde_json::Map<String, Value> = serde_json::from_str(example).ok()?;
    let pair = |(key, value): (&String, &Value)| {
        let is_key = !key.is_empty() && !key.contains('=') && !key.starts_with('-');
        is_key.then(|| {
            format!(
                "{} ",
                quoted(&format!("{key}={}", pair_value(&value.to_string())))
            )
        })
    };
    members.iter().map(pair).collect()
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_-+=:,./@%".contains(c);
    if !word.is_empty() && word.chars().all(is_safe) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The members of an object's schema, one a line: name, type, what else is known.
fn members(schema: &Value) -> String {
    let Some(properties) = schema["properties"]
        .as_object()
        .filter(|members| !members.is_empty())
    else {
        return words_of_type(schema);
    };
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let rows: Vec<[String; 4]> = properties
        .iter()
        .map(|(name, member)| {
            let due = if required.iter().any(|due| due == name) {
                "required"
            } else {
                ""
            };
            let words = member["description"].as_str().or(member["title"].as_str());
            [
                name.clone(),
                words_of_type(member),
                due.to_owned(),
                words.unwrap_or_default().to_owned(),
            ]
        })
        .collect();
    show::table(["name", "type", "", ""], &rows)
}

/// What a value has to be, in a few words; the whole truth is in the schema (`bcrl apis --json NAME`).
fn words_of_type(schema: &Value) -> String {
    let mut words = match (&schema["type"], &schema["enum"], &schema["const"]) {
        (_, Value::Array(values), _) => {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            values.join(" or ")
        }
        (_, _, value) if !value.is_null() => value.to_string(),
        (Value::String(kind), ..) if kind == "array" && schema["items"].is_object() => {
            format!("array of {}", words_of_type(&schema["items"]))
        }
        (Value::String(kind), ..) => kind.clone(),
        (Value::Array(kinds), ..) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            kinds.join(" or ")
        }
        _ => "any".to_owned(),
    };
    for (bound, sign) in [
        ("minimum", "≥"),
        ("exclusiveMinimum", ">"),
        ("maximum", "≤"),
        ("exclusiveMaximum", "<"),
    ] {
        if schema[bound].is_number() {
            words += &format!(" {sign} {}", schema[bound]);
        }
    }
    if !schema["default"].is_null() {
        words += &format!(" (default {})", schema["default"]);
    }
    words
}

fn section(title: &str, text: &str) -> String {
    format!("{title}\n{}", indented(text))
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| format!("  {}", plain(line)))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_becomes_a_line_for_each_member() {
        let schema = json!({
            "type": "object",
            "required": ["num1"],
            "properties": {
                "num1": {"type": "integer", "minimum": 0, "maximum": 9, "description": "the first"},
                "unit": {"enum": ["A", "V"], "default": "A"},
                "rows": {"type": "array", "items": {"type": ["number", "null"]}},
                "rest": {}
            }
        });
        assert_eq!(
            members(&schema),
            "name  type\n\
             num1  integer ≥ 0 ≤ 9           required  the first\n\
             unit  \"A\" or \"V\" (default \"A\")\n\
             rows  array of number or null\n\
             rest  any"
        );
        assert_eq!(members(&json!({"type": "array"})), "array");
        assert_eq!(members(&json!(true)), "any");
    }

    #[test]
    fn an_example_becomes_pairs_that_a_shell_reads_back() {
        for (example, expected) in [
            (r#"{"num1":12,"num2":23}"#, Some("num1=12 num2=23 ")),
            (
                r#"{"name":"it's","zip":"007","n":"7"}"#,
                Some(r#"'name=it'\''s' zip=007 'n="7"' "#),
            ),
            (r#"{"rows":[1,2]}"#, Some("'rows=[1,2]' ")),
            ("{}", Some("")),
            (r#"{"a=b":1}"#, None),
            ("[1]", None),
        ] {
            assert_eq!(pairs(example).as_deref(), expected, "{example}");
        }
    }
}
