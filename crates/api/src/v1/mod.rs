//! `/api/v1`

pub mod apis;
pub mod jobs;
