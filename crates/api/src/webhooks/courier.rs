//! One try from its beginning to its note in the folder.

use std::sync::Arc;

use boot::Clock;
use chrono::TimeDelta;
use job_core::ids::JobId;
use job_core::webhook::{Standing, Webhook};
use shared_folder::FolderError;
use shared_folder::webhook::Deliveries;
use tokio::task::spawn_blocking;

use super::message::{self, Message};
use super::sender::Sender;

/// How soon an event is looked at again that this server could not send for reasons of its own.
const TROUBLE: TimeDelta = TimeDelta::seconds(10);

/// Whoever delivers: what it needs for a try.
pub(super) struct Courier {
    pub(super) deliveries: Deliveries,
    pub(super) sender: Sender,
    pub(super) pauses: Vec<TimeDelta>,
    pub(super) public_url: String,
    pub(super) clock: Clock,
}

/// A try that has ended.
pub(super) struct Ended {
    pub(super) uuid: JobId,
    /// The record as it is now; nothing where the job is gone.
    pub(super) webhook: Option<Webhook>,
    /// Whether the folder knows it so.
    pub(super) is_noted: bool,
}

impl Ended {
    fn noted(uuid: JobId, webhook: Option<Webhook>) -> Self {
        Ended {
            uuid,
            webhook,
            is_noted: true,
        }
    }
}

impl Courier {
    /// Tries to tell one event, and notes what came of it.
    pub(super) async fn attempt(self: Arc<Self>, uuid: JobId, webhook: Webhook) -> Ended {
        let (courier, event_id) = (self.clone(), webhook.event_id.clone());
        let message = spawn_blocking(move || courier.message(uuid, event_id)).await;
        let message = match message.expect("making a message does not panic") {
            Ok(Some(message)) => message,
            Ok(None) => return Ended::noted(uuid, None),
            Err(error) => {
                tracing::warn!(job.id = %uuid, error = %error, "a job whose end is to be told cannot be looked at");
                let next_date = Some(self.clock.now().plus(TROUBLE));
                let later = Webhook {
                    next_date,
                    ..webhook
                };
                return Ended::noted(uuid, Some(later));
            }
        };
        let tried = self.sender.send(&webhook.url, &message, self.clock.now());
        let tried = tried.await;
        let webhook = webhook.after(tried, &self.pauses, self.clock.now());
        tell(uuid, &webhook);
        let (courier, noted) = (self.clone(), webhook.clone());
        let noted = spawn_blocking(move || courier.deliveries.note(uuid, &noted)).await;
        let noted = noted.expect("noting a try does not panic");
        if let Err(error) = &noted {
            tracing::warn!(job.id = %uuid, error = %error, "what came of a webhook cannot be noted yet; after a restart before that it is sent again, as the same event");
        }
        Ended {
            is_noted: noted.is_ok(),
            ..Ended::noted(uuid, Some(webhook))
        }
    }

    /// What is to be sent of a job; nothing where it is gone.
    fn message(&self, uuid: JobId, event_id: String) -> Result<Option<Message>, FolderError> {
        let now = self.clock.now();
        let Some(view) = self.deliveries.ended(uuid, now)? else {
            return Ok(None);
        };
        let traceparent = self.deliveries.request(uuid)?;
        let traceparent = traceparent.and_then(|request| request.traceparent);
        let body = message::body(&view, &self.public_url, now);
        Ok(body.map(|body| Message {
            event_id,
            body,
            traceparent,
        }))
    }
}

/// Says what came of a try. The URL stays out of the log: it may hold a key.
fn tell(uuid: JobId, webhook: &Webhook) {
    let Webhook {
        event_id,
        tries,
        last_status: status,
        last_error: error,
        ..
    } = webhook;
    match webhook.standing() {
        Standing::Delivered(_) => {
            tracing::info!(job.id = %uuid, event_id, tries, status, "a webhook was delivered")
        }
        Standing::Open(next) => {
            tracing::info!(job.id = %uuid, event_id, tries, status, error, next_date = %next, "a webhook was not delivered")
        }
        Standing::GivenUp => {
            tracing::warn!(job.id = %uuid, event_id, tries, status, error, "a webhook is given up; bcrl webhooks replay sends it anew")
        }
    }
}
