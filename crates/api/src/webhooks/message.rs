//! What a receiver is sent, and how it is signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use boot::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use job_core::date::Date;
use job_core::ids::{ApiName, JobId};
use job_core::status::Status;
use job_core::webhook::event_type;
use serde::Serialize;
use sha2::Sha256;
use shared_folder::JobView;

use crate::job_json::Links;

/// An event on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What a receiver knows the event by.
    pub event_id: String,
    /// The body: JSON, the same with each try.
    pub body: String,
    /// W3C Trace Context of the submission, where its client sent one.
    pub traceparent: Option<String>,
}

/// The body: that a job has ended and how, and where the rest is; what it made is fetched by whoever may.
#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    /// When the job ended.
    timestamp: Date,
    data: Ended<'a>,
}

#[derive(Serialize)]
struct Ended<'a> {
    uuid: JobId,
    api: &'a ApiName,
    status: Status,
    links: Links,
}

/// What is told of a job; nothing where it has not ended. Links begin with `public_url`.
pub fn body(view: &JobView, public_url: &str, now: Date) -> Option<String> {
    let status = view.state.status();
    let event = Event {
        r#type: event_type(status)?,
        timestamp: view.state.finished().unwrap_or(now),
        data: Ended {
            uuid: view.entry.uuid,
            api: &view.entry.api,
            status,
            links: Links::new(public_url, view.entry.uuid),
        },
    };
    Some(serde_json::to_string(&event).expect("names and dates always serialize"))
}

/// The value of `webhook-signature` for a message that is sent at this Unix time, in seconds: a signature with each
/// secret, by HMAC-SHA256 over id, time and body.
pub fn signatures(secrets: &[Secret], message: &Message, seconds: i64) -> String {
    let signed = |secret: &Secret| {
        let mac = Hmac::<Sha256>::new_from_slice(secret.bytes());
        let mut mac = mac.expect("HMAC takes keys of any length");
        mac.update(format!("{}.{seconds}.", message.event_id).as_bytes());
        mac.update(message.body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    let signatures: Vec<_> = secrets.iter().map(signed).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use job_core::entry::Entry;
    use job_core::status::State;

    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        // Made by the package standardwebhooks 1.1.0.
        let message = Message {
            event_id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
            body: r#"{"test": 2432232314}"#.into(),
            traceparent: None,
        };
        let secrets = [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        ];
        let secrets = secrets.map(|text| text.parse().unwrap());
        assert_eq!(
            signatures(&secrets, &message, 1_614_265_330),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,O4Gjv1HqPqsMrjmczoggs/sWA8gZD0VyHG+fLh4+ktI="
        );
    }

    #[test]
    fn an_event_is_thin_and_says_where_the_rest_is() {
        let now: Date = "2026-11-21T12:00:00+09:00".parse().unwrap();
        let uuid: JobId = "0190a6f0-1c2d-7abc-8def-0123456789ab".parse().unwrap();
        let mut view = JobView::pending(Entry::pending(uuid, "soc".parse().unwrap(), now));
        assert_eq!(body(&view, "", now), None, "it has not ended");
        let finished = Some(now);
        view.state = State::Done { finished };
        assert_eq!(
            body(&view, "https://jobs.example", now).unwrap(),
            r#"{"type":"job.done","timestamp":"2026-11-21T12:00:00.000+09:00","data":{"uuid":"0190a6f0-1c2d-7abc-8def-0123456789ab","api":"soc","status":"done","links":{"self":"https://jobs.example/api/v1/jobs/0190a6f0-1c2d-7abc-8def-0123456789ab","result":"https://jobs.example/api/v1/jobs/0190a6f0-1c2d-7abc-8def-0123456789ab/result","events":"https://jobs.example/api/v1/jobs/0190a6f0-1c2d-7abc-8def-0123456789ab/events","log":"https://jobs.example/api/v1/jobs/0190a6f0-1c2d-7abc-8def-0123456789ab/log"}}}"#
        );
    }
}
