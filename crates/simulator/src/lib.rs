//! Mocks of both sides, for whoever has only one of them yet, and for trying out what load and failures do.
//!
//! - [`app_server`] plays the APP server: it offers APIs, claims jobs and ends them by the protocol of the shared
//!   folder, as the worker does, but runs no script.
//! - [`client`] plays the clients: it submits jobs at a rate, follows them to their end, and tells how long all took.
//!
//! The two know nothing of each other, nor of the services that they stand in for: one meets the other side in the
//! shared folder, the other one over HTTP.

pub mod app_server;
pub mod client;
