//! The loop that delivers: it hears of new webhooks and of jobs' ends from the folder, and sends what is due.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use boot::Shutdown;
use job_core::date::Date;
use job_core::ids::JobId;
use job_core::webhook::Webhook;
use shared_folder::FolderError;
use shared_folder::watch::{Change, Watch, WatchMode};
use shared_folder::webhook::{Deliveries, ListingStamp};
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use super::agenda::Agenda;
use super::courier::{Courier, Ended};
use super::sender::Sender;
use crate::context::State;

/// Between two looks where nothing tells of a change; also the least time between two listings of the records.
const LOOK: Duration = Duration::from_millis(500);

/// What the loop remembers from look to look.
#[derive(Default)]
struct Memory {
    agenda: Agenda,
    /// The records as they were listed last, and when that was.
    listed: Option<ListingStamp>,
    listed_at: Option<Instant>,
    /// The jobs whose record could not be read, which is said once.
    unreadable: HashSet<JobId>,
    /// What came of tries and could not be noted yet: the disk may be full.
    unnoted: HashMap<JobId, Webhook>,
}

/// Delivers until the end; where another process of this folder does, once that one has ended.
pub(crate) async fn deliver_again_and_again(state: Arc<State>, end: Shutdown) {
    let webhooks = &state.config.webhooks;
    if !webhooks.are_on() {
        return warn_of_waiting(&state).await;
    }
    let sender = match Sender::new(webhooks.receivers.clone(), webhooks.secrets.clone()) {
        Ok(sender) => sender,
        Err(error) => {
            tracing::error!(error = %error, "webhooks are not sent: no HTTP client can be made");
            return;
        }
    };
    let Some(deliveries) = once_it_is_ours(&state, &end).await else {
        return;
    };
    tracing::info!("this process delivers the webhooks of its folder");
    let courier = Arc::new(Courier {
        deliveries,
        sender,
        pauses: webhooks.pauses.clone(),
        public_url: webhooks.public_url.clone(),
        clock: state.clock,
    });
    let look = Arc::new(Notify::new());
    let _watch = watch(&state, look.clone()).await;
    deliver(&courier, &look, &end).await;
}

/// Says so where events wait that this process has no secret to sign with.
async fn warn_of_waiting(state: &Arc<State>) {
    let folder = state.folder.clone();
    let waits = spawn_blocking(move || folder.has_open_webhooks()).await;
    if let Ok(Ok(true)) = waits {
        tracing::warn!(
            "webhooks wait in the folder, and this process delivers none: webhook.secrets are not set"
        );
    }
}

/// Waits for the duty to deliver; nothing where the end comes first.
async fn once_it_is_ours(state: &Arc<State>, end: &Shutdown) -> Option<Deliveries> {
    loop {
        let folder = state.folder.clone();
        match spawn_blocking(move || folder.take_deliveries()).await {
            Ok(Ok(Some(deliveries))) => return Some(deliveries),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "webhooks wait: whether another process delivers them cannot be told")
            }
            Err(error) => tracing::error!(error = %error, "taking the deliveries panicked"),
        }
        tokio::select! {
            () = sleep(state.config.beat.sweep) => {}
            () = end.cancelled() => return None,
        }
    }
}

/// Hints that jobs may have ended. Without them it is noticed at the next look.
async fn watch(state: &Arc<State>, look: Arc<Notify>) -> Option<Watch> {
    let folder = state.folder.clone();
    let hint = move |change| {
        if change == Change::Queue {
            look.notify_one();
        }
    };
    let watch = spawn_blocking(move || folder.watch(WatchMode::Events, hint)).await;
    watch.ok()?.ok()
}

async fn deliver(courier: &Arc<Courier>, look: &Notify, end: &Shutdown) {
    let mut memory = Memory::default();
    let mut tries: JoinSet<Ended> = JoinSet::new();
    loop {
        let looking = courier.clone();
        match spawn_blocking(move || looking.look(memory)).await {
            Ok(seen) => memory = seen,
            Err(error) => {
                tracing::error!(error = %error, "looking for webhooks panicked; what was under way is sent again");
                (memory, tries) = after_a_panic().await;
            }
        }
        let now = courier.clock.now();
        while let Some((uuid, webhook)) = memory.agenda.begin_next(now) {
            tries.spawn(courier.clone().attempt(uuid, webhook));
        }
        let next = memory.agenda.next_date(now).map(|date| date.since(now));
        let rest = next.and_then(|next| next.to_std().ok());
        tokio::select! {
            Some(tried) = tries.join_next() => match tried {
                Ok(ended) => memory.take_in(ended),
                Err(error) => {
                    tracing::error!(error = %error, "sending a webhook panicked; what was under way is sent again");
                    (memory, tries) = after_a_panic().await;
                }
            },
            () = look.notified() => {}
            () = sleep(rest.map_or(LOOK, |rest| rest.min(LOOK))) => {}
            // What is under way is given up: it is sent again, as the same event.
            () = end.cancelled() => return,
        }
    }
}

impl Memory {
    fn take_in(&mut self, ended: Ended) {
        let Ended {
            uuid,
            webhook,
            is_noted,
        } = ended;
        self.unnoted.remove(&uuid);
        if !is_noted {
            self.unnoted
                .extend(webhook.clone().map(|webhook| (uuid, webhook)));
        }
        self.agenda.finished(uuid, webhook);
    }
}

/// Nothing is known any more, and everything is looked at anew, a moment later: it may happen again.
async fn after_a_panic() -> (Memory, JoinSet<Ended>) {
    sleep(LOOK).await;
    Default::default()
}

impl Courier {
    /// Looks at the folder once: for records that are new, gone or to be sent anew, and for jobs that have ended.
    fn look(&self, mut memory: Memory) -> Memory {
        let now = self.clock.now();
        if memory.listed_at.is_none_or(|at| at.elapsed() >= LOOK) {
            memory.listed_at = Some(Instant::now());
            self.note_again(&mut memory);
            if let Err(error) = self.look_at_records(&mut memory, now) {
                tracing::warn!(error = %error, "the webhooks cannot be listed; the next look tries again");
            }
        }
        if let Err(error) = self.look_at_jobs(&mut memory.agenda, now) {
            tracing::warn!(error = %error, "whether jobs with a webhook have ended cannot be told; the next look tries again");
        }
        memory
    }

    /// Notes what could not be noted before, up to the first that still cannot; what is being sent is noted then.
    fn note_again(&self, memory: &mut Memory) {
        let Memory {
            unnoted, agenda, ..
        } = memory;
        let idle = unnoted.keys().filter(|uuid| !agenda.is_running(**uuid));
        for uuid in idle.copied().collect::<Vec<_>>() {
            if self.deliveries.note(uuid, &unnoted[&uuid]).is_err() {
                return;
            }
            unnoted.remove(&uuid);
        }
    }

    fn look_at_records(&self, memory: &mut Memory, now: Date) -> Result<(), FolderError> {
        let listed = self.deliveries.list(memory.listed.as_ref(), now)?;
        let Some(listing) = listed else {
            return Ok(());
        };
        let agenda = &mut memory.agenda;
        agenda.keep_only(&listing.records);
        memory.listed = listing.stamp;
        let anew: HashSet<_> = listing.replays.into_iter().collect();
        let new = listing.records.iter().filter(|uuid| !agenda.knows(**uuid));
        let new: Vec<_> = new.chain(&anew).copied().collect();
        for uuid in new {
            if agenda.is_running(uuid) {
                // Its end changes the folder, and then it is looked at again.
                continue;
            }
            let read = match anew.contains(&uuid) {
                true => self.deliveries.start_anew(uuid, now),
                false => self.deliveries.read(uuid, now),
            };
            match read {
                Ok(webhook) => {
                    memory.unreadable.remove(&uuid);
                    memory.unnoted.remove(&uuid);
                    if let Some(webhook) = webhook {
                        agenda.learn(uuid, webhook);
                    }
                }
                Err(error) => {
                    // To be listed again, although nobody changes anything.
                    memory.listed = None;
                    if memory.unreadable.insert(uuid) {
                        tracing::warn!(job.id = %uuid, error = %error, "a job's webhook cannot be read; it waits until it can");
                    }
                }
            }
        }
        Ok(())
    }

    fn look_at_jobs(&self, agenda: &mut Agenda, now: Date) -> Result<(), FolderError> {
        if agenda.waiting().next().is_none() {
            return Ok(());
        }
        for uuid in self.deliveries.ended_among(agenda.waiting())? {
            match self.deliveries.ended(uuid, now) {
                Ok(Some(_)) => agenda.ended(uuid),
                // Somebody's word that it has ended could not be settled yet.
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(job.id = %uuid, error = %error, "a job whose end is to be told cannot be looked at")
                }
            }
        }
        Ok(())
    }
}
