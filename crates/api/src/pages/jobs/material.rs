//! What a job's page needs of the shared folder besides the job itself. Everything here blocks.

use std::fs::File;
use std::os::unix::fs::FileExt;

use job_core::date::Date;
use job_core::status::State;
use page_parts::Language;
use serde_json::Value;
use shared_folder::view::PublishedResponse;
use shared_folder::{JobView, SharedFolder};

use super::outcome::Outcome;
use super::survey::survey;
use crate::v1::jobs::csv;

/// So much of a log's end is shown, in bytes.
const LOG_TAIL: u64 = 16 << 10;
/// A larger result is not read through for a page, in bytes.
const RESULT_LIMIT: u64 = 64 << 20;

/// What a page shows of a job besides how it stands.
#[derive(Debug, Default)]
pub(super) struct Material {
    /// The end of what its script wrote to stderr.
    pub(super) log: String,
    /// There is more of that before it.
    pub(super) log_is_cut: bool,
    /// The size of its result in bytes, where it has one.
    pub(super) size: Option<u64>,
    /// The result is too large to be read through for a page.
    pub(super) is_too_large: bool,
    /// The result, where it can be shown.
    pub(super) outcome: Option<Outcome>,
    /// There should be a result, and it cannot be read.
    pub(super) is_damaged: bool,
}

/// Reads what there is. What cannot be read is left out, with a word in the server's log.
pub(super) fn gather(
    folder: &SharedFolder,
    job: &JobView,
    schema: Option<&Value>,
    language: Language,
    now: Date,
) -> Material {
    let mut material = Material::default();
    if let Some((log, is_cut)) = tail(folder, job) {
        (material.log, material.log_is_cut) = (log, is_cut);
    }
    if !matches!(job.state, State::Done { .. }) {
        return material;
    }
    let receipt = job.receipt.as_ref();
    let published = receipt.map(|receipt| folder.published_response(receipt, now));
    let Some(Ok(PublishedResponse::Sound(file))) = published else {
        tracing::error!(job.id = %job.entry.uuid, "a result cannot be read");
        material.is_damaged = true;
        return material;
    };
    let Ok(about) = file.metadata() else {
        return material;
    };
    let size = about.len();
    material.size = Some(size);
    material.is_too_large = size > RESULT_LIMIT;
    if !material.is_too_large {
        material.outcome = outcome(folder, job, file, schema, language);
    }
    if let Some(outcome) = &mut material.outcome {
        outcome.has_csv &= size <= csv::LARGEST;
    }
    material
}

fn outcome(
    folder: &SharedFolder,
    job: &JobView,
    result: File,
    schema: Option<&Value>,
    language: Language,
) -> Option<Outcome> {
    let result = survey(result).inspect_err(|error| {
        tracing::warn!(job.id = %job.entry.uuid, error = %error, "a result cannot be shown");
    });
    // Results are often drawn over the times that the request has.
    let request = folder.request(job.entry.uuid).ok().flatten();
    let request = request.and_then(|request| survey(request.params.get().as_bytes()).ok());
    Some(Outcome::new(
        &result.ok()?,
        request.as_ref(),
        schema,
        language,
    ))
}

/// The last whole lines of a log, and whether there are more before them.
fn tail(folder: &SharedFolder, job: &JobView) -> Option<(String, bool)> {
    let file = folder.log(job.entry.uuid).ok().flatten()?;
    let length = file.metadata().ok()?.len();
    let from = length.saturating_sub(LOG_TAIL);
    let mut piece = vec![0; usize::try_from(length - from).ok()?];
    let read = file.read_at(&mut piece, from).ok()?;
    let piece = &piece[..read];
    let begin = match piece.iter().position(|byte| *byte == b'\n') {
        Some(end) if from > 0 => end + 1,
        _ => 0,
    };
    let text = String::from_utf8_lossy(&piece[begin..]);
    Some((text.trim_end().to_owned(), from > 0))
}
