//! How values are written where their own types do not say it well enough: what is wrong is told with an example.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use chrono_tz::Tz;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};
use toml::Value;

use crate::allowed::Allowed;
use crate::rate::Rate;
use crate::secret::Secret;

/// So much of a value is repeated to whoever wrote it.
const SHOWN: usize = 100;

/// A time zone by its IANA name.
pub(crate) fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    read(deserializer, "time zone", "Asia/Tokyo", |value| {
        value.as_str()?.parse().ok()
    })
}

/// An IP address and a port.
pub(crate) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    read(
        deserializer,
        "IP address with a port",
        "127.0.0.1:8080",
        |value| value.as_str()?.parse().ok(),
    )
}

/// A number of bytes, with a unit or without.
pub(crate) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    read(deserializer, "size", "8MiB", |value| match value {
        Value::String(text) => text.parse().ok(),
        Value::Integer(bytes) => Some(ByteSize(u64::try_from(*bytes).ok()?)),
        _ => None,
    })
}

/// How often something may happen.
pub(crate) fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
    read(deserializer, "rate", "50/s", |value| {
        value.as_str()?.parse().ok()
    })
}

/// A whole number.
pub(crate) fn count<'de, D: Deserializer<'de>, T: TryFrom<i64>>(
    deserializer: D,
) -> Result<T, D::Error> {
    read(deserializer, "whole number", "4", |value| {
        value.as_integer()?.try_into().ok()
    })
}

/// A whole number that may be missing.
pub(crate) fn optional_count<'de, D: Deserializer<'de>, T: TryFrom<i64>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    count(deserializer).map(Some)
}

/// Secrets, of which none is ever repeated.
pub(crate) fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Secret>, D::Error> {
    let texts = list(deserializer)?;
    let secrets = texts.iter().map(|text| text.parse());
    secrets.collect::<Result<_, _>>().map_err(D::Error::custom)
}

/// Networks, addresses and host names.
pub(crate) fn allowed<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Allowed>, D::Error> {
    let parse = |text: &String| {
        let trouble = |error| D::Error::custom(format_args!("{:?} is {error}", cut(text)));
        text.parse().map_err(trouble)
    };
    list(deserializer)?.iter().map(parse).collect()
}

/// Times, each as a number with its unit.
pub(crate) mod times {
    use super::*;

    /// Reads them.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Duration>, D::Error> {
        let parse = |text: &String| {
            humantime::parse_duration(text).map_err(|_| {
                let shown = cut(text);
                D::Error::custom(format_args!("{shown:?} is no time: one such as 5m is due"))
            })
        };
        list(deserializer)?.iter().map(parse).collect()
    }

    /// Writes them.
    pub(crate) fn serialize<S: Serializer>(
        times: &[Duration],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let written = |time: &Duration| humantime::format_duration(*time).to_string();
        serializer.collect_seq(times.iter().map(written))
    }
}

/// Some texts: as a file has them, or with commas between them as a variable has them.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a list of texts is due")]
    enum List {
        Listed(Vec<String>),
        Joined(String),
    }
    Ok(match List::deserialize(deserializer)? {
        List::Listed(texts) => texts,
        List::Joined(text) => {
            let texts = text.split(',').map(str::trim);
            let texts = texts.filter(|text| !text.is_empty());
            texts.map(str::to_owned).collect()
        }
    })
}

fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    kind: &'static str,
    example: &'static str,
    parse: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    parse(&value).ok_or_else(|| {
        D::Error::custom(format_args!(
            "{} is no {kind}: one such as {example} is due",
            cut(&value)
        ))
    })
}

fn cut(value: impl Display) -> String {
    value.to_string().chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    #[test]
    fn what_is_wrong_is_told_with_an_example() {
        for (text, told) in [
            (
                "timezone = \"Asia/Tokio\"",
                "\"Asia/Tokio\" is no time zone: one such as Asia/Tokyo is due",
            ),
            (
                "timezone = \"\"",
                "\"\" is no time zone: one such as Asia/Tokyo is due",
            ),
            (
                "timezone = 9",
                "9 is no time zone: one such as Asia/Tokyo is due",
            ),
            (
                "api.listen = \"localhost:8080\"",
                "\"localhost:8080\" is no IP address with a port: one such as 127.0.0.1:8080 is due",
            ),
            (
                "limits.request = -1",
                "-1 is no size: one such as 8MiB is due",
            ),
            (
                "limits.result = \"many\"",
                "\"many\" is no size: one such as 8MiB is due",
            ),
            (
                "limits.log = 1.5",
                "1.5 is no size: one such as 8MiB is due",
            ),
            (
                "limits.queue = \"7\"",
                "\"7\" is no whole number: one such as 4 is due",
            ),
            (
                "worker.concurrency = -1",
                "-1 is no whole number: one such as 4 is due",
            ),
            (
                "worker.watch = \"events\"",
                "true, false or \"poll\" is due",
            ),
            (
                "api.rate.submits = 50",
                "50 is no rate: one such as 50/s is due",
            ),
            ("folder.group = true", "a group's name or its number is due"),
            (
                "webhook.allow = \"10.0.0.0/8,10.0.0.0/99\"",
                "\"10.0.0.0/99\" is neither a network such as 10.1.0.0/16, nor an address, nor a host name",
            ),
            (
                "webhook.pauses = [\"5s\", \"5 apples\"]",
                "\"5 apples\" is no time: one such as 5m is due",
            ),
            ("webhook.secrets = 5", "a list of texts is due"),
            (
                "webhook.secrets = [\"whsec_c2hvcnQ=\"]",
                "that is no secret: whsec_ and 24 to 64 bytes in base64 are due, such as bcrl webhooks secret prints",
            ),
        ] {
            let error = toml::from_str::<Settings>(text).unwrap_err();
            assert_eq!(error.message(), told, "{text}");
        }
    }

    #[test]
    fn a_list_is_one_in_a_file_and_joined_in_a_variable() {
        for text in ["[\"5s\", \"2h\"]", "\"5s, 2h,\""] {
            let settings = format!("webhook.pauses = {text}");
            let settings: Settings = toml::from_str(&settings).unwrap();
            assert_eq!(
                settings.webhook.pauses,
                [5, 7200].map(std::time::Duration::from_secs)
            );
        }
    }

    #[test]
    fn little_of_a_value_is_repeated() {
        let text = format!("timezone = \"{}\"", "x".repeat(10_000));
        let error = toml::from_str::<Settings>(&text).unwrap_err();
        assert!(error.message().len() < 200, "{}", error.message());
    }
}
