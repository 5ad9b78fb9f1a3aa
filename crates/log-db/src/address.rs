//! Where the database is, as the setting `database_url` says it.

use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// What SQLite itself takes for a database that is gone with its connection.
const IN_MEMORY: &str = ":memory:";

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Address {
    /// A PostgreSQL server, with user, password and database.
    Postgres(Box<PgConnectOptions>),
    /// The file of an embedded SQLite.
    Sqlite(PathBuf),
}

/// A URL that names no database. What it says instead may hold a password, and is not repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "that is no database: postgres://user:password@host/database or sqlite:path/to/file is due{0}"
)]
pub struct NoAddress(String);

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(url: &str) -> Result<Self, NoAddress> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(NoAddress("; the path is missing".into())),
                IN_MEMORY => Err(NoAddress("; memory keeps nothing".into())),
                path => Ok(Address::Sqlite(path.into())),
            };
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(NoAddress(String::new()));
        }
        match url.parse() {
            Ok(options) => Ok(Address::Postgres(Box::new(options))),
            Err(error) => Err(NoAddress(format!("; {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_one_of_two_databases() {
        for (url, path) in [
            ("sqlite:data/bcrl.sqlite", "data/bcrl.sqlite"),
            ("sqlite://data/a%20b?c", "data/a%20b?c"),
            ("sqlite:///srv/bcrl.sqlite", "/srv/bcrl.sqlite"),
        ] {
            let address = url.parse().unwrap();
            assert!(
                matches!(&address, Address::Sqlite(found) if found.as_os_str() == path),
                "{address:?}"
            );
        }
        let url = "postgres://bcrl:hush@db.example.com:5433/logs";
        let Ok(Address::Postgres(options)) = url.parse() else {
            panic!("{url}");
        };
        assert_eq!(
            (options.get_host(), options.get_port()),
            ("db.example.com", 5433)
        );
        assert_eq!(options.get_database(), Some("logs"));
    }

    #[test]
    fn what_names_no_database_is_told_without_its_password() {
        for url in [
            "",
            "data/bcrl.sqlite",
            "mysql://u:hush@h/d",
            "sqlite:",
            "sqlite::memory:",
            "postgres://u:hush@h:port/d",
        ] {
            let error = url.parse::<Address>().unwrap_err().to_string();
            assert!(error.starts_with("that is no database"), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
