//! The one place that talks HTTP: it knows the endpoints, and turns every answer into a value or an [`Error`].
//! It never tries twice and never waits of its own accord; that is up to whoever asks.

use std::net::IpAddr;
use std::time::Duration;

use job_core::ids::{ApiName, JobId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{
    ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION,
    RETRY_AFTER,
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::value::RawValue;

use uuid::Uuid;

use super::download::Download;
use super::error::{Error, innermost};
use super::job::Job;
use super::problem::Problem;
use super::settings::Settings;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Longest time for a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest silence of the server; twice as long as it may be asked to hold an answer back.
const SILENCE: Duration = Duration::from_secs(60);

/// The API server.
pub(super) struct Server {
    http: Client,
    /// Its address, without a slash at the end.
    base: String,
    /// The same as it may be shown: without a password.
    shown: String,
}

/// A job and the tag of what was seen of it.
pub(super) struct Seen {
    /// The job.
    pub(super) job: Job,
    /// Its ETag, where the server gave one.
    pub(super) tag: Option<HeaderValue>,
}

/// One page of the list of jobs.
pub(super) struct JobPage {
    /// The jobs of this page, newest first.
    pub(super) jobs: Vec<Job>,
    /// Where the next page begins; absent at the end.
    pub(super) next: Option<String>,
}

impl Server {
    /// The server of these settings. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the key could not stand in a header.
    pub(super) fn new(settings: &Settings) -> Result<Server, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, */*;q=0.5"),
        );
        headers.insert(
            ACCEPT_LANGUAGE,
            HeaderValue::from_static(settings.language.tag()),
        );
        if let Some(key) = &settings.key {
            headers.insert(AUTHORIZATION, bearer(key)?);
        }
        let mut builder = Client::builder()
            .user_agent(concat!("bcrl/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            // A redirect would turn a POST into a GET; the right address belongs into the settings.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&settings.url) {
            // A proxy's loopback address is not ours.
            builder = builder.no_proxy();
        }
        if settings.url.scheme() == "http" {
            // Without this the system's certificates are read, or missed, for nothing.
            builder = builder.tls_certs_only([]);
        }
        Ok(Server {
            http: builder
                .build()
                .map_err(|error| Error::Usage(innermost(&error)))?,
            base: without_slash(&settings.url),
            shown: without_slash(&without_password(&settings.url)),
        })
    }

    /// The server's address as it may be shown, without a slash at the end.
    pub(super) fn url(&self) -> &str {
        &self.shown
    }

    /// Submits a job, of whose end the webhook is told.
    pub(super) async fn submit(
        &self,
        api: &ApiName,
        body: String,
        webhook: Option<&str>,
        key: Uuid,
    ) -> Result<Job, Error> {
        let encoded = webhook.map(|url| utf8_percent_encode(url, NON_ALPHANUMERIC));
        let query = encoded.map_or(String::new(), |url| format!("?webhook={url}"));
        let request = self
            .request(Method::POST, &format!("/api/v1/jobs/{api}{query}"))
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", format!("\"{key}\""))
            .body(body);
        let answer = self.send(request, api.as_str()).await?;
        self.read_job(answer).await
    }

    /// The job as it is now.
    pub(super) async fn job(&self, id: JobId) -> Result<Seen, Error> {
        let request = self.request(Method::GET, &job_path(id));
        self.read_seen(self.send(request, &id.to_string()).await?)
            .await
    }

    /// The job once it differs from what `tag` stands for; none where it did not change within `patience`, or at once
    /// where the server cannot wait.
    pub(super) async fn changed_job(
        &self,
        id: JobId,
        tag: &HeaderValue,
        patience: Duration,
    ) -> Result<Option<Seen>, Error> {
        let request = self
            .request(Method::GET, &job_path(id))
            .header(IF_NONE_MATCH, tag)
            .header(PREFER, format!("wait={}", patience.as_secs()));
        let answer = self.send(request, &id.to_string()).await?;
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        self.read_seen(answer).await.map(Some)
    }

    /// What the job's script printed.
    pub(super) async fn result(&self, id: JobId) -> Result<Download, Error> {
        self.download(id, "result").await
    }

    /// The same as CSV, where it is a table.
    pub(super) async fn result_as_csv(&self, id: JobId) -> Result<Download, Error> {
        self.download(id, "result?format=csv").await
    }

    /// What the job's script wrote to stderr.
    pub(super) async fn log(&self, id: JobId) -> Result<Download, Error> {
        self.download(id, "log").await
    }

    /// Asks for the job's end.
    pub(super) async fn cancel(&self, id: JobId) -> Result<Job, Error> {
        let request = self.request(Method::DELETE, &job_path(id));
        self.read_job(self.send(request, &id.to_string()).await?)
            .await
    }

    /// A page of the list of jobs; `query` holds names and values, which are encoded here.
    pub(super) async fn jobs(&self, query: &[(&str, String)]) -> Result<JobPage, Error> {
        #[derive(Deserialize)]
        struct Page {
            jobs: Vec<Box<RawValue>>,
            next: Option<String>,
        }
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        let path = format!("/api/v1/jobs?{}", query.join("&"));
        let answer = self.send(self.request(Method::GET, &path), "").await?;
        let text = self.text(answer).await?;
        let page: Page = self.parse(&text)?;
        let jobs = page
            .jobs
            .into_iter()
            .map(|json| Job::parse(Box::<str>::from(json).into()));
        Ok(JobPage {
            jobs: jobs
                .collect::<Result<_, _>>()
                .map_err(|error| self.foreign(error))?,
            next: page.next,
        })
    }

    /// The APIs on offer, each as the server's JSON.
    pub(super) async fn apis(&self) -> Result<Vec<Box<RawValue>>, Error> {
        #[derive(Deserialize)]
        struct Catalog {
            apis: Vec<Box<RawValue>>,
        }
        let answer = self
            .send(self.request(Method::GET, "/api/v1/apis"), "")
            .await?;
        let text = self.text(answer).await?;
        self.parse::<Catalog>(&text).map(|catalog| catalog.apis)
    }

    /// Reads a piece of the server's JSON.
    pub(super) fn parse<'a, T: Deserialize<'a>>(&self, json: &'a str) -> Result<T, Error> {
        serde_json::from_str(json).map_err(|error| self.foreign(error))
    }

    async fn download(&self, id: JobId, what: &str) -> Result<Download, Error> {
        let request = self.request(Method::GET, &format!("{}/{what}", job_path(id)));
        let answer = self.send(request, &id.to_string()).await?;
        Ok(Download::new(answer, &self.shown))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request; only a good answer, or `304`, is no error. `about` names its job or API for hints.
    async fn send(&self, request: RequestBuilder, about: &str) -> Result<Response, Error> {
        let answer = request
            .send()
            .await
            .map_err(|error| Error::of_connection(&self.shown, &error))?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            Ok(answer)
        } else if let Some(location) = answer
            .headers()
            .get(LOCATION)
            .filter(|_| status.is_redirection())
        {
            let location = String::from_utf8_lossy(location.as_bytes());
            Err(self.foreign(format!("it redirects to {location}")))
        } else {
            Err(self.read_problem(answer, about).await)
        }
    }

    async fn read_seen(&self, answer: Response) -> Result<Seen, Error> {
        let tag = answer.headers().get(ETAG).cloned();
        let job = self.read_job(answer).await?;
        Ok(Seen { job, tag })
    }

    async fn read_job(&self, answer: Response) -> Result<Job, Error> {
        Job::parse(self.text(answer).await?).map_err(|error| self.foreign(error))
    }

    async fn read_problem(&self, answer: Response, about: &str) -> Error {
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        // A proxy's error page is no problem document, and none of it helps; the status does.
        let text = answer.text().await.unwrap_or_default();
        let problem: Problem = serde_json::from_str(&text).unwrap_or_default();
        let about = about.to_owned();
        Problem {
            status,
            about,
            retry_after,
            ..problem
        }
        .into()
    }

    async fn text(&self, answer: Response) -> Result<String, Error> {
        answer
            .text()
            .await
            .map_err(|error| Error::of_connection(&self.shown, &error))
    }

    fn foreign(&self, what: impl ToString) -> Error {
        Error::Foreign {
            url: self.shown.clone(),
            what: what.to_string(),
        }
    }
}

fn job_path(id: JobId) -> String {
    format!("/api/v1/jobs/{id}")
}

fn without_slash(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn without_password(url: &Url) -> Url {
    let mut url = url.clone();
    // It fails for addresses without a host, which the settings do not let pass.
    let _ = url.set_password(None);
    url
}

fn bearer(key: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(format!("Bearer {key}"))
        .map_err(|_| Error::Usage("BCRL_KEY holds characters that no key has".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
