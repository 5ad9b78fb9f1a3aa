//! The only code that touches the shared folder.
//!
//! A job's life stands in facts: a request, a response, a receipt, each published once and made durable. The index
//! `request/status.json` puts them in order and can always be rebuilt from them. Whoever changes the index holds its
//! lock; whoever reads needs none. What is to be done is decided by `job-core`; this crate loads, asks and commits.
//!
//! In the order of a job's life:
//! - [`folder`]: opening the folder; [`view`]: what it knows of its jobs, looked at without a lock; [`mark`]: whether
//!   that has changed.
//! - [`submit`]: requests become jobs, many in one commit; [`idempotency`]: which of them were sent before.
//! - [`claim`]: a worker takes a job, and says that it lives ([`heartbeat`]).
//! - [`finish`]: a run ends: done, failed, canceled, given back or to be tried again.
//! - [`webhook`]: whom the end is told, by the one process that delivers.
//! - [`sweep`]: what a crash left behind is settled, a dead worker's job rescued.
//! - [`retain`]: what ended long ago goes.
//! - [`fsck`]: a person looks at the whole folder, and has it mended.
//!
//! Beside it: [`catalog`] (which APIs there are), [`watch`] (hints that something changed), [`self_test`] (does the
//! volume carry the protocol), [`measures`] (figures of its own work), and the trouble that all of them may have ([`FolderError`]).
//!
//! Underneath, private: `dir` (how files come and go), `lock`, `index` (the text), `snapshot` (the index as readers see
//! it), `guard` (the index while it is locked), `observer` and `recover` (what a sweep sees and does), `quarantine`,
//! `space`.
//!
//! Everything blocks; call it off the async threads.

pub mod catalog;
pub mod claim;
mod dir;
mod error;
pub mod finish;
pub mod folder;
pub mod fsck;
mod guard;
pub mod heartbeat;
pub mod idempotency;
mod index;
mod lock;
pub mod mark;
pub mod measures;
mod observer;
mod quarantine;
mod random;
mod recover;
pub mod retain;
pub mod self_test;
mod snapshot;
mod space;
pub mod submit;
pub mod sweep;
pub mod view;
pub mod watch;
pub mod webhook;

pub use error::{FolderError, Holder};
pub use folder::{Options, SharedFolder};
pub use quarantine::Quarantined;
pub use random::job_id;
pub use view::JobView;
