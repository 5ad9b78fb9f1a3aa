//! The operations that are built in, as they are told to those who call them.

use utoipa::openapi::path::{OperationBuilder, Parameter};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, Required, ResponseBuilder};

use super::Offered;
use super::parts::{
    answer, anything, date, header, json, link, nothing, one_of, path, problems, query, text, told,
    uri, uuid, whole_number, yes_or_no,
};
use super::schemas::Ready;
use crate::endpoint::{CSV, Endpoint, JSON};
use crate::job_json::Job;
use crate::problem::Kind;
use crate::v1::apis::Apis;
use crate::v1::jobs::list::Page;

/// What may go wrong with any request for a job.
const OF_A_JOB: [Kind; 5] = [
    Kind::NotFound,
    Kind::JobExpired,
    Kind::NotAcceptable,
    Kind::Busy,
    Kind::RateLimited,
];

/// What may go wrong with a submission.
pub(super) const OF_A_SUBMISSION: [Kind; 15] = [
    Kind::BadRequest,
    Kind::InvalidJson,
    Kind::IdempotencyKeyInvalid,
    Kind::IdempotencyKeyReused,
    Kind::Forbidden,
    Kind::NotFound,
    Kind::NotAcceptable,
    Kind::RequestTimeout,
    Kind::PayloadTooLarge,
    Kind::UnsupportedMediaType,
    Kind::ValidationFailed,
    Kind::RateLimited,
    Kind::NoAppServer,
    Kind::QueueFull,
    Kind::InsufficientStorage,
];

/// Describes an endpoint; nothing where it is a page.
pub(super) fn describe(endpoint: Endpoint, offered: &Offered<'_>) -> Option<OperationBuilder> {
    let operation = match endpoint {
        Endpoint::Submit => submission(OperationBuilder::new(), offered)
            .tag("apis")
            .description(Some(
                "Submits a job: the JSON body goes to the API's script.",
            ))
            .parameter(path("id", "The API's name.", text()))
            .request_body(Some(
                RequestBodyBuilder::new()
                    .content(JSON, Content::new(Some(anything())))
                    .required(Some(Required::True))
                    .build(),
            )),
        Endpoint::List => list(),
        Endpoint::Job => status("id"),
        Endpoint::JobAlias => status("uuid"),
        Endpoint::Cancel => of_a_job(
            "id",
            &[Kind::JobFinal, Kind::MethodNotAllowed, Kind::Forbidden],
        )
        .description(Some(
            "Cancels a job: at once where it waits; where it runs, its end is asked for.",
        ))
        .response("200", shown("The job, canceled or about to end.")),
        Endpoint::Rerun => submission(of_a_job("uuid", &[Kind::JobExpired]), offered)
            .description(Some("Submits the job's request once more, as a new job.")),
        Endpoint::Result => result(),
        Endpoint::Log => of_a_file(&[Kind::ResultCorrupt])
            .description(Some("What the job's script wrote to stderr so far."))
            .response("200", answer("The log.", "text/plain", text()))
            .response("206", answer(PART, "text/plain", text())),
        Endpoint::Events => events(),
        Endpoint::Apis => OperationBuilder::new()
            .tag("apis")
            .description(Some("The APIs, with routes, schemas and examples."))
            .response("200", json::<Apis<'_>>("The APIs."))
            .responses_of(&[Kind::NotAcceptable, Kind::RateLimited]),
        Endpoint::Healthz => OperationBuilder::new()
            .tag("server")
            .description(Some("Always well: a process that answers is alive."))
            .response("200", answer("It lives.", JSON, anything())),
        Endpoint::Readyz => OperationBuilder::new()
            .tag("server")
            .description(Some("Whether a worker lives that could run jobs."))
            .response("200", json::<Ready>("It can."))
            .responses_of(&[Kind::NoAppServer]),
        Endpoint::Metrics => OperationBuilder::new()
            .tag("server")
            .description(Some("Figures of the work, as Prometheus reads them."))
            .response("200", answer("The figures.", "text/plain", text())),
        Endpoint::OpenApi
        | Endpoint::Docs
        | Endpoint::DocsFile
        | Endpoint::ProblemPage
        | Endpoint::Page(_) => {
            return None;
        }
    };
    Some(operation)
}

/// What all submissions have in common.
pub(super) fn submission(operation: OperationBuilder, offered: &Offered<'_>) -> OperationBuilder {
    let webhook = offered.webhooks.then(|| {
        let description = "The URL that is told of the job's end (Standard Webhooks 1.0.0).";
        query("webhook", description, uri())
    });
    let operation = webhook
        .into_iter()
        .fold(operation, OperationBuilder::parameter);
    operation
        .parameter(query(
            "validate_only",
            "Only checks: `200`, or what is wrong; nothing is queued.",
            yes_or_no(),
        ))
        .parameter(header(
            "Idempotency-Key",
            "Best a random UUID in double quotes: a submission that is sent again under it is answered with its job.",
            // A bare text, or a string of RFC 9651 section 3.3.3.
            text()
                .max_length(Some(255))
                .pattern(Some(r#"^([!#-~]([ !#-~]*[!#-~])?|"([ !#-\[\]-~]|\\["\\])+")$"#)),
        ))
        .parameter(waits("on submit until the job's end"))
        .response(
            "202",
            shown("Accepted: the job.").header("Location", told("The job's URL.", text())),
        )
        .response(
            "200",
            ResponseBuilder::new()
                .description("With `validate_only`: nothing is wrong. With `Prefer: wait`: the job, which has ended.")
                .content(
                    JSON,
                    Content::new(Some(
                        AnyOfBuilder::new()
                            .item(Ref::from_schema_name("Job"))
                            .item(Ref::from_schema_name("Valid")),
                    )),
                ),
        )
        .responses_of(&OF_A_SUBMISSION)
}

fn list() -> OperationBuilder {
    OperationBuilder::new()
        .tag("jobs")
        .description(Some("Lists the jobs, a page at a time."))
        .parameter(query(
            "status",
            "Only those that stand so.",
            one_of(&["pending", "processing", "done", "failed", "canceled"]),
        ))
        .parameter(query(
            "api",
            "Only those of this API.",
            text().pattern(Some("^[a-z][a-z0-9_-]{0,62}$")),
        ))
        .parameter(query("from", "Submitted at this date or later.", date()))
        .parameter(query("to", "Submitted before this date.", date()))
        .parameter(query(
            "order",
            "Which come first.",
            one_of(&["newest", "oldest"]).default(Some("newest".into())),
        ))
        .parameter(query(
            "limit",
            "How many at most; above 1000 counts as 1000.",
            whole_number().minimum(Some(1)).default(Some(100.into())),
        ))
        .parameter(query(
            "cursor",
            "The `next` of the page before, as it came.",
            text().pattern(Some("^[A-Za-z0-9_-]+$")),
        ))
        .response(
            "200",
            json::<Page>("A page.").header("Link", told("The next page (RFC 8288).", text())),
        )
        .responses_of(&[
            Kind::BadRequest,
            Kind::NotAcceptable,
            Kind::RateLimited,
            Kind::Busy,
        ])
}

fn status(parameter: &str) -> OperationBuilder {
    of_a_job(parameter, &[Kind::MethodNotAllowed])
        .description(Some(
            "How a job stands: always `200` for one that is known, whatever its status.",
        ))
        .parameter(waits("until the job changes"))
        .parameter(header(
            "If-None-Match",
            "The job's `ETag` as it is known: `304` while nothing has changed.",
            text(),
        ))
        .response("200", shown("The job."))
        .response("304", nothing("Nothing has changed."))
}

fn result() -> OperationBuilder {
    let kinds = [
        Kind::ResultNotReady,
        Kind::JobFailed,
        Kind::JobCanceled,
        Kind::ResultCorrupt,
    ];
    of_a_file(&kinds)
        .description(Some(
            "What the job's script printed, byte for byte; a table also as CSV.",
        ))
        .parameter(query(
            "format",
            "As what; else `Accept` counts.",
            one_of(&["json", "csv"]),
        ))
        .parameter(query(
            "bom",
            "CSV for spreadsheets: with a byte order mark, and no text that would be a formula.",
            yes_or_no(),
        ))
        .response(
            "200",
            answer("The result.", JSON, anything()).content(CSV, Content::new(Some(text()))),
        )
        .response("206", answer(PART, JSON, anything()))
}

fn events() -> OperationBuilder {
    of_a_job("uuid", &[])
        .description(Some(
            "A job's changes as they happen, as server-sent events: `status`, `progress`, `log`, and at last `end`.",
        ))
        .parameter(header(
            "Last-Event-ID",
            "The id of the last event that came: the log goes on behind it.",
            text(),
        ))
        .response(
            "200",
            answer("The changes, until the job's end.", "text/event-stream", event()),
        )
        .response("204", nothing("All was told."))
}

/// One event, as whoever reads the stream sees it (WHATWG HTML, section 9.2).
fn event() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("event", one_of(&["status", "progress", "log", "end"]))
        .property(
            "id",
            text().description(Some("What `Last-Event-ID` takes.")),
        )
        .property(
            "data",
            text().description(Some(
                "The job as JSON (`status`, `end`), its progress as JSON, or a line of the log.",
            )),
        )
        .property("retry", whole_number().description(Some("Milliseconds.")))
}

/// What all that is about one job has in common.
fn of_a_job(parameter: &str, kinds: &[Kind]) -> OperationBuilder {
    OperationBuilder::new()
        .tag("jobs")
        .parameter(uuid(parameter))
        .responses_of(&[&OF_A_JOB, kinds].concat())
}

/// What is answered to `Range`.
const PART: &str = "The part that was asked for (`Range`).";

/// What all that is a file of one job has in common (RFC 9110 sections 13 and 14).
fn of_a_file(kinds: &[Kind]) -> OperationBuilder {
    let of_files = [
        Kind::BadRequest,
        Kind::RangeNotSatisfiable,
        Kind::PreconditionFailed,
    ];
    of_a_job("uuid", &[&of_files, kinds].concat())
        .parameter(header(
            "Range",
            "Only a part, such as `bytes=0-99`.",
            text(),
        ))
        .parameter(header(
            "If-Range",
            "The `ETag` of what the client has a part of: else all comes.",
            text(),
        ))
        .parameter(header(
            "If-None-Match",
            "The `ETag` of what the client has: `304` where it is still that.",
            text(),
        ))
        .response("304", nothing("It is what the client has."))
}

/// A job that is shown, and what can be done with it.
fn shown(description: &str) -> ResponseBuilder {
    json::<Job>(description)
        .header(
            "ETag",
            told("Changes with status, progress and failure.", text()),
        )
        .header(
            "Retry-After",
            told(
                "Seconds after which it is worth asking again.",
                whole_number(),
            ),
        )
        .link("status", link("job_status", "id"))
        .link("result", link("job_result", "uuid"))
        .link("log", link("job_log", "uuid"))
        .link("events", link("job_events", "uuid"))
        .link("cancel", link("job_cancel", "id"))
        .link("rerun", link("job_rerun", "uuid"))
}

fn waits(until: &str) -> Parameter {
    let description = format!("`wait=N` waits up to N seconds (60 at most) {until} (RFC 7240).");
    header("Prefer", &description, text())
}

/// What an operation may answer besides.
trait Answers {
    /// Adds the problems of these kinds; where several have one status, they share its answer.
    fn responses_of(self, kinds: &[Kind]) -> Self;
}

impl Answers for OperationBuilder {
    fn responses_of(self, kinds: &[Kind]) -> Self {
        problems(kinds)
            .into_iter()
            .fold(self, |operation, (status, answer)| {
                operation.response(status, answer)
            })
    }
}
