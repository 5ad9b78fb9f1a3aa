//! The command `bcrl`, run as a user runs it.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod campaign;
mod client;
mod scripted_server;
mod up;
mod upkeep;
