//! The worker from outside: its binary, its folders.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, and says where"
)]

mod apps;
mod commands;
mod containment;
mod endings;
mod exec;
mod folders;
mod held;
mod once;
mod queue;
mod script;
mod shutdown;
mod support;
mod takeover;
mod traces;
mod trouble;
