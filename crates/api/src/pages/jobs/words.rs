//! How a job stands, and why one failed, in both languages.

use job_core::status::{FailureReason, Status};
use page_parts::Language;

/// A status in a word.
pub fn status(status: Status, language: Language) -> &'static str {
    match status {
        Status::Pending => language.say("順番待ち", "Waiting"),
        Status::Processing => language.say("実行中", "Running"),
        Status::Done => language.say("完了", "Done"),
        Status::Failed => language.say("失敗", "Failed"),
        Status::Canceled => language.say("取り消し済み", "Canceled"),
    }
}

/// Why a job failed, and what whoever submitted it can do.
pub fn failure(reason: FailureReason, language: Language) -> (&'static str, &'static str) {
    let (ja, en) = match reason {
        FailureReason::ExitCode => (
            (
                "プログラムがエラーで終わりました",
                "下のログの最後の行に理由があることが多いです。入力を直して、もう一度実行してください。",
            ),
            (
                "The program ended with an error",
                "The last lines of the log below mostly say why. Correct the input and run it again.",
            ),
        ),
        FailureReason::Signal => (
            (
                "プログラムが途中で止まりました",
                "もう一度実行しても続くようなら、このAPIの担当者に知らせてください。",
            ),
            (
                "The program was stopped in the middle",
                "If it happens again, tell whoever looks after this API.",
            ),
        ),
        FailureReason::Timeout => (
            (
                "制限時間を超えました",
                "データを小さくするか、分けて実行してください。",
            ),
            (
                "It took longer than it may",
                "Run it on less data, or in several parts.",
            ),
        ),
        FailureReason::Memory => (
            (
                "メモリの上限を超えました",
                "データを小さくするか、分けて実行してください。",
            ),
            (
                "It took more memory than it may",
                "Run it on less data, or in several parts.",
            ),
        ),
        FailureReason::OutputTooLarge => (
            (
                "結果が大きすぎます",
                "データを小さくするか、分けて実行してください。",
            ),
            (
                "The result is too large",
                "Run it on less data, or in several parts.",
            ),
        ),
        FailureReason::InvalidOutput | FailureReason::NoResult => (
            (
                "プログラムが正しい結果を出しませんでした",
                "入力のせいではありません。このAPIの担当者に知らせてください。",
            ),
            (
                "The program gave no proper result",
                "This is not the input's fault. Tell whoever looks after this API.",
            ),
        ),
        FailureReason::SpawnError | FailureReason::WorkerLost => (
            (
                "計算サーバーの問題で実行できませんでした",
                "もう一度実行してください。続くようなら管理者に知らせてください。",
            ),
            (
                "A problem of the worker kept it from being run",
                "Run it again. If it happens again, tell an operator.",
            ),
        ),
        FailureReason::RequestMissing | FailureReason::InvalidRequest => (
            (
                "登録された内容が失われました",
                "はじめから入力し直してください。",
            ),
            (
                "What was submitted is no longer there",
                "Fill in the form once more.",
            ),
        ),
        FailureReason::ResultMissing => (
            ("結果のファイルが失われました", "もう一度実行してください。"),
            (
                "The file with the result is no longer there",
                "Run it again.",
            ),
        ),
        FailureReason::ApiGone => (
            (
                "このAPIは提供されなくなりました",
                "APIの担当者に確かめてください。",
            ),
            (
                "This API is not offered any more",
                "Ask whoever looked after it.",
            ),
        ),
    };
    language.say(ja, en)
}
