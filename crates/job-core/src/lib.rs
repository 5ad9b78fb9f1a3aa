//! The words and rules of the domain, as pure functions.
//!
//! Whatever decides something about a job lives here: what a status may become, which job is claimed next, when a
//! lost run is tried again, what is left after a crash, what retention removes, which URL belongs to which API. The
//! other crates load files, ask this one, and apply its answer.
//!
//! Nothing here opens a file or a socket, asks a clock or waits: the time is an argument, random bits are arguments.
//!
//! In reading order:
//! - [`ids`], [`date`]: the names of things, parsed once at the edge.
//! - [`status`], [`entry`], [`queue`]: a job's state, its line in the index, the index.
//! - [`catalog`], [`route`]: which APIs there are, and which URL means which.
//! - [`claim`], [`lease`], [`liveness`]: who runs a job, and how a dead worker's job is taken over.
//! - [`estimate`]: when a job will probably start and finish.
//! - [`document`]: whether what a script printed is a result.
//! - [`files`]: request, receipt, progress and heartbeat as they stand in the shared folder.
//! - [`idempotency`]: what a submission is that is sent once more.
//! - [`trace`]: which trace of its client's a job belongs to.
//! - [`webhook`]: whom the end is told, and how often that is tried.
//! - [`recovery`], [`retention`]: what a crash left behind, and what may go.
//!
//! And how requests are logged and counted:
//! - [`access_log`]: a request as one line, and the file of its [`day`].
//! - [`api_routes`]: which API a line counts for.
//! - [`day_summary`], [`histogram`]: a day's lines as a few rows.

pub mod access_log;
pub mod api_routes;
pub mod catalog;
pub mod claim;
pub mod date;
pub mod day;
pub mod day_summary;
pub mod document;
pub mod entry;
pub mod estimate;
pub mod files;
pub mod histogram;
pub mod idempotency;
pub mod ids;
pub mod lease;
pub mod liveness;
pub mod queue;
pub mod recovery;
pub mod retention;
pub mod route;
pub mod status;
pub mod trace;
pub mod webhook;
