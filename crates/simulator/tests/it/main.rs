//! Both simulated sides from outside: the simulated APP server behind a real API server, the simulated clients before a
//! real site, and one before the other.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod app_server;
mod client;
mod fates;
mod slow_server;
mod support;
