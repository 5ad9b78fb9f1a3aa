//! The database: an enum over two pools.

use sqlx::{PgPool, SqlitePool};

use crate::address::Address;
use crate::error::DbError;
use crate::{postgres, sqlite};

/// The database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct LogDb {
    pub(crate) pools: Pools,
}

/// Its connections.
#[derive(Debug, Clone)]
pub(crate) enum Pools {
    /// To a PostgreSQL server.
    Postgres(PgPool),
    /// To a file: any number read, and one writes.
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
}

impl LogDb {
    /// The database at this address. Nothing is connected before the first question, so this never waits for it.
    ///
    /// Called within a runtime.
    pub fn new(address: &Address) -> Self {
        LogDb {
            pools: match address {
                Address::Postgres(options) => Pools::Postgres(postgres::pool(options)),
                Address::Sqlite(path) => sqlite::pools(path),
            },
        }
    }

    /// Brings the tables up to date. Several processes may do so at once.
    ///
    /// # Errors
    /// [`DbError::Migration`] where the tables are of a newer version than this program.
    pub async fn migrate(&self) -> Result<(), DbError> {
        match &self.pools {
            Pools::Postgres(pool) => postgres::migrate(pool).await,
            Pools::Sqlite { writer, .. } => sqlite::migrate(writer).await,
        }
    }

    /// Ends its connections in order.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Postgres(pool) => pool.close().await,
            Pools::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}
