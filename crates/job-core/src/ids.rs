//! The names of things: job, API, worker, and the token that fences a run.
//!
//! Each is checked once, where it enters; behind that line nobody checks again.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_with::{DeserializeFromStr, SerializeDisplay};
use uuid::Uuid;

use crate::date::Date;

/// Why a text is no name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {rule}")]
pub struct InvalidName {
    what: &'static str,
    rule: &'static str,
}

/// A job's id: a UUID, written in its canonical lower-case form of 36 characters (RFC 9562 section 4).
///
/// Ours are version 7, so that an id tells when it was made; any version is read, because third parties may add
/// entries of their own.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, SerializeDisplay, DeserializeFromStr,
)]
pub struct JobId(Uuid);

impl JobId {
    /// A new id for a job that is made at `now`; `random` supplies the bits that tell it from its neighbours.
    pub fn new(now: Date, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.unix_millis()).unwrap_or(0);
        JobId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Milliseconds since 1970 at which the id was made, where it is a version 7 one.
    pub fn made_at_millis(&self) -> Option<i64> {
        let (seconds, nanos) = self
            .0
            .get_timestamp()
            .filter(|_| self.0.get_version_num() == 7)?
            .to_unix();
        Some(i64::try_from(seconds).ok()? * 1000 + i64::from(nanos / 1_000_000))
    }
}

impl FromStr for JobId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bad = InvalidName {
            what: "job id",
            rule: "a UUID in lower case, 8-4-4-4-12, is due",
        };
        let uuid = Uuid::try_parse(text).map_err(|_| bad.clone())?;
        // `try_parse` also takes braces, urn: and capitals; one job has one spelling here.
        let mut canonical = Uuid::encode_buffer();
        if uuid.hyphenated().encode_lower(&mut canonical) == text {
            Ok(JobId(uuid))
        } else {
            Err(bad)
        }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

/// The name of an API: `[a-z][a-z0-9_-]{0,62}`, which is also the name of its folder.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, SerializeDisplay, DeserializeFromStr,
)]
pub struct ApiName(Arc<str>);

impl ApiName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let tail = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
        match text.as_bytes() {
            [first, rest @ ..]
                if first.is_ascii_lowercase()
                    && rest.len() <= 62
                    && rest.iter().all(|c| tail(*c)) =>
            {
                Ok(ApiName(text.into()))
            }
            _ => Err(InvalidName {
                what: "API name",
                rule: "a lower-case letter, then at most 62 of a-z, 0-9, _ and - are due",
            }),
        }
    }
}

impl fmt::Display for ApiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A worker, as of one start: its name and a UUID of this start, so that nobody mistakes a restarted worker for the
/// one before. It is also a file's name, so it holds only letters, digits, `.`, `_` and `-`.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, SerializeDisplay, DeserializeFromStr,
)]
pub struct WorkerId(Arc<str>);

impl WorkerId {
    /// The id of the worker called `name` as of the start marked by `start`.
    ///
    /// # Errors
    /// Where the name is empty, longer than 63 characters or could not stand in a file's name.
    pub fn new(name: &str, start: Uuid) -> Result<Self, InvalidName> {
        if name.len() > 63 {
            return Err(Self::INVALID);
        }
        format!("{name}-{start}").parse()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    const INVALID: InvalidName = InvalidName {
        what: "worker name",
        rule: "1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit, are due",
    };
}

impl FromStr for WorkerId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        match text.as_bytes() {
            bytes @ [first, ..]
                if first.is_ascii_alphanumeric()
                    && bytes.len() <= 100
                    && bytes.iter().all(|c| allowed(*c)) =>
            {
                Ok(WorkerId(text.into()))
            }
            _ => Err(Self::INVALID),
        }
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The fencing token of one run: 128 random bits as 32 hexadecimal digits. Whoever holds the token that stands in the
/// job's entry may finish the job; a worker that was presumed dead finds another one there, or none.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, SerializeDisplay, DeserializeFromStr,
)]
pub struct Token(u128);

impl Token {
    /// The token made of these random bits.
    pub fn new(random: [u8; 16]) -> Self {
        Token(u128::from_be_bytes(random))
    }
}

impl FromStr for Token {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bad = InvalidName {
            what: "token",
            rule: "32 hexadecimal digits are due",
        };
        if text.len() != 32 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(bad);
        }
        u128::from_str_radix(text, 16).map(Token).map_err(|_| bad)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_a_job_id() {
        let id = "0190a6f0-1c2d-7abc-8def-0123456789ab";
        assert_eq!(id.parse::<JobId>().unwrap().to_string(), id);
        for bad in [
            "0190A6F0-1C2D-7ABC-8DEF-0123456789AB",
            "{0190a6f0-1c2d-7abc-8def-0123456789ab}",
            "urn:uuid:0190a6f0-1c2d-7abc-8def-0123456789ab",
            "0190a6f01c2d7abc8def0123456789ab",
            "0190a6f0-1c2d-7abc-8def-0123456789a",
            "../status",
            "",
        ] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_job_id_tells_when_it_was_made() {
        let now: Date = "2023-10-01T00:00:00.123+09:00".parse().unwrap();
        assert_eq!(
            JobId::new(now, [7; 10]).made_at_millis(),
            Some(now.unix_millis())
        );
        assert_eq!(
            "f47ac10b-58cc-4372-a567-0e02b2c3d479"
                .parse::<JobId>()
                .unwrap()
                .made_at_millis(),
            None
        );
    }

    #[test]
    fn api_names_are_short_and_plain() {
        assert!("soc".parse::<ApiName>().is_ok());
        assert!(format!("a{}", "b".repeat(62)).parse::<ApiName>().is_ok());
        for bad in [
            "",
            "Soc",
            "1soc",
            "so c",
            "../soc",
            "soc/",
            "é",
            &format!("a{}", "b".repeat(63)),
        ] {
            assert!(bad.parse::<ApiName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_worker_id_is_safe_as_a_file_name() {
        let start = Uuid::from_u128(1);
        assert_eq!(
            WorkerId::new("app1", start).unwrap().as_str(),
            "app1-00000000-0000-0000-0000-000000000001"
        );
        for bad in ["", ".hidden", "a/b", "a b", &"x".repeat(64)] {
            assert!(WorkerId::new(bad, start).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_keep_their_leading_zeros() {
        let token = Token::new([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(token.to_string(), "000102030405060708090a0b0c0d0e0f");
        assert_eq!(token.to_string().parse::<Token>().unwrap(), token);
        assert!("+0102030405060708090a0b0c0d0e0f0".parse::<Token>().is_err());
    }
}
