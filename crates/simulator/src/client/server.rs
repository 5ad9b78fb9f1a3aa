//! The one place of the client that talks HTTP. It never tries twice and never waits of its own accord.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;
use job_core::date::Date;
use job_core::ids::{ApiName, JobId};
use job_core::status::Status;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use tokio::sync::Semaphore;

/// Longest time for a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest silence of the server.
const SILENCE: Duration = Duration::from_secs(60);
/// Most requests on their way at once: far fewer than a process may usually have files open (1024).
const AT_ONCE: usize = 256;

/// The API server.
#[derive(Debug)]
pub(super) struct Server {
    http: Client,
    /// Its address, without a slash at the end.
    base: String,
    /// The same as it may be shown: without a password.
    shown: String,
    at_once: Semaphore,
}

/// What the server said.
#[derive(Debug)]
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// How long it asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// A connection that did not come about, or broke; the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken(pub(super) String);

/// What is read of a job.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    /// Its id.
    pub(super) uuid: JobId,
    /// Where it stands.
    pub(super) status: Status,
    /// When it was submitted.
    pub(super) request_date: Option<Date>,
    /// When it ended.
    pub(super) finished_date: Option<Date>,
    /// Why it failed.
    pub(super) failure: Option<Failure>,
}

/// Why a job failed.
#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    /// One of the known kinds of trouble, or one that a newer server knows.
    pub(super) reason: String,
}

impl Server {
    /// The server at this address. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the address is none, or the key could not stand in a header.
    pub(super) fn new(url: &str, key: Option<&str>) -> anyhow::Result<Self> {
        let parsed = url.parse::<Url>().ok();
        let parsed =
            parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let mut url = parsed.with_context(|| {
            format!("--url {url}: an address such as http://127.0.0.1:8080 is due")
        })?;
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            headers.insert(AUTHORIZATION, bearer(key)?);
        }
        let mut builder = Client::builder()
            .user_agent(concat!("bcrl-sim/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&url) {
            // A proxy's loopback address is not ours.
            builder = builder.no_proxy();
        }
        if url.scheme() == "http" {
            // Without this the system's certificates are read, or missed, for nothing.
            builder = builder.tls_certs_only([]);
        }
        let base = without_slash(&url);
        // It fails for addresses without a host, of which there is none here.
        let _ = url.set_password(None);
        Ok(Server {
            http: builder
                .build()
                .context("the HTTP client cannot be set up")?,
            base,
            shown: without_slash(&url),
            at_once: Semaphore::new(AT_ONCE),
        })
    }

    /// Its address as it may be shown.
    pub(super) fn url(&self) -> &str {
        &self.shown
    }

    /// Asks for something that every server has, whatever it says.
    pub(super) async fn reach(&self) -> Result<Answer, Broken> {
        self.get("/api/v1/apis").await
    }

    /// Submits a job.
    pub(super) async fn submit(&self, api: &ApiName, body: &str) -> Result<Answer, Broken> {
        let url = format!("{}/api/v1/jobs/{api}", self.base);
        let request = self.http.post(url);
        let request = request.header(CONTENT_TYPE, "application/json");
        self.send(request.body(body.to_owned())).await
    }

    /// A job as it is now.
    pub(super) async fn job(&self, id: JobId) -> Result<Answer, Broken> {
        self.get(&format!("/api/v1/jobs/{id}")).await
    }

    /// What a job came to.
    pub(super) async fn result(&self, id: JobId) -> Result<Answer, Broken> {
        self.get(&format!("/api/v1/jobs/{id}/result")).await
    }

    async fn get(&self, path: &str) -> Result<Answer, Broken> {
        self.send(self.http.get(format!("{}{path}", self.base)))
            .await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Broken> {
        let slot = self.at_once.acquire().await;
        let _slot = slot.expect("nobody closes this semaphore");
        let answer = request.send().await.map_err(|error| broken(&error))?;
        let status = answer.status().as_u16();
        let retry_after = retry_after(answer.headers());
        let body = answer.bytes().await.map_err(|error| broken(&error))?;
        Ok(Answer {
            status,
            retry_after,
            body: body.into(),
        })
    }
}

impl Answer {
    /// Whether the server did what it was asked for.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the same may well succeed a little later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..)
    }

    /// The job that it tells of.
    pub(super) fn job(&self) -> Option<Job> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What is wrong, in the server's own words (RFC 9457), where it has any.
    pub(super) fn detail(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Problem {
            detail: String,
        }
        let problem: Problem = serde_json::from_slice(&self.body).ok()?;
        let line = problem.detail.lines().next().unwrap_or_default();
        // What would move the cursor or change colours is no text.
        let visible = line.chars().filter(|c| !c.is_control());
        Some(visible.take(200).collect())
    }
}

/// Whole seconds; the other form, a date, is not for a client that trusts no clock but its own (RFC 9110 section
/// 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

fn bearer(key: &str) -> anyhow::Result<HeaderValue> {
    let value = HeaderValue::try_from(format!("Bearer {key}"));
    let mut value = value.context("BCRL_KEY holds characters that no key has")?;
    value.set_sensitive(true);
    Ok(value)
}

fn without_slash(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The cause at the bottom, which names the trouble; what is above it names libraries.
fn broken(error: &reqwest::Error) -> Broken {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    let words = text.split_once(" (os error").map(|(words, _)| words);
    Broken(words.map_or(text.clone(), str::to_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_servers_are_taken_and_no_password_is_shown() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = Server::new("http://me:secret@127.0.0.1:1/bcrl/", None).unwrap();
        assert_eq!(server.url(), "http://me@127.0.0.1:1/bcrl");
        for bad in ["", "127.0.0.1:8080", "ftp://host", "/socket"] {
            assert!(Server::new(bad, None).is_err(), "{bad}");
        }
        assert!(Server::new("http://127.0.0.1:1", Some("a\nb")).is_err());
    }

    #[test]
    fn a_pause_is_whole_seconds() {
        let pause = |value: &'static str| {
            let headers = [(RETRY_AFTER, HeaderValue::from_static(value))];
            retry_after(&headers.into_iter().collect()).map(|pause| pause.as_secs())
        };
        assert_eq!(pause("3"), Some(3));
        for other in ["", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(pause(other), None, "{other}");
        }
    }

    #[test]
    fn a_problem_is_told_in_one_line_of_plain_text() {
        let detail = |body: &str| {
            let answer = Answer {
                status: 422,
                retry_after: None,
                body: body.into(),
            };
            answer.detail()
        };
        assert_eq!(
            detail(r#"{"detail":"too \u001b[1mlarge\nby far"}"#).unwrap(),
            "too [1mlarge"
        );
        assert_eq!(detail("<html>"), None);
    }
}
