//! Only for integration tests: a site of its own for each test, with real processes on free ports.
//!
//! - [`Site`]: a temporary home with apps, and the settings of its services.
//! - [`Process`]: one service that runs, killed when it is dropped.
//! - [`Postgresql`]: a PostgreSQL server of the test's own.
//! - [`Client`]: plain HTTP, as a stranger speaks it.
//! - [`Dice`], [`campaign_rounds`]: how long campaigns last, and their choices.
//! - [`until`]: waits for something to become true, with a deadline.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod campaign;
mod client;
mod postgresql;
mod process;
mod site;

pub use campaign::{Dice, campaign_rounds};
pub use client::{Answer, Client};
pub use postgresql::Postgresql;
pub use process::{Process, bin, processes_with};
pub use site::Site;

use std::time::{Duration, Instant};

/// Waits until `look` finds something, and returns it.
///
/// # Panics
/// Where it found nothing for `patience`.
#[track_caller]
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
