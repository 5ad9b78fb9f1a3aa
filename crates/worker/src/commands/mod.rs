//! What a lab member types at the worker's host.
//!
//! - [`check`]: is everything in order here?
//! - [`prepare`]: install what each app's `requirements.txt` asks for.
//! - [`try_app`]: run an app on its example, without any queue.
//! - [`new`]: an app folder to start from.

pub mod check;
pub mod new;
pub mod prepare;
pub mod try_app;

use std::io::Write;

/// Says something to the person who typed the command.
pub(crate) fn say(text: impl std::fmt::Display) {
    // Whoever closed the pipe has read enough.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Says what goes beside a result, on standard error.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
