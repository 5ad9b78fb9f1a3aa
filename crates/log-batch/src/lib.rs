//! Counts the access log of each day into the database, every night and whenever somebody asks.
//!
//! A day's way through it:
//! - [`service`]: the process: it wakes up at 00:30 (`schedule`) and at its start, and looks for requests in
//!   between. A database that is away is waited for.
//! - [`folder`]: which days have files; [`due`]: which of them are to be counted, and whose files may go.
//! - [`count`]: a day's files as rows.
//! - [`batch`]: from the files into the database, and what is noted of it.
//!
//! Beside it:
//! - [`commands`]: what an operator types: `run`, `status`, `migrate`.
//!
//! A day is replaced as a whole or not at all, so that whatever ends this process at whatever moment does no harm: the
//! next start counts the day again. No file is removed before its day is in the database.

pub mod batch;
pub mod commands;
pub mod config;
pub mod count;
pub mod due;
pub mod folder;
mod schedule;
pub mod service;

pub use batch::Batch;
pub use config::Config;
pub use service::run;
