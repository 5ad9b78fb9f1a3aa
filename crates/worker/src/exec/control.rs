//! The pipes to and from the worker: its words come on stdin, ours go out on stdout.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;

use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The line that asks for the end of the job.
const TERMINATE: &str = "terminate";

/// What the worker has said.
pub(super) struct Worker {
    /// Told when a line `terminate` has come.
    pub(super) wants_end: Arc<Notify>,
    /// Canceled when the pipe has ended: the worker is dead.
    pub(super) gone: CancellationToken,
}

impl Worker {
    /// Listens from here on, in a thread that lives as long as the process.
    pub(super) fn listen() -> Self {
        let wants_end = Arc::new(Notify::new());
        let gone = CancellationToken::new();
        let worker = Self {
            wants_end: Arc::clone(&wants_end),
            gone: gone.clone(),
        };
        thread::spawn(move || {
            // An error of the pipe is its end, too.
            for line in io::stdin().lines().map_while(Result::ok) {
                if line == TERMINATE {
                    wants_end.notify_one();
                }
            }
            gone.cancel();
        });
        worker
    }
}

/// Writes one line of JSON to the worker.
pub(super) fn tell(words: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(words)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

/// Writes one line for the worker's log.
pub(super) fn complain(message: impl Display) {
    // There is nobody else to tell.
    let _ = writeln!(io::stderr(), "bcrl-worker exec: {message}");
}
