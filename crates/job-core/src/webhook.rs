//! Telling a client's own server that a job has ended: as which event, when it is tried again, and when that is given
//! up.
//!
//! A job has one end, so it has one event, whose id follows from the job's: a receiver that is told twice can know.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::date::Date;
use crate::ids::JobId;
use crate::status::Status;

/// So much is added to a pause at most, in percent: receivers that were down are not met by all at once.
const JITTER: i64 = 10;
/// A receiver may ask for a pause of at most this; a longer wish counts as this one.
const LONGEST_WISH: TimeDelta = TimeDelta::hours(24);
/// The status by which a receiver says that it wants to hear no more (RFC 9110 section 15.5.11).
const GONE: u16 = 410;

/// `webhook/{uuid}.json`: where to tell a job's end, and what came of it so far. Replaced as it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Where to tell it.
    pub url: String,
    /// What a receiver knows the event by, however often it is sent.
    pub event_id: String,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, once the job has ended; absent where it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_date: Option<Date>,
    /// The HTTP status of the last try; absent where that got no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<u16>,
    /// Why the last try got no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When the receiver took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_date: Option<Date>,
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// The receiver answered.
    Answered {
        /// With this HTTP status.
        status: u16,
        /// And asked for this pause (`Retry-After`).
        wish: Option<TimeDelta>,
    },
    /// It did not.
    Failed {
        /// Why.
        reason: String,
    },
}

/// How an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is tried then, once the job has ended.
    Open(Date),
    /// The receiver took it then.
    Delivered(Date),
    /// Nobody tries it any more.
    GivenUp,
}

impl Webhook {
    /// The event of a job that was submitted at `now`.
    pub fn new(uuid: JobId, url: String, now: Date) -> Self {
        Webhook {
            url,
            event_id: format!("evt_{uuid}"),
            tries: 0,
            next_date: Some(now),
            last_status: None,
            last_error: None,
            delivered_date: None,
        }
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        match (self.delivered_date, self.next_date) {
            (Some(date), _) => Standing::Delivered(date),
            (None, Some(date)) => Standing::Open(date),
            (None, None) => Standing::GivenUp,
        }
    }

    /// The same after one more try, which ended at `now`. Only a status of 2xx is a delivery; after each other one comes
    /// the next of the `pauses`, and after the last of them nothing. A receiver that is gone is not asked again.
    pub fn after(self, tried: Tried, pauses: &[TimeDelta], now: Date) -> Self {
        let tries = self.tries.saturating_add(1);
        let (last_status, last_error, wish) = match tried {
            Tried::Answered { status, wish } => (Some(status), None, wish),
            Tried::Failed { reason } => (None, Some(reason), None),
        };
        let is_delivered = last_status.is_some_and(|status| (200..300).contains(&status));
        let is_over = is_delivered || last_status == Some(GONE);
        let pause = pauses.get(tries as usize - 1).filter(|_| !is_over);
        let next_date = pause.map(|pause| {
            let pause = with_jitter(*pause, &self.event_id, tries);
            now.plus(pause.max(wish.unwrap_or_default().min(LONGEST_WISH)))
        });
        Webhook {
            tries,
            next_date,
            last_status,
            last_error,
            delivered_date: is_delivered.then_some(now),
            ..self
        }
    }

    /// The same event from the beginning, whatever became of it; due at `now`.
    pub fn anew(self, now: Date) -> Self {
        Webhook {
            tries: 0,
            next_date: Some(now),
            delivered_date: None,
            ..self
        }
    }
}

/// A pause that is up to [`JITTER`] percent longer, each time by another part that follows from the event.
fn with_jitter(pause: TimeDelta, event_id: &str, tries: u32) -> TimeDelta {
    // FNV-1a: any function will do that scatters what differs little.
    let bytes = event_id.bytes().chain(tries.to_be_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let thousandths = i64::try_from(hash % 1000).unwrap_or(0);
    let more = pause.num_milliseconds().saturating_mul(JITTER) / 100 * thousandths / 1000;
    pause + TimeDelta::milliseconds(more)
}

/// The type of the event that a job ends with this status; nothing where that is no end.
pub fn event_type(status: Status) -> Option<&'static str> {
    match status {
        Status::Pending | Status::Processing => None,
        Status::Done => Some("job.done"),
        Status::Failed => Some("job.failed"),
        Status::Canceled => Some("job.canceled"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAUSES: [TimeDelta; 3] = [
        TimeDelta::seconds(5),
        TimeDelta::minutes(5),
        TimeDelta::hours(2),
    ];

    fn date() -> Date {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn fresh(random: u8) -> Webhook {
        let uuid = JobId::new(date(), [random; 10]);
        Webhook::new(uuid, "https://example.com/hook".into(), date())
    }

    fn answered(status: u16) -> Tried {
        Tried::Answered { status, wish: None }
    }

    fn open(webhook: &Webhook) -> Date {
        match webhook.standing() {
            Standing::Open(date) => date,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_2xx_delivers() {
        for status in [200, 202, 204, 299] {
            let after = fresh(1).after(answered(status), &PAUSES, date());
            assert_eq!(after.standing(), Standing::Delivered(date()), "{status}");
            assert_eq!((after.tries, after.last_status), (1, Some(status)));
        }
        for status in [100, 301, 302, 400, 404, 429, 500, 503] {
            let after = fresh(1).after(answered(status), &PAUSES, date());
            assert!(open(&after) > date(), "{status}");
        }
    }

    #[test]
    fn a_receiver_that_is_gone_is_not_asked_again() {
        let after = fresh(1).after(answered(410), &PAUSES, date());
        assert_eq!(after.standing(), Standing::GivenUp);
    }

    #[test]
    fn after_the_last_pause_it_is_given_up() {
        let mut webhook = fresh(1);
        for pause in PAUSES {
            let reason = "refused".to_owned();
            webhook = webhook.after(Tried::Failed { reason }, &PAUSES, date());
            let until_next = open(&webhook).since(date());
            assert!(
                until_next >= pause && until_next <= pause * 11 / 10,
                "{until_next}"
            );
        }
        webhook = webhook.after(answered(500), &PAUSES, date());
        assert_eq!((webhook.standing(), webhook.tries), (Standing::GivenUp, 4));
        assert_eq!(webhook.last_error, None, "the last try got an answer");
        let again = webhook.anew(date().plus(TimeDelta::days(1)));
        assert_eq!(open(&again), date().plus(TimeDelta::days(1)));
        assert_eq!((again.tries, again.event_id), (0, fresh(1).event_id));
    }

    #[test]
    fn a_wish_for_a_longer_pause_is_granted_within_reason() {
        let after = |wish| {
            let tried = Tried::Answered {
                status: 503,
                wish: Some(wish),
            };
            open(&fresh(1).after(tried, &PAUSES, date())).since(date())
        };
        assert_eq!(after(TimeDelta::minutes(1)), TimeDelta::minutes(1));
        assert!(after(TimeDelta::seconds(1)) >= TimeDelta::seconds(5));
        assert_eq!(after(TimeDelta::days(400)), TimeDelta::hours(24));
    }

    #[test]
    fn one_pause_differs_from_event_to_event() {
        let pauses = (0..20).map(|random| with_jitter(PAUSES[2], &fresh(random).event_id, 1));
        let mut pauses: Vec<_> = pauses.collect();
        pauses.sort();
        pauses.dedup();
        assert!(pauses.len() > 15, "{pauses:?}");
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let failed = fresh(1).after(answered(500), &PAUSES, date());
        let delivered = failed.clone().after(answered(204), &PAUSES, date());
        for webhook in [fresh(1), failed, delivered] {
            let text = serde_json::to_string(&webhook).unwrap();
            assert!(!text.contains("null"), "{text}");
            assert_eq!(serde_json::from_str::<Webhook>(&text).unwrap(), webhook);
        }
    }

    proptest! {
        #[test]
        fn it_ends_whatever_the_receiver_does(answers in proptest::collection::vec(0u16..600, 4), wish in 0i64..1_000_000) {
            let mut webhook = fresh(7);
            let mut now = date();
            for status in answers {
                if webhook.standing() != Standing::Open(now) {
                    break;
                }
                let tried = Tried::Answered { status, wish: Some(TimeDelta::seconds(wish)) };
                webhook = webhook.after(tried, &PAUSES, now);
                if let Standing::Open(next) = webhook.standing() {
                    prop_assert!(next > now);
                    now = next;
                }
            }
            prop_assert!(webhook.tries <= 4);
            prop_assert!(!matches!(webhook.standing(), Standing::Open(_)));
        }
    }
}
