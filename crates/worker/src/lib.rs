//! The APP-server worker: claims jobs, runs their `main.py`, publishes what they printed.
//!
//! A job's way through it, from top to bottom:
//! - [`service`]: the process, a [`claimant::Host`]: what is the same for all who claim jobs is in that crate.
//! - [`run`](mod@run): one claimed job, from its claim to its end.
//! - [`attempt`]: the folder of one run, and the order for its supervisor. What keeps a run from beginning is the job's
//!   own or the worker's ([`trouble`]); over its own the worker rests (`rest`).
//! - [`supervisor`]: the worker's end of the pipes to the supervisor; [`exec`] is the supervisor itself.
//! - [`progress`]: what the script says meanwhile.
//! - [`outcome`]: what the supervisor's report means for the job; `publish` tells the folder.
//!
//! Beside it:
//! - [`scratch`]: where the runs' folders are.
//! - [`contained`]: what this host gives to hold scripts apart from it.
//! - [`apps`]: which APIs are offered, and the catalog that says so.
//! - [`retain`]: what ended long ago goes.
//! - [`schedule`]: cron ticks, which only wake somebody.
//! - `measures`: figures of the runs, for whoever collects them.
//! - [`commands`]: what a lab member types: `prepare`, `check`, `try`, `new`.
//!
//! A script never runs in this process, and this process never reads what it prints.

pub mod apps;
pub mod attempt;
pub mod commands;
pub mod config;
pub mod contained;
pub mod exec;
mod measures;
pub mod outcome;
pub mod progress;
mod publish;
pub mod python;
mod rest;
pub mod retain;
pub mod run;
pub mod schedule;
pub mod scratch;
pub mod service;
pub mod supervisor;
pub mod trouble;

pub use claimant::Until;
pub use config::Config;
pub use service::{Service, run};
