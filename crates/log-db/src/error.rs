//! What can go wrong, by what a caller can do about it.

use std::borrow::Cow;

/// What went wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// It cannot be reached, or cannot work at the moment. Later it may.
    #[error("the database is away: {0}")]
    Away(#[source] sqlx::Error),
    /// It was left by another version of this program, or cannot be brought to this one's tables.
    #[error("the database's tables cannot be brought up to date: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// It refuses what it was given, or answers what cannot be.
    #[error("the database refuses: {0}")]
    Refused(#[source] sqlx::Error),
    /// A number is larger than the database's largest.
    #[error("{0} is larger than any number that the database holds")]
    TooLarge(u64),
}

impl DbError {
    /// Whether the same may well go through later.
    pub fn is_away(&self) -> bool {
        matches!(self, DbError::Away(_))
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        let away = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(refusal) => refusal.code().is_some_and(may_pass),
            _ => false,
        };
        if away {
            DbError::Away(error)
        } else {
            DbError::Refused(error)
        }
    }
}

impl From<sqlx::migrate::MigrateError> for DbError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::Execute(error) => error.into(),
            MigrateError::ExecuteMigration(error, version) => match error.into() {
                DbError::Refused(error) => {
                    DbError::Migration(MigrateError::ExecuteMigration(error, version))
                }
                other => other,
            },
            other => DbError::Migration(other),
        }
    }
}

/// Whether a refusal with this code is one of the moment.
fn may_pass(code: Cow<'_, str>) -> bool {
    // SQLite's extended codes hold the plain one in their lowest byte (sqlite.org/rescode.html): busy, locked, no
    // memory, read-only, I/O, full, cannot be opened.
    if let (1..=4, Ok(code)) = (code.len(), code.parse::<u32>()) {
        return [5, 6, 7, 8, 10, 13, 14].contains(&(code & 0xff));
    }
    // PostgreSQL (Appendix A): connection, authorization and database that an operator is about to mend,
    // transaction rollback, resources, intervention, system; lock_not_available.
    ["08", "28", "3D", "40", "53", "57", "58"]
        .iter()
        .any(|class| code.starts_with(class))
        || code == "55P03"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_known_by_its_code() {
        for code in [
            "5", "261", "13", "14", "1032", "57P01", "57P03", "08006", "53300", "3D000",
        ] {
            assert!(may_pass(code.into()), "{code}");
        }
        for code in ["1", "19", "2067", "11", "23505", "42P01", "22021"] {
            assert!(!may_pass(code.into()), "{code}");
        }
        assert!(DbError::from(sqlx::Error::PoolTimedOut).is_away());
        assert!(!DbError::from(sqlx::Error::RowNotFound).is_away());
    }
}
