//! Plain HTTP, as a stranger speaks it.

use std::time::Duration;

use reqwest::blocking;
use serde_json::Value;

use crate::until;

/// One server, one connection pool.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    http: blocking::Client,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers; of a name that comes twice, the last.
    pub headers: std::collections::BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl Client {
    /// A client of the server at this URL.
    pub fn new(base: &str) -> Self {
        // It may be there already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = blocking::Client::builder()
            .timeout(Duration::from_secs(60))
            // Where an answer leads is looked at, and not followed.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Client {
            base: base.to_owned(),
            http,
        }
    }

    /// Any request; an error where the connection broke.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send()?;
        let status = answer.status().as_u16();
        let headers = answer.headers().iter().map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        });
        Ok(Answer {
            status,
            headers: headers.collect(),
            body: answer.bytes()?.to_vec(),
        })
    }

    /// Any request.
    #[track_caller]
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        self.try_send(
            method,
            path,
            headers,
            body.map(|body| body.as_bytes().to_vec()),
        )
        .unwrap()
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    /// POST of JSON.
    #[track_caller]
    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.send(
            "POST",
            path,
            &[("content-type", "application/json")],
            Some(body),
        )
    }

    /// Submits a job, and returns its id.
    #[track_caller]
    pub fn submit(&self, api: &str, body: &str) -> String {
        let answer = self.post(&format!("/api/v1/jobs/{api}"), body);
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["uuid"].as_str().unwrap().to_owned()
    }

    /// The job as it is now.
    #[track_caller]
    pub fn job(&self, uuid: &str) -> Value {
        let answer = self.get(&format!("/api/v1/jobs/{uuid}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until a job has this status.
    #[track_caller]
    pub fn until_status(&self, uuid: &str, status: &str, patience: Duration) -> Value {
        until(
            &format!("job {uuid} {status}: {}", self.job(uuid)),
            patience,
            || Some(self.job(uuid)).filter(|job| job["status"] == status),
        )
    }

    /// Waits until a job has ended, however it did.
    #[track_caller]
    pub fn until_ended(&self, uuid: &str, patience: Duration) -> Value {
        until(&format!("the end of job {uuid}"), patience, || {
            Some(self.job(uuid)).filter(|job| {
                !["pending", "processing"].contains(&job["status"].as_str().unwrap_or_default())
            })
        })
    }

    /// Waits until the server knows an API.
    #[track_caller]
    pub fn until_api(&self, name: &str, patience: Duration) {
        until(&format!("API {name}"), patience, || {
            let apis = self.get("/api/v1/apis").json();
            apis["apis"]
                .as_array()
                .unwrap()
                .iter()
                .any(|api| api["name"] == name)
                .then_some(())
        });
    }
}
