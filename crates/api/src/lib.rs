//! The HTTP job API: submits jobs, shows how they stand, hands out what they made.
//!
//! The way of a request:
//! - [`service`]: the process, its listener and its end.
//! - [`connection`]: one client's connection, and how long it may keep the server waiting.
//! - [`dispatch`]: one table finds who answers ([`context`] is what that one is given); every answer gets its request
//!   id.
//! - [`logged`]: its line in the access log, and [`names`]: what URLs are called there.
//! - [`rate`]: how often each client may ask; [`same_site`]: from where what changes something is taken.
//! - [`endpoint`]: the endpoints that are built in, and [`site`]: the APIs of the catalog beside them.
//! - [`v1`], [`health`], [`metrics_page`], [`docs`], [`problem_page`]: the endpoints themselves, one a file, as the URLs
//!   go.
//! - [`pages`]: the same for people, as HTML.
//! - [`webhooks`]: receivers are told that jobs have ended.
//! - [`openapi`]: all of that, described for programs.
//! - [`problem`]: everything that can go wrong, as RFC 9457 wants it.
//!
//! Underneath: [`accept`], [`body`], [`strict_json`], [`params`], [`idempotency`] and [`prefer`] (what a client may
//! send), [`job_json`] and [`table`] (what it gets), [`feed`] (how it hears of changes), [`forecast`] (what it may
//! expect), [`measures`] (what operators see of all that).
//!
//! Endpoints hold no paths, no locks and no rules about jobs: they ask `shared-folder`, off the async threads.

pub mod accept;
pub mod body;
pub mod config;
pub mod connection;
pub mod context;
pub mod dispatch;
pub mod docs;
pub mod endpoint;
pub mod feed;
pub mod forecast;
pub mod health;
pub mod idempotency;
pub mod job_json;
mod listen;
pub mod logged;
pub mod measures;
pub mod metrics_page;
pub mod names;
pub mod openapi;
pub mod pages;
pub mod params;
pub mod prefer;
pub mod problem;
pub mod problem_page;
pub mod rate;
pub mod same_site;
pub mod service;
pub mod site;
pub mod strict_json;
pub mod table;
pub mod v1;
pub mod webhooks;

pub use config::Config;
pub use service::{Server, run};
