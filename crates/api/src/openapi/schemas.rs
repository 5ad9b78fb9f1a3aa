//! What is told in other words than a struct of its own: problem documents, and a job's failure.

use utoipa::ToSchema;

/// Why a job failed.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it describes what job_core::status::Failure is written as"
)]
pub(crate) struct Failure {
    /// One of `exit_code`, `signal`, `timeout`, `invalid_output`, `output_too_large`, `memory`, `no_result`,
    /// `spawn_error`, `worker_lost`, `request_missing`, `result_missing`, `invalid_request`, `api_gone`, or one that a
    /// newer server knows.
    reason: String,
    /// What happened; may have several lines.
    message: String,
    /// The script's exit code, where it exited by itself.
    #[schema(nullable = false)]
    exit_code: Option<i32>,
}

/// What went wrong with a request (RFC 9457).
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it describes what crate::problem::Problem is answered as"
)]
pub(super) struct Problem {
    /// Its kind, such as `/problems/validation-failed`: a page that explains it.
    r#type: String,
    /// The kind in words.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// The request's id, which the server's log names too.
    instance: String,
    /// Each place of the body that is wrong.
    #[schema(nullable = false)]
    errors: Option<Vec<crate::problem::FieldError>>,
    /// Why the job failed whose result was asked for.
    #[schema(nullable = false)]
    failure: Option<Failure>,
}

/// Whether jobs can be run, and by whom.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the answer of crate::health::readyz")]
pub(super) struct Ready {
    /// `ready`.
    status: String,
    /// The workers that live.
    workers: Vec<ReadyWorker>,
    /// How many APIs they offer together.
    apis: usize,
}

/// A worker that lives.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the answer of crate::health::readyz")]
struct ReadyWorker {
    /// Its id.
    worker: String,
    /// How many jobs it runs at once.
    slots: u32,
    /// How many it runs now.
    running: usize,
}
