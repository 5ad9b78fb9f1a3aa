//! Days of logs, counted into both databases, by the library and by the program.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod batch;
mod campaign;
mod commands;
mod count;
mod service;
mod support;
