//! Bad input, and what it gets. None of it may panic, be answered with 5xx for a client's mistake, lose a job that was
//! accepted, or leave half a file.
//!
//! - `body`: what is posted: no JSON, misfits, too much, in a form that is not taken.
//! - `wire`: what no HTTP library would send.
//! - `urls`: names, ids, methods and queries that lead nowhere.
//! - `refused`: what is in order, and cannot be accepted now.
//! - `crowd`: more of them than there is room for.
//! - `full`: a disk that has no room for them.
//! - `folder`: results, logs and the index, damaged on the disk.

mod body;
mod crowd;
mod folder;
mod full;
mod refused;
mod urls;
mod wire;
