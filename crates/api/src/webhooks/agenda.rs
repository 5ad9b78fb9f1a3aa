//! What waits for which moment: events whose job has not ended, those that are due at a date, and those that are being
//! sent. It decides and does nothing itself.

use std::collections::{BTreeSet, HashMap, HashSet};

use job_core::date::Date;
use job_core::ids::JobId;
use job_core::webhook::{Standing, Webhook};
use reqwest::Url;

/// So many events are sent at once.
const MOST_AT_ONCE: usize = 32;
/// So many of them to one host, which may be slow.
const MOST_TO_A_HOST: usize = 4;

/// The events of a folder as the process that delivers knows them.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    /// All jobs whose record was read; most of their events are over.
    known: HashSet<JobId>,
    /// The events that are not over.
    open: HashMap<JobId, Open>,
    /// Those of them whose job has not ended.
    waiting: HashSet<JobId>,
    /// Those whose job has, by when they are due.
    due: BTreeSet<(Date, JobId)>,
    /// Those that are being sent.
    running: HashSet<JobId>,
    /// How many of these go to a host.
    busy: HashMap<String, usize>,
}

#[derive(Debug)]
struct Open {
    webhook: Webhook,
    /// The host with its port, by which the receivers are told apart.
    host: String,
}

impl Agenda {
    /// Whether a job's record was read already.
    pub(crate) fn knows(&self, uuid: JobId) -> bool {
        self.known.contains(&uuid)
    }

    /// Whether a job's event is being sent.
    pub(crate) fn is_running(&self, uuid: JobId) -> bool {
        self.running.contains(&uuid)
    }

    /// Takes a record in that was just read; what was known of its job before does not count any more.
    pub(crate) fn learn(&mut self, uuid: JobId, webhook: Webhook) {
        self.forget(uuid);
        self.known.insert(uuid);
        if let Standing::Open(_) = webhook.standing() {
            let host = host_of(&webhook.url);
            self.waiting.insert(uuid);
            self.open.insert(uuid, Open { webhook, host });
        }
    }

    /// Forgets all jobs but these: the records of the others are gone.
    pub(crate) fn keep_only(&mut self, records: &HashSet<JobId>) {
        let gone = self.known.difference(records).copied();
        for uuid in gone.collect::<Vec<_>>() {
            if !self.is_running(uuid) {
                self.forget(uuid);
            }
        }
    }

    /// The jobs whose end is waited for.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = JobId> {
        self.waiting.iter().copied()
    }

    /// A job has ended: its event is due when its record says.
    pub(crate) fn ended(&mut self, uuid: JobId) {
        if self.waiting.remove(&uuid)
            && let Some(date) = self.date_of(uuid)
        {
            self.due.insert((date, uuid));
        }
    }

    /// The next event to be sent at `now`, which is then being sent; nothing where none is due, or no more may be sent
    /// at once. An event whose host has enough to do lets others pass.
    pub(crate) fn begin_next(&mut self, now: Date) -> Option<(JobId, Webhook)> {
        if self.running.len() >= MOST_AT_ONCE {
            return None;
        }
        let due = self.due.iter().take_while(|(date, _)| *date <= now);
        let may_begin = |uuid: &JobId| {
            let host = self.open.get(uuid).map(|open| &open.host);
            host.is_some_and(|host| {
                self.busy
                    .get(host)
                    .is_none_or(|busy| *busy < MOST_TO_A_HOST)
            })
        };
        let next = due.copied().find(|(_, uuid)| may_begin(uuid))?;
        self.due.remove(&next);
        let open = self.open.get(&next.1)?;
        self.running.insert(next.1);
        *self.busy.entry(open.host.clone()).or_default() += 1;
        Some((next.1, open.webhook.clone()))
    }

    /// A try has ended, and this is the record now; nothing where there is none any more.
    pub(crate) fn finished(&mut self, uuid: JobId, webhook: Option<Webhook>) {
        self.running.remove(&uuid);
        let host = self.open.get(&uuid).map(|open| open.host.clone());
        if let Some(host) = host
            && let Some(busy) = self.busy.get_mut(&host)
        {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(&host);
            }
        }
        match webhook {
            Some(webhook) => {
                self.learn(uuid, webhook);
                self.ended(uuid);
            }
            None => self.forget(uuid),
        }
    }

    /// The first date after `now` at which something is due.
    pub(crate) fn next_date(&self, now: Date) -> Option<Date> {
        let mut dates = self.due.iter().map(|(date, _)| *date);
        dates.find(|date| *date > now)
    }

    fn date_of(&self, uuid: JobId) -> Option<Date> {
        match self.open.get(&uuid)?.webhook.standing() {
            Standing::Open(date) => Some(date),
            Standing::Delivered(_) | Standing::GivenUp => None,
        }
    }

    fn forget(&mut self, uuid: JobId) {
        if let Some(date) = self.date_of(uuid) {
            self.due.remove(&(date, uuid));
        }
        self.open.remove(&uuid);
        self.waiting.remove(&uuid);
        self.known.remove(&uuid);
    }
}

/// A URL's host and port; what is no URL is a host of its own, whose events fail one after the other.
fn host_of(url: &str) -> String {
    let of = |url: Url| {
        let port = url.port_or_known_default().unwrap_or_default();
        Some(format!("{}:{port}", url.host_str()?))
    };
    Url::parse(url).ok().and_then(of).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use job_core::webhook::Tried;

    fn now() -> Date {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn job(number: u8) -> JobId {
        JobId::new(now(), [number; 10])
    }

    fn webhook(number: u8, host: &str) -> Webhook {
        Webhook::new(job(number), format!("https://{host}/hook"), now())
    }

    /// An agenda with an event of an ended job for each of these hosts.
    fn due(hosts: &[&str]) -> Agenda {
        let mut agenda = Agenda::default();
        for (number, host) in (0..).zip(hosts) {
            agenda.learn(job(number), webhook(number, host));
            agenda.ended(job(number));
        }
        agenda
    }

    fn begun(agenda: &mut Agenda) -> Vec<JobId> {
        std::iter::from_fn(|| agenda.begin_next(now()))
            .map(|(uuid, _)| uuid)
            .collect()
    }

    #[test]
    fn nothing_is_sent_before_its_job_has_ended() {
        let mut agenda = Agenda::default();
        agenda.learn(job(1), webhook(1, "a"));
        assert_eq!(agenda.waiting().collect::<Vec<_>>(), [job(1)]);
        assert_eq!(begun(&mut agenda), []);
        agenda.ended(job(1));
        assert_eq!(agenda.waiting().count(), 0);
        assert_eq!(begun(&mut agenda), [job(1)]);
        assert_eq!(begun(&mut agenda), [], "it is being sent");
    }

    #[test]
    fn a_slow_host_lets_others_pass() {
        let mut agenda = due(&["a", "a", "a", "a", "a", "a", "b"]);
        let first = begun(&mut agenda);
        assert_eq!(first.len(), MOST_TO_A_HOST + 1, "{first:?}");
        assert!(first.contains(&job(6)));
        assert_eq!(
            agenda.next_date(now()),
            None,
            "what is held up wakes nobody"
        );
        let delivered = webhook(0, "a").after(
            Tried::Answered {
                status: 200,
                wish: None,
            },
            &[],
            now(),
        );
        agenda.finished(first[0], Some(delivered));
        assert_eq!(begun(&mut agenda).len(), 1);
    }

    #[test]
    fn no_more_than_some_are_sent_at_once() {
        let hosts: Vec<_> = (0..100).map(|n| format!("h{n}")).collect();
        let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
        assert_eq!(begun(&mut due(&hosts)).len(), MOST_AT_ONCE);
    }

    #[test]
    fn what_failed_is_due_again_after_its_pause_and_what_is_over_never() {
        let mut agenda = due(&["a", "b"]);
        let (failed, given_up) = (job(0), job(1));
        begun(&mut agenda);
        let reason = || Tried::Failed { reason: "x".into() };
        let pause = [TimeDelta::seconds(5)];
        agenda.finished(failed, Some(webhook(0, "a").after(reason(), &pause, now())));
        agenda.finished(given_up, Some(webhook(1, "b").after(reason(), &[], now())));
        assert_eq!(begun(&mut agenda), []);
        let next = agenda.next_date(now()).unwrap();
        assert!(next >= now().plus(pause[0]));
        assert_eq!(agenda.begin_next(next).unwrap().0, failed);
        assert_eq!(agenda.begin_next(next), None);
        assert!(agenda.knows(given_up));
    }

    #[test]
    fn what_retention_removed_is_forgotten() {
        let mut agenda = due(&["a", "b", "c"]);
        agenda.keep_only(&HashSet::from([job(1)]));
        assert_eq!(begun(&mut agenda), [job(1)]);
        agenda.keep_only(&HashSet::new());
        assert!(agenda.is_running(job(1)), "it ends first");
        agenda.finished(job(1), None);
        assert!(!agenda.knows(job(1)) && agenda.busy.is_empty());
    }
}
