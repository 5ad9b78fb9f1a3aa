//! What a client is told where no request of its could be understood.

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use job_core::date::Date;
use uuid::Uuid;

use crate::dispatch::sign;
use crate::measures;
use crate::problem::{Kind, Problem};

/// The problem that a bare answer of the parser stands for; nothing where the bytes are none.
pub(super) fn of_parser(bytes: &[u8]) -> Option<Problem> {
    let status = bytes.strip_prefix(b"HTTP/1.")?.get(1..5)?;
    match status {
        b" 400" => Some(Kind::BadRequest.problem(
            "this is no request as HTTP/1.1 wants it: its first line, a header or its length is none",
        )),
        b" 431" => Some(Kind::HeadTooLarge.problem("the head has too many headers, or too long ones")),
        _ => None,
    }
}

/// A whole answer, behind which the connection is closed.
pub(super) fn text(problem: &Problem, now: Date) -> Vec<u8> {
    let id = Uuid::now_v7();
    let mut answer = problem.answer(id);
    sign(&mut answer, id);
    measures::refused(answer.status());
    tracing::debug!(request.id = %id, status = answer.status().as_u16(), "what came is no request");
    written(answer, now)
}

fn written(answer: HttpResponse, now: Date) -> Vec<u8> {
    let date = now.moment().to_utc().format("%a, %d %b %Y %H:%M:%S GMT");
    let mut text = format!(
        "HTTP/1.1 {}\r\nconnection: close\r\ndate: {date}\r\n",
        answer.status()
    );
    for (name, value) in answer.headers() {
        let value = value.to_str().unwrap_or_default();
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = answer.into_body().try_into_bytes().unwrap_or_default();
    text.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    [text.as_bytes(), &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_parser_refuses_is_told_in_other_words() {
        let refused = |text: &str| of_parser(text.as_bytes()).is_some();
        assert!(refused("HTTP/1.1 400 Bad Request\r\n\r\n"));
        assert!(refused(
            "HTTP/1.0 431 Request Header Fields Too Large\r\n\r\n"
        ));
        for text in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.",
            "",
        ] {
            assert!(!refused(text), "{text}");
        }
    }

    #[test]
    fn a_refusal_is_a_whole_answer() {
        let now = "2026-11-21T09:08:07.654+09:00".parse().unwrap();
        let text = text(&Kind::BadRequest.problem("no"), now);
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        for line in [
            "date: Sat, 21 Nov 2026 00:08:07 GMT",
            "connection: close",
            "content-type: application/problem+json",
            &format!("content-length: {}", body.len()),
        ] {
            assert!(head.lines().any(|one| one == line), "{line}: {head}");
        }
    }
}
