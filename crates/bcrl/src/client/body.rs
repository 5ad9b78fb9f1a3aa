//! The body of a submission: a file, stdin, or `key=value` pairs, which are merged over the file's object.
//!
//! Values stay as they were written, digit for digit; only whether they are JSON is checked here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::error::Error;
use super::terminal;

/// One `key=value` of the command line.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    key: String,
    value: PairValue,
}

#[derive(Debug, Clone)]
enum PairValue {
    Json(Box<RawValue>),
    File(PathBuf),
}

impl Pair {
    /// Reads `key=value` and `key=@file`. A value that is JSON is taken as JSON, any other as a string.
    ///
    /// # Errors
    /// In words, where it is no pair.
    pub(super) fn parse(text: &str) -> Result<Pair, String> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => (key.to_owned(), value),
            _ => return Err("key=value, or key=@file, is due".into()),
        };
        let value = match value.strip_prefix('@') {
            Some(file) => PairValue::File(file.into()),
            None => PairValue::Json(json_or_string(value)),
        };
        Ok(Pair { key, value })
    }
}

/// The shortest value of a pair that means this JSON.
pub(super) fn pair_value(json: &str) -> String {
    match serde_json::from_str::<String>(json) {
        Ok(text) if !text.starts_with('@') && json_or_string(&text).get() == json => text,
        _ => json.to_owned(),
    }
}

fn json_or_string(value: &str) -> Box<RawValue> {
    serde_json::from_str(value).unwrap_or_else(|_| {
        serde_json::value::to_raw_value(value).expect("a string can be written as JSON")
    })
}

/// The body: of the file (`-` is stdin) with the pairs over it; of stdin where neither is given and it is no terminal;
/// else the empty object.
///
/// # Errors
/// Where a file cannot be read or is not JSON, where pairs go over something else than an object, or where a key is
/// given twice.
pub(super) async fn read(file: Option<&Path>, pairs: &[Pair]) -> Result<String, Error> {
    let base = match file {
        Some(path) if path.as_os_str() == "-" => {
            Some(("stdin".to_owned(), terminal::read_stdin().await?))
        }
        Some(path) => Some((path.display().to_string(), read_file(path)?)),
        None if pairs.is_empty() && !terminal::stdin_is_terminal() => {
            // Jobs of cron and the like have an empty stdin, which means that there are no parameters.
            let text = terminal::read_stdin().await?;
            (!text.trim().is_empty()).then(|| ("stdin".to_owned(), text))
        }
        None => None,
    };
    if let Some((name, text)) = &base {
        check::<&RawValue>(name, text)?;
    }
    match base {
        Some((_, text)) if pairs.is_empty() => Ok(text),
        Some((name, text)) => {
            let object = check(&format!("{name}, over which pairs are merged"), &text)?;
            merge(object, pairs)
        }
        None => merge(BTreeMap::new(), pairs),
    }
}

fn merge(mut object: BTreeMap<String, Box<RawValue>>, pairs: &[Pair]) -> Result<String, Error> {
    for (index, Pair { key, value }) in pairs.iter().enumerate() {
        if pairs[..index].iter().any(|earlier| earlier.key == *key) {
            return Err(Error::Usage(format!("{key} is given twice")));
        }
        let value = match value {
            PairValue::Json(json) => json.clone(),
            PairValue::File(path) => check(&path.display().to_string(), &read_file(path)?)?,
        };
        object.insert(key.clone(), value);
    }
    Ok(
        serde_json::to_string(&object)
            .expect("text keys and checked values can be written as JSON"),
    )
}

fn read_file(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|cause| Error::File {
        path: path.to_owned(),
        cause,
    })
}

fn check<'a, T: serde::Deserialize<'a>>(name: &str, text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Usage(format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(base: &str, pairs: &[&str]) -> Result<String, Error> {
        let pairs: Vec<Pair> = pairs
            .iter()
            .map(|pair| Pair::parse(pair).unwrap())
            .collect();
        merge(serde_json::from_str(base).unwrap(), &pairs)
    }

    #[test]
    fn a_value_that_is_json_is_json_and_any_other_a_string() {
        for (pair, body) in [
            ("a=12", r#"{"a":12}"#),
            ("a=-1.50", r#"{"a":-1.50}"#),
            (
                "a=12345678901234567890123",
                r#"{"a":12345678901234567890123}"#,
            ),
            ("a=true", r#"{"a":true}"#),
            ("a=[1, 2]", r#"{"a":[1, 2]}"#),
            (r#"a={"b":null}"#, r#"{"a":{"b":null}}"#),
            (r#"a="12""#, r#"{"a":"12"}"#),
            ("a=", r#"{"a":""}"#),
            ("a=hello world", r#"{"a":"hello world"}"#),
            ("a=007", r#"{"a":"007"}"#),
            ("a=NaN", r#"{"a":"NaN"}"#),
            ("a=b=c", r#"{"a":"b=c"}"#),
            ("a=\"", r#"{"a":"\""}"#),
            ("温度=25", r#"{"温度":25}"#),
        ] {
            assert_eq!(merged("{}", &[pair]).unwrap(), body, "{pair}");
        }
    }

    #[test]
    fn pairs_go_over_the_object_of_the_file() {
        assert_eq!(
            merged(r#"{"a":1,"b":{"c":2.0}}"#, &["a=3", "d=x"]).unwrap(),
            r#"{"a":3,"b":{"c":2.0},"d":"x"}"#
        );
    }

    #[test]
    fn a_key_is_given_once() {
        let error = merged("{}", &["a=1", "a=2"]).unwrap_err();
        assert_eq!(error.to_string(), "a is given twice");
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for bad in ["", "a", "=1", "=@file"] {
            assert!(Pair::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_value_can_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("values.json");
        let pair = format!("a=@{}", path.display());
        std::fs::write(&path, "[1.0, 2]\n").unwrap();
        assert_eq!(merged("{}", &[&pair]).unwrap(), r#"{"a":[1.0, 2]}"#);
        std::fs::write(&path, "[1.0,").unwrap();
        assert!(merged("{}", &[&pair]).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(merged("{}", &[&pair]), Err(Error::File { .. })));
    }

    #[test]
    fn every_json_has_a_pair_that_means_it() {
        for (json, value) in [
            ("12", "12"),
            (r#""plain""#, "plain"),
            (r#""12""#, r#""12""#),
            (r#""@home""#, r#""@home""#),
            ("[1,2]", "[1,2]"),
        ] {
            assert_eq!(pair_value(json), value);
            assert_eq!(
                merged("{}", &[&format!("a={value}")]).unwrap(),
                format!(r#"{{"a":{json}}}"#)
            );
        }
    }
}
