//! Numbers as people and their programs write them, made into numbers of JSON, to the last digit.

/// The number that a text means, as JSON writes it; nothing where it means none.
///
/// JSON wants a digit on each side of the point and no `+`; Japanese keyboards write full-width digits.
pub fn json_number(text: &str) -> Option<String> {
    let text: String = text.trim().chars().map(half_width).collect();
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    let at = rest.find(['e', 'E']).unwrap_or(rest.len());
    let (mantissa, exponent) = rest.split_at(at);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let point = if mantissa.contains('.') { "." } else { "" };
    let fraction = if point == "." && fraction.is_empty() {
        "0"
    } else {
        fraction
    };
    let number = format!("{sign}{whole}{point}{fraction}{exponent}");
    let is_number =
        serde_json::from_str::<serde_json::Value>(&number).is_ok_and(|value| value.is_number());
    is_number.then_some(number)
}

fn half_width(character: char) -> char {
    match character {
        '０'..='９' | '．' | '＋' | 'ｅ' | 'Ｅ' => {
            // The full-width forms lie at a fixed distance from ASCII (U+FF01 to U+FF5E).
            char::from_u32(character as u32 - 0xFEE0).unwrap_or(character)
        }
        '−' | '－' | 'ー' => '-',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::json_number;

    #[test]
    fn numbers_keep_their_digits_and_get_the_form_of_json() {
        for (text, number) in [
            ("5.0", Some("5.0")),
            (" 12 ", Some("12")),
            ("+1", Some("1")),
            (".5", Some("0.5")),
            ("-.5e-3", Some("-0.5e-3")),
            ("1.", Some("1.0")),
            ("007", Some("7")),
            ("00.10", Some("0.10")),
            ("1E+5", Some("1E+5")),
            (
                "0.12345678901234567890123",
                Some("0.12345678901234567890123"),
            ),
            ("−１２．５", Some("-12.5")),
            ("", None),
            (".", None),
            ("-", None),
            ("abc", None),
            ("1,000", None),
            ("1 2", None),
            ("0x10", None),
            ("NaN", None),
            ("1e999", None),
            ("1e", None),
            ("--1", None),
            ("{}", None),
        ] {
            assert_eq!(json_number(text).as_deref(), number, "{text}");
        }
    }
}
