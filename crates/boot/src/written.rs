//! How values are written where their own types do not say it well enough: what is wrong is told with an example.

use std::fmt::Display;
use std::net::SocketAddr;

use bytesize::ByteSize;
use chrono_tz::Tz;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use toml::Value;

use crate::rate::Rate;

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
        ] {
            let error = toml::from_str::<Settings>(text).unwrap_err();
            assert_eq!(error.message(), told, "{text}");
        }
    }

    #[test]
    fn little_of_a_value_is_repeated() {
        let text = format!("timezone = \"{}\"", "x".repeat(10_000));
        let error = toml::from_str::<Settings>(&text).unwrap_err();
        assert!(error.message().len() < 200, "{}", error.message());
    }
}
