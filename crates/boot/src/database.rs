//! Where the database is: a URL whose password is shown nowhere.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use serde_with::{DeserializeFromStr, SerializeDisplay};

const SQLITE: &str = "sqlite:";
const POSTGRES: [&str; 2] = ["postgres://", "postgresql://"];
/// A password where PostgreSQL's own tools take it, too.
const PARAMETER: &str = "password=";
const REDACTED: &str = "[redacted]";

/// The URL of a database, `postgres://…` or `sqlite:…`.
#[derive(Clone, DeserializeFromStr, SerializeDisplay)]
pub struct DatabaseUrl(SecretString);

/// A text that is no such URL. What it says instead may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "that is no database: postgres://user:password@host/database or sqlite:path/to/file is due"
)]
pub struct NoDatabase;

impl DatabaseUrl {
    /// The embedded database in this file.
    pub(crate) fn of_file(path: &Path) -> Self {
        DatabaseUrl(format!("{SQLITE}{}", path.display()).into())
    }

    /// The whole URL, its password included, to connect by.
    pub fn whole(&self) -> &str {
        self.0.expose_secret()
    }
}

impl FromStr for DatabaseUrl {
    type Err = NoDatabase;

    fn from_str(text: &str) -> Result<Self, NoDatabase> {
        let names = |scheme: &str| text.len() > scheme.len() && text.starts_with(scheme);
        if !names(SQLITE) && !POSTGRES.into_iter().any(names) || text.contains('\0') {
            return Err(NoDatabase);
        }
        Ok(DatabaseUrl(text.into()))
    }
}

impl PartialEq for DatabaseUrl {
    fn eq(&self, other: &Self) -> bool {
        self.whole() == other.whole()
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(self.whole()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The URL without its passwords. A password that should have been percent-encoded and was not may take more with it.
fn redacted(url: &str) -> String {
    let Some(scheme) = POSTGRES.into_iter().find(|scheme| url.starts_with(scheme)) else {
        return url.to_owned();
    };
    let rest = &url[scheme.len()..];
    let rest = match rest
        .rsplit_once('@')
        .map(|(user, host)| (user.split_once(':'), host))
    {
        Some((Some((user, _)), host)) => format!("{user}:{REDACTED}@{host}"),
        _ => rest.to_owned(),
    };
    let mut parts = rest.split_inclusive(PARAMETER);
    let mut shown = format!("{scheme}{}", parts.next().unwrap_or_default());
    for value in parts {
        let end = value.find('&').unwrap_or(value.len());
        shown.push_str(REDACTED);
        shown.push_str(&value[end..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_nowhere() {
        for (whole, shown) in [
            ("sqlite:data/a:b@c", "sqlite:data/a:b@c"),
            (
                "postgres://bcrl:hush@db:5432/logs",
                "postgres://bcrl:[redacted]@db:5432/logs",
            ),
            (
                "postgresql://bcrl:hush/hush@hush?hush@db/logs",
                "postgresql://bcrl:[redacted]@db/logs",
            ),
            ("postgres://bcrl@db/logs", "postgres://bcrl@db/logs"),
            ("postgres://db:5432/logs", "postgres://db:5432/logs"),
            (
                "postgres://db/logs?password=hush&user=bcrl",
                "postgres://db/logs?password=[redacted]&user=bcrl",
            ),
            (
                "postgres://db/logs?user=bcrl&password=hush",
                "postgres://db/logs?user=bcrl&password=[redacted]",
            ),
        ] {
            let url: DatabaseUrl = whole.parse().unwrap();
            assert_eq!(url.whole(), whole);
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
            assert_eq!(serde_json::json!(url), shown);
        }
    }

    #[test]
    fn what_names_no_database_is_not_repeated() {
        for text in [
            "",
            "sqlite:",
            "postgres://",
            "mysql://u:hush@h/d",
            "hush",
            "sqlite:a\0b",
        ] {
            let error = text.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
