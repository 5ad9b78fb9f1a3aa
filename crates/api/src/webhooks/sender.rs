//! One try to tell a receiver.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use boot::secret::Secret;
use chrono::TimeDelta;
use job_core::date::Date;
use job_core::webhook::Tried;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

use super::message::{Message, signatures};
use super::receiver::Receivers;

/// The longest time from looking a name up to the head of the answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// So many characters of what went wrong are noted.
const REASON: usize = 200;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Whoever sends events. It follows no redirect, uses no proxy, keeps no connection, and reads no answer's body.
#[derive(Debug)]
pub struct Sender {
    http: Client,
    receivers: Receivers,
    secrets: Vec<Secret>,
}

impl Sender {
    /// A sender that signs with these secrets, and reaches only these receivers.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(receivers: Receivers, secrets: Vec<Secret>) -> Result<Self, reqwest::Error> {
        // It may be there already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = builder(&receivers).build().or_else(|error| {
            tracing::warn!(error = %innermost(&error), "webhooks reach no https receiver: this host's certificates of authorities cannot be read; install them (Debian: ca-certificates)");
            builder(&receivers).tls_certs_only([]).build()
        })?;
        Ok(Sender {
            http,
            receivers,
            secrets,
        })
    }

    /// Sends a message to this URL at `now`; what came of it.
    pub async fn send(&self, url: &str, message: &Message, now: Date) -> Tried {
        // The rule may have changed since the job was submitted, and an address is never looked up.
        let url = match self.receivers.check(url) {
            Ok(url) => url,
            Err(unfit) => return failed(&unfit.to_string()),
        };
        let request = self
            .http
            .post(url)
            .headers(self.headers(message, now))
            .body(message.body.clone());
        match request.send().await {
            Ok(answer) => Tried::Answered {
                status: answer.status().as_u16(),
                wish: wish(answer.headers()),
            },
            Err(error) if error.is_timeout() => {
                failed(&format!("no answer within {} s", PATIENCE.as_secs()))
            }
            Err(error) => failed(&innermost(&error)),
        }
    }

    fn headers(&self, message: &Message, now: Date) -> HeaderMap {
        let seconds = now.unix_millis().div_euclid(1000);
        let signatures = signatures(&self.secrets, message, seconds);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(seconds));
        for (name, value) in [
            (WEBHOOK_ID, Some(message.event_id.as_str())),
            (WEBHOOK_SIGNATURE, Some(signatures.as_str())),
            (TRACEPARENT, message.traceparent.as_deref()),
        ] {
            // What could not stand in a header was put into the folder by somebody else.
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

fn builder(receivers: &Receivers) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("bcrl-api/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(receivers.clone()))
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .timeout(PATIENCE)
}

/// The pause that a receiver asks for; a date is none that would be believed (RFC 9110 section 10.2.3).
fn wish(headers: &HeaderMap) -> Option<TimeDelta> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse::<u32>();
    seconds
        .ok()
        .map(|seconds| TimeDelta::seconds(seconds.into()))
}

fn failed(reason: &str) -> Tried {
    Tried::Failed {
        reason: reason.chars().take(REASON).collect(),
    }
}

/// What went wrong at the bottom: what stands above says where, and repeats the URL.
fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
