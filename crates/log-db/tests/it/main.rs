//! What the database promises, asked of both: each test runs on SQLite and on PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod away;
mod day;
mod request;
mod run;
mod support;
mod tables;
