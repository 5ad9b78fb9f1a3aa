//! What a field takes, said beside it.

use page_parts::{Language, number};

use super::form::{Kind, Range};

/// What a field takes, in a few words.
pub(super) fn of(language: Language, kind: &Kind) -> String {
    let count = |least: Option<u64>, most: Option<u64>, ja: &str, en: &str| {
        let words = match (least, most) {
            (Some(least), Some(most)) => (
                format!("{least}〜{most}{ja}"),
                format!("{least} to {most} {en}"),
            ),
            (Some(least), None) => (format!("{least}{ja}以上"), format!("at least {least} {en}")),
            (None, Some(most)) => (format!("{most}{ja}以内"), format!("at most {most} {en}")),
            (None, None) => return String::new(),
        };
        language.say(words.0, words.1)
    };
    let parts = match kind {
        Kind::Number(range) => vec![of_range(language, range)],
        Kind::Text { shortest, longest } => vec![count(*shortest, *longest, "文字", "characters")],
        Kind::Series { each, fewest, most } => {
            let form = language.say(
                "1行に1つ、または空白・カンマ区切り",
                "One a line, or with blanks or commas between",
            );
            let count = count(*fewest, *most, "個", "values");
            vec![form.to_owned(), count, of_range(language, each)]
        }
        Kind::Json => vec!["JSON".into()],
        Kind::Choice(_) | Kind::Group(_) => Vec::new(),
    };
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(language.say("、", "; "))
}

fn of_range(language: Language, range: &Range) -> String {
    let word = |bound: Option<f64>, ja: &str, en: &str| {
        let bound = number::short(bound?);
        Some(language.say(format!("{bound}{ja}"), format!("{en} {bound}")))
    };
    let kind = range
        .integer
        .then(|| language.say("整数", "whole number").to_owned());
    let words = [
        kind,
        word(range.least, "以上", "at least"),
        word(range.above, "より大きい", "more than"),
        word(range.most, "以下", "at most"),
        word(range.below, "より小さい", "less than"),
    ];
    let words: Vec<_> = words.into_iter().flatten().collect();
    words.join(language.say("、", ", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_field_takes_is_said_in_either_language() {
        let each = Range {
            integer: true,
            above: Some(0.0),
            most: Some(1e6),
            ..Range::default()
        };
        let kind = Kind::Series {
            each,
            fewest: Some(2),
            most: None,
        };
        assert_eq!(
            of(Language::Ja, &kind),
            "1行に1つ、または空白・カンマ区切り、2個以上、整数、0より大きい、1,000,000以下"
        );
        let text = Kind::Text {
            shortest: Some(1),
            longest: Some(9),
        };
        assert_eq!(of(Language::En, &text), "1 to 9 characters");
        assert_eq!(of(Language::En, &Kind::Choice(Vec::new())), "");
    }
}
