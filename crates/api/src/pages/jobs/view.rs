//! A job as the template shows it.

use askama::Template;
use job_core::status::Status;
use page_parts::{Html, Page, date, number};
use uuid::Uuid;

use super::material::Material;
use super::outcome::Outcome;
use super::words;
use crate::context::Context;
use crate::job_json::{Job, Progress, Spread};
use crate::pages::reader::label;
use crate::pages::{KEY, Reader};

/// Seconds between two looks of a browser without scripts.
const REFRESH: u32 = 3;

/// The page.
#[derive(Template)]
#[template(path = "jobs/job.html")]
pub(super) struct JobPage {
    page: Page,
    job: Job,
    label: String,
    has_worker: bool,
    status: &'static str,
    percent: Option<f64>,
    /// How far it is, in words.
    progress: String,
    /// What is known of it, with its terms.
    facts: Vec<(&'static str, Fact)>,
    failure: Option<Failure>,
    log: String,
    log_is_cut: bool,
    size: Option<String>,
    is_too_large: bool,
    outcome: Option<Outcome>,
    is_damaged: bool,
    /// Its API is still there.
    may_run_again: bool,
    /// Tells this page from another of the same job: what is sent twice by a double click is one job.
    key: Uuid,
}

/// Something that is known of a job.
enum Fact {
    Text(String),
    Moment(Html),
    /// By when in half of all cases, and by when in nine of ten.
    Spread(Html, Html),
}

/// Why it failed.
struct Failure {
    title: &'static str,
    advice: &'static str,
    message: String,
}

impl JobPage {
    pub(super) fn new(
        context: &Context,
        reader: &Reader,
        job: Job,
        material: Material,
        has_worker: bool,
    ) -> Self {
        let language = reader.language;
        let label = label(context, reader, &job.api);
        let status = words::status(job.status, language);
        let is_final = job.status.is_final();
        let page = reader.page(format!("{status} – {label}"));
        let progress = job.progress.as_ref();
        let failure = job.failure.as_ref().map(|failure| {
            let (title, advice) = words::failure(failure.reason, language);
            Failure {
                title,
                advice,
                message: failure.message.clone(),
            }
        });
        JobPage {
            page: page.refreshed((!is_final).then_some(REFRESH)),
            label,
            has_worker,
            status,
            percent: progress.and_then(|progress| progress.percent),
            progress: progress.map(in_words).unwrap_or_default(),
            facts: facts(reader, &job),
            failure,
            log: material.log,
            log_is_cut: material.log_is_cut,
            size: material.size.map(number::bytes),
            is_too_large: material.is_too_large,
            outcome: material.outcome,
            is_damaged: material.is_damaged,
            may_run_again: is_final && context.site.catalog.get(&job.api).is_some(),
            key: Uuid::new_v4(),
            job,
        }
    }

    fn is_final(&self) -> bool {
        self.job.status.is_final()
    }

    fn is_processing(&self) -> bool {
        self.job.status == Status::Processing
    }
}

/// How far a job is; the script of the page says the same.
fn in_words(progress: &Progress) -> String {
    let percent = progress
        .percent
        .map(|percent| format!("{} %", percent.floor()));
    let words: Vec<_> = percent
        .into_iter()
        .chain(progress.message.clone())
        .collect();
    words.join(" · ")
}

fn facts(reader: &Reader, job: &Job) -> Vec<(&'static str, Fact)> {
    let language = reader.language;
    let say = |ja: &'static str, en: &'static str| language.say(ja, en);
    let moment = |date| Fact::Moment(date::moment(date));
    let spread = |spread: Spread| Fact::Spread(date::moment(spread.p50), date::moment(spread.p90));
    let estimate = job.estimate.as_ref();
    let start = estimate.and_then(|estimate| estimate.start);
    let finish = estimate.map(|estimate| estimate.finish);
    let took = job.started_date.zip(job.finished_date);
    let took = took.map(|(from, to)| to.since(from).num_milliseconds());
    let worker = job.worker.as_ref().map(ToString::to_string);
    let attempt = job.attempt.filter(|attempt| *attempt > 1);
    let facts = [
        (say("登録", "Submitted"), Some(moment(job.request_date))),
        (say("開始の見込み", "Probably starts"), start.map(spread)),
        (say("開始", "Started"), job.started_date.map(moment)),
        (say("終了の見込み", "Probably ends"), finish.map(spread)),
        (say("終了", "Ended"), job.finished_date.map(moment)),
        (
            say("実行時間", "Took"),
            took.map(|took| Fact::Text(date::duration(took, language))),
        ),
        (
            say("実行回数", "Run"),
            attempt.map(|attempt| Fact::Text(attempt.to_string())),
        ),
        (say("ワーカー", "Worker"), worker.map(Fact::Text)),
        (say("保存期限", "Kept until"), job.expires_date.map(moment)),
        (say("ID", "Id"), Some(Fact::Text(job.uuid.to_string()))),
    ];
    let known = facts.into_iter();
    known
        .filter_map(|(term, fact)| Some((term, fact?)))
        .collect()
}
