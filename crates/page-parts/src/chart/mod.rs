//! Plots as SVG, drawn with classes that the stylesheet colours.

mod axis;
mod line;

pub use line::{Line, Span};
