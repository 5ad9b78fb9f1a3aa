//! A form made from an API's JSON Schema, and what a person entered made into JSON. No request, no markup, no file.
//!
//! - [`field`]: which fields a schema has.
//! - [`given`]: what stands in them.
//! - [`read`]: the JSON that it makes, or what is wrong ([`misfit`]).
//! - [`number`], [`sheet`]: numbers and CSV as people have them.

pub mod field;
pub mod given;
pub mod misfit;
pub mod number;
pub mod read;
mod row;
pub mod sheet;

pub use field::{Field, Kind, Range};
pub use given::Given;
pub use misfit::{Misfit, What};
