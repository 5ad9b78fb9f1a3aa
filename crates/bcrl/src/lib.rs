//! The command `bcrl`, in two halves that share nothing but its name:
//!
//! - [`client`]: submits jobs to an API server, waits for them, fetches what they made.
//! - [`up`]: all services in one process, for a desk or a small site.

pub mod client;
pub mod up;
