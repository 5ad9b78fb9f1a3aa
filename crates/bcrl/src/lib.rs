//! The command `bcrl`, in three parts that share nothing but its name:
//!
//! - [`client`]: submits jobs to an API server, waits for them, fetches what they made.
//! - [`up`]: all services in one process, for a desk or a small site.
//! - [`upkeep`]: what an operator does to the shared folder itself: checks it, mends it, looks at what was put aside.

pub mod client;
pub mod up;
pub mod upkeep;
