//! The only SQL: what was counted of the access log, in PostgreSQL or in an embedded SQLite.
//!
//! - [`address`]: where the database is, as the setting `database_url` says it.
//! - [`db`]: the database, [`LogDb`]: an enum over two pools, not yet connected when it is made.
//! - [`day`]: what is stored of a day, its rows and the run that made them; one transaction replaces a day.
//! - [`run`]: what the batch did, and which days are stored.
//! - [`request`]: days that somebody wants counted again.
//! - `postgres`, `sqlite`: what one of the two does its own way. `migrations/` holds the tables of both.
//! - [`error`]: what can go wrong, by what a caller can do about it.
//!
//! Both databases give the same answers; the tests ask each of them everything. Times are arguments.

pub mod address;
pub mod day;
pub mod db;
pub mod error;
mod postgres;
pub mod request;
pub mod run;
mod sqlite;

pub use address::Address;
pub use day::ApiLogRow;
pub use db::LogDb;
pub use error::DbError;
