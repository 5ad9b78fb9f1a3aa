//! What all pages for people have in common. It answers no request and opens no file.
//!
//! - [`page`]: what the layout (`templates/layout.html`) is filled with.
//! - [`language`]: in which language somebody reads; texts stand in both where they are used.
//! - [`assets`]: the stylesheet and the script, under names that change with their content.
//! - [`number`], [`date`], [`markdown`]: how these are written.
//! - [`chart`]: plots as SVG.

pub mod assets;
pub mod chart;
pub mod date;
pub mod html;
pub mod language;
pub mod markdown;
pub mod number;
pub mod page;

pub use html::Html;
pub use language::Language;
pub use page::Page;
