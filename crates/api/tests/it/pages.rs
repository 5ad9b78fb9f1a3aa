//! The pages for people, without a browser: what is in them, what forms become, and what is refused.

mod forms;
mod jobs;
mod site;

use test_support::Answer;

use crate::support::Lab;

const BOUNDARY: &str = "b0undary";

/// Sends a form as a browser does.
#[track_caller]
fn send(lab: &Lab, path: &str, parts: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
    let mut body = String::new();
    for (name, content) in parts {
        let file = if *name == "sheet-file" {
            "; filename=\"a.csv\""
        } else {
            ""
        };
        body.push_str(&format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
        ));
    }
    body.push_str(&format!("--{BOUNDARY}--\r\n"));
    let form = format!("multipart/form-data; boundary={BOUNDARY}");
    let mut all = vec![("content-type", form.as_str()), ("accept", "text/html")];
    all.extend(headers);
    lab.client.send("POST", path, &all, Some(&body))
}

/// Looks at a page.
#[track_caller]
fn page(lab: &Lab, path: &str, status: u16) -> String {
    let answer = lab
        .client
        .send("GET", path, &[("accept", "text/html")], None);
    assert_page(&answer, status);
    answer.text()
}

#[track_caller]
fn assert_page(answer: &Answer, status: u16) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = answer.header("content-security-policy").unwrap();
    for part in [
        "default-src 'self'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    for inline in [
        "<script>",
        " style=",
        " onclick",
        "javascript:",
        "http://",
        "https://",
    ] {
        assert!(!text.contains(inline), "{inline} in {text}");
    }
}

/// The job that an answer leads to.
#[track_caller]
fn job_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    let location = answer.header("location").unwrap();
    location.strip_prefix("/jobs/").unwrap().to_owned()
}

/// What a job was submitted with, to the letter.
#[track_caller]
fn params(lab: &Lab, uuid: &str) -> String {
    let params = lab.params(&uuid.into());
    // A form's own key stands behind them.
    let end = params.find(",\"idempotency_key\":");
    params[..end.unwrap_or(params.len())].to_owned()
}
