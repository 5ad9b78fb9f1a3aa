//! `GET /api/v1/jobs/{uuid}/result`: what the job's script printed, as it printed it, or as CSV where it is a table.

use std::io::Seek;

use actix_files::NamedFile;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, web};
use job_core::status::State;
use shared_folder::view::PublishedResponse;

use super::{csv, find, send};
use crate::accept;
use crate::context::Context;
use crate::endpoint::{CSV, JSON};
use crate::job_json::Job;
use crate::problem::{Kind, Problem, cut};
use crate::table::Reader;

/// Streams the result, or the part of it that is asked for.
///
/// # Errors
/// `result-not-ready`, `job-failed`, `job-canceled`, `result-corrupt`, `range-not-satisfiable`, `precondition-failed`,
/// `not-acceptable` where CSV is asked for and the result is no table, `bad-request` where the query is none, and those
/// of the job itself.
pub async fn result(context: Context) -> Result<HttpResponse, Problem> {
    let form = Form::asked_for(&context)?;
    let view = find(&context).await?;
    match &view.state {
        State::Done { .. } => {}
        State::Pending | State::Processing { .. } => {
            let job = Job::new(&context, &view);
            let problem = Kind::ResultNotReady.problem(format!("the job is {}", job.status));
            return Err(problem.retry_after(job.retry_after(context.state.clock.now())));
        }
        State::Failed { failure, .. } => {
            return Err(Kind::JobFailed
                .problem("a failed job has no result")
                .with_failure(failure.clone()));
        }
        State::Canceled { .. } => {
            return Err(Kind::JobCanceled.problem("a canceled job has no result"));
        }
    }
    let uuid = view.entry.uuid;
    let receipt = view
        .receipt
        .ok_or_else(|| corrupt(&context, "it has no receipt"))?;
    let published = receipt.sha256.response.clone();
    let (state, now) = (context.state.clone(), context.state.clock.now());
    let opened = web::block(move || state.folder.published_response(&receipt, now)).await?;
    let file = match opened {
        Ok(PublishedResponse::Sound(file)) => file,
        Ok(PublishedResponse::Gone) => return Err(corrupt(&context, "it is gone")),
        Ok(PublishedResponse::Changed) => {
            return Err(corrupt(&context, "it is not what was published"));
        }
        Err(error) => return Err(corrupt(&context, &error.to_string())),
    };
    let unreadable = |error: std::io::Error| corrupt(&context, &error.to_string());
    let as_json = |file| {
        let named = NamedFile::from_file(file, "result.json").map_err(unreadable)?;
        send(&context, named, JSON)
    };
    let mut answer = match form {
        Form::Json => as_json(file)?,
        Form::Csv(reader, otherwise) => {
            let mut again = file.try_clone().map_err(unreadable)?;
            let made_of = published;
            match csv::send(&context, &view.entry, file, made_of, reader).await {
                Err(problem)
                    if otherwise == Otherwise::Json && problem.kind() == Kind::NotAcceptable =>
                {
                    again.rewind().map_err(unreadable)?;
                    as_json(again)?
                }
                sent => sent?,
            }
        }
    };
    answer
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("Accept"));
    if context.request.method() == Method::GET && answer.status().is_success() {
        context
            .state
            .submitter
            .retrieved(uuid, context.state.clock.now());
    }
    Ok(answer)
}

/// What a result can be sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv(Reader, Otherwise),
}

/// What is sent where a result cannot be had as CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Otherwise {
    /// A problem: nothing else will do.
    Nothing,
    /// JSON, which the client takes as well.
    Json,
}

impl Form {
    /// What the query says, else what the client likes best. A link says it in the query, which so counts more.
    fn asked_for(context: &Context) -> Result<Self, Problem> {
        let query = context.request.query_string();
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|error| Kind::BadRequest.problem(cut(&format!("the query: {error}"))))?;
        let (mut format, mut reader) = (None, None);
        for (name, value) in pairs.iter() {
            let twice = match (name.as_str(), value.as_str()) {
                ("format", "json") => format.replace(JSON).is_some(),
                ("format", "csv") => format.replace(CSV).is_some(),
                ("format", _) => {
                    return Err(Kind::BadRequest.problem("format: json or csv is due"));
                }
                ("bom", "true") => reader.replace(Reader::Spreadsheet).is_some(),
                ("bom", "false") => reader.replace(Reader::Program).is_some(),
                ("bom", _) => return Err(Kind::BadRequest.problem("bom: true or false is due")),
                _ => {
                    let detail = format!("the query: there is no parameter {name:?}");
                    return Err(Kind::BadRequest.problem(cut(&detail)));
                }
            };
            if twice {
                return Err(Kind::BadRequest.problem(format!("{name}: it is given twice")));
            }
        }
        let liked = || accept::preferred(context.request.headers(), &[JSON, CSV]);
        match format.or_else(liked) {
            Some(CSV) => {
                let takes_json = accept::takes(context.request.headers(), &[JSON]);
                let otherwise = match format.is_none() && takes_json {
                    true => Otherwise::Json,
                    false => Otherwise::Nothing,
                };
                Ok(Form::Csv(reader.unwrap_or(Reader::Program), otherwise))
            }
            Some(_) => Ok(Form::Json),
            None => {
                let detail = format!("this URL answers with {JSON} or {CSV}");
                Err(Kind::NotAcceptable.problem(detail))
            }
        }
    }
}

pub(super) fn corrupt(context: &Context, why: &str) -> Problem {
    tracing::error!(request.id = %context.id, job.id = context.parameter("uuid"), why, "a result cannot be read");
    Kind::ResultCorrupt.problem("the job is done, but its result cannot be read any more")
}
