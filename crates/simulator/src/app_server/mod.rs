//! Plays the APP server: offers APIs, claims jobs, shows progress and ends them, all by the protocol of the shared
//! folder and through the same calls as the worker ([`claimant`]). It runs no script: a job takes a time and meets a fate.
//!
//! In reading order:
//! - [`args`], [`config`]: what it is told, by whoever types and by the site's settings.
//! - [`scenario`]: what becomes of which job, as a pure function of a seed and the job's id.
//! - [`apis`], [`answer`]: what it offers, and what a job that is done answers with.
//! - [`service`]: the process; [`run`](mod@run): one claimed job, from its claim to its end; [`publish`]: how that
//!   becomes known.
//! - [`tally`]: what it has done so far, in words.
//!
//! It removes nothing: retention is the worker's.

pub mod answer;
pub mod apis;
pub mod args;
pub mod config;
pub mod publish;
pub mod run;
pub mod scenario;
pub mod service;
pub mod tally;

pub use args::AppServerArgs;
pub use config::Config;
pub use service::run;
