//! The access log on a temporary folder, with real files: many writers, days, trouble.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod bad_inputs;
mod support;
mod writer;
