//! The life of a job in a real folder on a real disk.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod bad_index;
mod contention;
mod fsck;
mod idempotency;
mod life;
mod recovery;
mod support;
mod webhook;
