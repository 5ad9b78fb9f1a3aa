//! What every binary does around its work.
//!
//! - [`settings`]: everything that can be set, one struct a section; [`load`] reads it from file and environment
//!   (`written`: how values look, [`secret`], [`allowed`] and [`database`]: three that are more than texts, `check`:
//!   which of them cannot be), and [`reference`](mod@reference) writes it down for people.
//! - [`users`]: those that are set, as the kernel knows them; [`site`]: settings as the crates underneath take them.
//! - [`rate`]: how often something may happen.
//! - [`clock`]: the only clock, in the site's zone.
//! - [`logs`]: where the process's own words go.
//! - [`run`]: the runtime, signals, and how a process ends.
//!
//! Nothing here knows what a service does.

pub mod allowed;
mod check;
pub mod clock;
pub mod database;
pub mod load;
pub mod logs;
pub mod rate;
pub mod reference;
pub mod run;
pub mod secret;
pub mod settings;
pub mod site;
pub mod users;
mod written;

pub use clock::Clock;
pub use run::{Parts, Shutdown, Unmet, main};
pub use settings::Settings;
