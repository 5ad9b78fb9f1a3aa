//! The access log's files: one a day, `Log/ApiLog.[yyyy-MM-dd].tsv`, and beside it which URL means which API.
//!
//! What a line is, and what a day's lines come to, says `job-core`; here is what touches the disk:
//! - [`writer`]: takes lines from those who answer requests, who never wait for it.
//! - [`append`]: puts whole lines behind those that are there.
//! - [`routes`]: the day's names of APIs.
//! - [`folder`]: which days there are.
//! - [`reader`]: goes through a file line by line, whatever is in it.
//! - [`measures`]: what is told of all that in figures.

pub mod append;
pub mod folder;
pub mod measures;
pub mod reader;
pub mod routes;
mod trouble;
pub mod writer;

pub use writer::AccessLog;
