//! What a series is called, and in which unit it is: by the API's schema, else by the end of its name.

use serde_json::Value;

/// Ends of names, and the units that they tell.
const ENDS: [(&str, &str); 24] = [
    ("s", "s"),
    ("ms", "ms"),
    ("min", "min"),
    ("h", "h"),
    ("a", "A"),
    ("ma", "mA"),
    ("v", "V"),
    ("mv", "mV"),
    ("w", "W"),
    ("kw", "kW"),
    ("ah", "Ah"),
    ("wh", "Wh"),
    ("kwh", "kWh"),
    ("ohm", "Ω"),
    ("mohm", "mΩ"),
    ("hz", "Hz"),
    ("m", "m"),
    ("mm", "mm"),
    ("kg", "kg"),
    ("pa", "Pa"),
    ("degc", "°C"),
    ("k", "K"),
    ("pct", "%"),
    ("percent", "%"),
];

/// What a member is called on an axis.
pub fn label(name: &str, schema: Option<&Value>) -> String {
    let members = schema.and_then(|schema| schema.get("properties"));
    let title = members.and_then(|members| members.get(name)?.get("title")?.as_str());
    if let Some(title) = title {
        return title.to_owned();
    }
    let end = name.rsplit_once('_').map(|(_, end)| end.to_lowercase());
    let unit = end.and_then(|end| ENDS.iter().find(|(one, _)| *one == end));
    match unit {
        Some((_, unit)) => format!("{name} [{unit}]"),
        None => name.to_owned(),
    }
}

/// Whether a name is one of places rather than of values at them.
pub fn is_place(name: &str) -> bool {
    let first = name.split(['_', ' ', '[', '(']).next().unwrap_or(name);
    let first = first.to_lowercase();
    matches!(
        first.as_str(),
        "time" | "times" | "t" | "x" | "時間" | "時刻"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn units_come_from_the_schema_or_the_name() {
        let schema = json!({"properties": {"time_s": {"title": "Time [s]"}}});
        for (name, text) in [
            ("time_s", "Time [s]"),
            ("charge_ah", "charge_ah [Ah]"),
            ("soc", "soc"),
            ("max_soc", "max_soc"),
            ("s", "s"),
        ] {
            assert_eq!(label(name, Some(&schema)), text);
        }
        assert_eq!(label("time_s", None), "time_s [s]");
    }

    #[test]
    fn places_are_told_by_their_names() {
        for (name, is) in [
            ("time_s", true),
            ("t", true),
            ("Time [s]", true),
            ("temperature", false),
            ("soc", false),
        ] {
            assert_eq!(is_place(name), is, "{name}");
        }
    }
}
