//! The API as a stranger meets it: over HTTP, against the programs as they are built.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod access_log;
mod bad_inputs;
mod cancel;
mod catalogs;
mod connections;
mod forecast;
mod list;
mod metrics;
mod openapi;
mod pages;
mod process;
mod rates;
mod receiver;
mod result;
mod status;
mod submit;
mod support;
mod surface;
mod waiting;
mod webhooks;
