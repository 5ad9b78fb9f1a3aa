//! What is wrong with what a person entered, in both languages.

use page_parts::{Language, number};

/// What is wrong at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Misfit {
    /// The place, as a JSON Pointer; the file with columns is [`SHEET`].
    pub pointer: String,
    /// What is wrong there.
    pub what: What,
}

/// Where it is the file with columns that is wrong. No JSON Pointer begins like that.
pub const SHEET: &str = "sheet";

/// So much of what is no number is quoted, in characters.
const QUOTED: usize = 40;

/// What can be wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Nothing was entered, and something must be.
    Missing,
    /// It is no number.
    NoNumber(String),
    /// In this line of many there is no number.
    NoNumberInLine(usize, String),
    /// It has decimals, and must not.
    NoInteger,
    /// It is below what is the least.
    Under(f64),
    /// It is not above this.
    NotAbove(f64),
    /// It is over what is the most.
    Over(f64),
    /// It is not below this.
    NotBelow(f64),
    /// This one of many, counted from 1, is not what it may be.
    Item(usize, Box<What>),
    /// It has fewer characters than this.
    TooShort(u64),
    /// It has more characters than this.
    TooLong(u64),
    /// There are fewer of them than this.
    TooFew(u64),
    /// There are more of them than this.
    TooMany(u64),
    /// It is none of what can be chosen.
    NoChoice,
    /// It is no JSON, for this reason.
    NoJson(String),
    /// Which column it is cannot be seen.
    WhichColumn,
    /// The file has no lines with numbers.
    NoRows,
    /// The file has more columns than this.
    TooManyColumns(usize),
    /// A line of the file has fewer columns than the others.
    FewColumns(usize),
    /// The schema's own word about it.
    Schema(String),
}

impl Misfit {
    /// What is wrong at a place.
    pub fn new(pointer: &str, what: What) -> Self {
        Misfit {
            pointer: pointer.to_owned(),
            what,
        }
    }
}

impl What {
    /// This is no number.
    pub fn no_number(text: &str) -> Self {
        What::NoNumber(quoted(text))
    }

    /// This, in a line of many, is no number.
    pub fn no_number_in_line(line: usize, text: &str) -> Self {
        What::NoNumberInLine(line, quoted(text))
    }

    /// What is wrong, as a sentence.
    pub fn words(&self, language: Language) -> String {
        let say = |ja: String, en: String| language.say(ja, en);
        match self {
            What::Missing => say("入力してください".into(), "Enter a value".into()),
            What::NoNumber(text) => say(
                format!("数値を入力してください(「{text}」は数値ではありません)"),
                format!("Enter a number (“{text}” is none)"),
            ),
            What::NoNumberInLine(line, text) => say(
                format!("{line}行目の「{text}」は数値ではありません"),
                format!("Line {line}: “{text}” is no number"),
            ),
            What::NoInteger => say(
                "整数を入力してください".into(),
                "Enter a whole number".into(),
            ),
            What::Under(least) => say(
                format!("{}以上にしてください", number::short(*least)),
                format!("It must be at least {}", number::short(*least)),
            ),
            What::NotAbove(bound) => say(
                format!("{}より大きくしてください", number::short(*bound)),
                format!("It must be more than {}", number::short(*bound)),
            ),
            What::Over(most) => say(
                format!("{}以下にしてください", number::short(*most)),
                format!("It must be at most {}", number::short(*most)),
            ),
            What::NotBelow(bound) => say(
                format!("{}より小さくしてください", number::short(*bound)),
                format!("It must be less than {}", number::short(*bound)),
            ),
            What::Item(place, what) => {
                let what = what.words(language);
                say(
                    format!("{place}番目の値: {what}"),
                    format!("Value {place}: {what}"),
                )
            }
            What::TooShort(least) => say(
                format!("{least}文字以上で入力してください"),
                format!("Enter at least {least} characters"),
            ),
            What::TooLong(most) => say(
                format!("{most}文字以内で入力してください"),
                format!("Enter at most {most} characters"),
            ),
            What::TooFew(least) => say(
                format!("値が{least}個以上必要です"),
                format!("At least {least} values are needed"),
            ),
            What::TooMany(most) => say(
                format!("値は{most}個以内にしてください"),
                format!("At most {most} values are taken"),
            ),
            What::NoChoice => say(
                "選択肢から選んでください".into(),
                "Choose one of the options".into(),
            ),
            What::NoJson(why) => say(
                format!("JSONとして読めません: {why}"),
                format!("This is no JSON: {why}"),
            ),
            What::WhichColumn => say(
                "データのどの列かを選んでください".into(),
                "Choose its column of the data".into(),
            ),
            What::NoRows => say(
                "データに数値の行がありません".into(),
                "The data has no line with numbers".into(),
            ),
            What::TooManyColumns(most) => say(
                format!(
                    "データの列は{}列以内にしてください",
                    number::grouped(*most as u64)
                ),
                format!(
                    "The data may have at most {} columns",
                    number::grouped(*most as u64)
                ),
            ),
            What::FewColumns(line) => say(
                format!("{line}行目の列が足りません"),
                format!("Line {line} has too few columns"),
            ),
            What::Schema(text) => say(
                format!("このAPIの条件に合いません: {text}"),
                format!("It does not fit the API: {text}"),
            ),
        }
    }
}

/// The begin of a text that may be of any length.
fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_quoted_in_part() {
        let long = "x".repeat(QUOTED * 2);
        let begin = "x".repeat(QUOTED);
        assert_eq!(What::no_number(&long), What::NoNumber(begin.clone()));
        let in_line = What::no_number_in_line(3, &long);
        assert_eq!(in_line, What::NoNumberInLine(3, begin));
    }

    #[test]
    fn a_message_is_said_in_either_language() {
        let what = What::Item(3, Box::new(What::NotAbove(0.5)));
        assert_eq!(
            what.words(Language::Ja),
            "3番目の値: 0.5より大きくしてください"
        );
        assert_eq!(
            what.words(Language::En),
            "Value 3: It must be more than 0.5"
        );
    }
}
