//! The body that all jobs are submitted with: a file, or `key=value` pairs, which are merged over the file's object.
//!
//! Values stay as they were written, digit for digit; only whether they are JSON is checked here.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::value::RawValue;

/// One `key=value` of the command line.
#[derive(Debug, Clone)]
pub struct Pair {
    key: String,
    value: Box<RawValue>,
}

impl Pair {
    /// Reads `key=value`. A value that is JSON is taken as JSON, any other as a string.
    ///
    /// # Errors
    /// In words, where it is no pair.
    pub fn parse(text: &str) -> Result<Pair, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Pair {
                key: key.to_owned(),
                value: json_or_string(value),
            }),
            _ => Err("key=value is due".into()),
        }
    }
}

fn json_or_string(value: &str) -> Box<RawValue> {
    serde_json::from_str(value).unwrap_or_else(|_| {
        serde_json::value::to_raw_value(value).expect("a string can be written as JSON")
    })
}

/// The body: of the file (`-` is stdin) with the pairs over it; the empty object where there is neither.
///
/// # Errors
/// Where the file cannot be read or is not JSON, where pairs go over something else than an object, or where a key is
/// given twice.
pub fn read(file: Option<&str>, pairs: &[Pair]) -> anyhow::Result<String> {
    let (file, first) = match file {
        // `--body num1=12 num2=23` is what a person may write as well; such a file would be a strange one.
        Some(text) if !Path::new(text).exists() && text.contains('=') => {
            let pair = Pair::parse(text).map_err(anyhow::Error::msg);
            (None, Some(pair.context("--body")?))
        }
        file => (file, None),
    };
    let pairs: Vec<Pair> = first.into_iter().chain(pairs.iter().cloned()).collect();
    let Some(name) = file else {
        return merge(BTreeMap::new(), &pairs);
    };
    let text = match name {
        "-" => std::io::read_to_string(std::io::stdin()),
        path => std::fs::read_to_string(path),
    };
    let text = text.with_context(|| format!("--body {name}"))?;
    if pairs.is_empty() {
        serde_json::from_str::<&RawValue>(&text).with_context(|| format!("--body {name}"))?;
        return Ok(text);
    }
    let object = serde_json::from_str(&text)
        .with_context(|| format!("--body {name}, over which pairs are merged"))?;
    merge(object, &pairs)
}

fn merge(mut object: BTreeMap<String, Box<RawValue>>, pairs: &[Pair]) -> anyhow::Result<String> {
    for (index, Pair { key, value }) in pairs.iter().enumerate() {
        if pairs[..index].iter().any(|earlier| earlier.key == *key) {
            bail!("{key} is given twice");
        }
        object.insert(key.clone(), value.clone());
    }
    Ok(
        serde_json::to_string(&object)
            .expect("text keys and checked values can be written as JSON"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(file: Option<&str>, pairs: &[&str]) -> Result<String, String> {
        let pairs: Vec<Pair> = pairs
            .iter()
            .map(|pair| Pair::parse(pair).unwrap())
            .collect();
        read(file, &pairs).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn pairs_are_json_or_strings() {
        assert_eq!(body(None, &[]).unwrap(), "{}");
        let pairs = ["a=1.50", "b=x", "c=[1, 2]", "d=", "e=1=2"];
        assert_eq!(
            body(None, &pairs).unwrap(),
            r#"{"a":1.50,"b":"x","c":[1, 2],"d":"","e":"1=2"}"#
        );
        assert_eq!(body(None, &["a=1", "a=2"]).unwrap_err(), "a is given twice");
        for bad in ["", "a", "=1"] {
            assert!(Pair::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_is_sent_as_it_is_or_with_pairs_over_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("body.json");
        let file = path.to_str().unwrap();
        assert!(body(Some(file), &[]).unwrap_err().contains("No such file"));
        std::fs::write(&path, "{\"a\": 1.50,\n\"b\":2}\n").unwrap();
        assert_eq!(body(Some(file), &[]).unwrap(), "{\"a\": 1.50,\n\"b\":2}\n");
        assert_eq!(body(Some(file), &["b=3"]).unwrap(), r#"{"a":1.50,"b":3}"#);
        std::fs::write(&path, "[1]").unwrap();
        assert_eq!(body(Some(file), &[]).unwrap(), "[1]");
        assert!(body(Some(file), &["b=3"]).is_err());
        std::fs::write(&path, "[1").unwrap();
        assert!(body(Some(file), &[]).is_err());
    }

    #[test]
    fn pairs_behind_the_option_are_pairs() {
        assert_eq!(body(Some("a=1"), &["b=2"]).unwrap(), r#"{"a":1,"b":2}"#);
        assert!(body(Some("a=1"), &["a=2"]).is_err());
    }
}
