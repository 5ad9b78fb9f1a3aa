//! Reads `apps/`: one folder for each API, with a `main.py` and what describes it, and makes the catalog from them.
//!
//! - [`App`] is one folder that is in order; [`Apps::read`] reads them all, and says of each broken one which file and
//!   line to look at. One broken folder never keeps another from being offered.
//! - [`Stamp`] tells cheaply whether anything changed.
//!
//! Nothing is run here, and nothing is written.

mod app;
mod folder;
mod json;
mod manifest;

pub use app::{App, Apps, Problem};
pub use folder::Stamp;
