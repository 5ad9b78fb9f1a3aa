//! Why a run could not begin, told apart by who has to bear it.

use std::error::Error;

/// Why a run could not begin. What is not known to be the job's own is this worker's.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Something of this job's own is in the way, here as on other workers: the job has failed, and the next one is
    /// not touched. The text is told to its client, so it names no path but those in the shared folder.
    #[error("{0}")]
    OfThisJob(String),
    /// Nothing can be run here now, whatever the job: another worker may take it, and this one rests.
    #[error(transparent)]
    OfThisWorker(#[from] anyhow::Error),
}

/// An error with its reasons, in one line.
pub(crate) fn with_reasons(error: &dyn Error) -> String {
    let reasons = std::iter::successors(error.source(), |&reason| reason.source());
    reasons.fold(error.to_string(), |text, reason| {
        format!("{text}: {reason}")
    })
}
