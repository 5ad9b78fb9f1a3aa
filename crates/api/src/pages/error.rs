//! What went wrong, as a page in the reader's language.

use actix_web::HttpResponse;
use actix_web::http::header::HeaderValue;
use actix_web::http::{ConnectionType, StatusCode};
use askama::Template;
use page_parts::Page;
use uuid::Uuid;

use super::Reader;
use crate::problem::{Facts, Kind, Problem};

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    page: Page,
    title: &'a str,
    advice: &'a str,
    /// What the API says of it, where that is read by people.
    detail: &'a str,
    status: StatusCode,
    id: Uuid,
}

/// The answer to the request with this id.
pub fn page(reader: &Reader, problem: &Problem, id: Uuid) -> HttpResponse {
    problem.log(id);
    let Facts { status, .. } = problem.kind().facts();
    let (title, advice) = words(reader, problem.kind());
    let page = ErrorPage {
        page: reader.page(title).of_error(),
        title,
        advice,
        detail: reader.say("", problem.detail()),
        status,
        id,
    };
    let mut answer = match reader.answer(status, &page) {
        Ok(answer) => answer,
        Err(problem) => return problem.answer(id),
    };
    for (name, value) in problem.headers() {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.headers_mut().insert(name.clone(), value);
        }
    }
    if problem.ends_connection() {
        // What is left of the request is not read.
        answer.head_mut().set_connection_type(ConnectionType::Close);
    }
    answer
}

/// What happened, and what to do.
fn words<'a>(reader: &Reader, kind: Kind) -> (&'a str, &'a str) {
    let is_of_job = reader.path().starts_with("/jobs");
    let (ja, en) = match kind {
        Kind::NotFound if is_of_job => (
            (
                "ジョブが見つかりません",
                "このIDのジョブはありません。IDを確かめてください。",
            ),
            (
                "There is no such job",
                "No job has this id. Check the id for missing characters.",
            ),
        ),
        Kind::NotFound => (
            (
                "ページが見つかりません",
                "URLを確かめるか、トップページから選び直してください。",
            ),
            (
                "There is no such page",
                "Check the URL, or begin again at the front page.",
            ),
        ),
        Kind::JobExpired => (
            (
                "保存期間が過ぎました",
                "終わったジョブは一定期間の後に削除されます。必要なら、もう一度実行してください。",
            ),
            (
                "This job is no longer kept",
                "Finished jobs are removed after some time. Run it again if you need it.",
            ),
        ),
        Kind::JobFinal => (
            (
                "ジョブはもう終わっています",
                "終わったジョブは取り消せません。",
            ),
            (
                "The job has ended",
                "A job that has ended cannot be canceled.",
            ),
        ),
        Kind::Forbidden => (
            (
                "ほかのサイトからの送信です",
                "このサイトのページから送信し直してください。",
            ),
            (
                "Sent from another site",
                "Send the form from this site's own page.",
            ),
        ),
        Kind::PayloadTooLarge => (
            (
                "データが大きすぎます",
                "ファイルを小さくするか、分けて送ってください。",
            ),
            (
                "The data is too large",
                "Send a smaller file, or several of them.",
            ),
        ),
        Kind::UnsupportedMediaType
        | Kind::BadRequest
        | Kind::HeadTooLarge
        | Kind::MethodNotAllowed => (
            (
                "要求を読み取れませんでした",
                "ページを開き直して、もう一度お試しください。",
            ),
            (
                "The request could not be understood",
                "Open the page again and retry.",
            ),
        ),
        Kind::NoAppServer => (
            (
                "計算サーバーが動いていません",
                "計算を行うワーカーがまだ動いていません。しばらくしてから、もう一度お試しください。",
            ),
            (
                "No worker is there",
                "Nothing can be run until a worker is started. Try again later.",
            ),
        ),
        Kind::Busy | Kind::RateLimited | Kind::QueueFull | Kind::RequestTimeout => (
            (
                "混み合っています",
                "何も登録されていません。しばらくしてから、もう一度お試しください。",
            ),
            (
                "Too busy at this moment",
                "Nothing was submitted. Try again in a while.",
            ),
        ),
        Kind::InsufficientStorage => (
            (
                "ディスクの空きがありません",
                "何も登録されていません。管理者に知らせてください。",
            ),
            (
                "The disk is nearly full",
                "Nothing was submitted. Tell an operator.",
            ),
        ),
        _ => (
            (
                "問題が起きました",
                "続くようなら、下の参照番号を管理者に知らせてください。",
            ),
            (
                "Something went wrong",
                "If it happens again, tell an operator the reference below.",
            ),
        ),
    };
    reader.language.say(ja, en)
}
