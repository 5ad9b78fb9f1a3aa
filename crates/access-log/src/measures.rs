//! What is told of the access log in figures, for whoever collects them in this process.

use metrics::Unit::Count;
use metrics::{counter, describe_counter};

const LINES: &str = "bcrl_access_log_lines_total";
const DROPPED: &str = "bcrl_access_log_dropped_total";

/// Says what the figures mean, to a collector that is there already, and begins to count.
pub fn describe() {
    describe_counter!(LINES, Count, "Lines of the access log that were written.");
    describe_counter!(
        DROPPED,
        Count,
        "Requests that have no line in the access log, because the disk took none or too many waited."
    );
    written(0);
    for cause in [Cause::Disk, Cause::Queue] {
        dropped(cause, 0);
    }
}

/// Why a line was dropped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause {
    /// The disk is full, or the folder is not there.
    Disk,
    /// More lines waited than there is room for.
    Queue,
}

/// So many lines were written.
pub(crate) fn written(lines: u64) {
    counter!(LINES).increment(lines);
}

/// So many lines were dropped.
pub(crate) fn dropped(cause: Cause, lines: u64) {
    let cause = match cause {
        Cause::Disk => "disk",
        Cause::Queue => "queue",
    };
    counter!(DROPPED, "cause" => cause).increment(lines);
}
