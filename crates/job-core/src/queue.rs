//! The index as a list of entries: its top is the oldest job.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::date::Date;
use crate::entry::Entry;
use crate::ids::JobId;
use crate::status::{State, Status};

/// The jobs in their order. Every id stands in it once.
///
/// A clone costs nothing until one of the two is changed, so that a reader keeps the list that it has while a writer
/// makes the next.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    entries: Arc<Vec<Arc<Entry>>>,
    places: Arc<HashMap<JobId, usize>>,
}

impl Queue {
    /// The queue of these entries, and those whose id stood in it already (the first one of an id stays).
    pub fn new(entries: impl IntoIterator<Item = Arc<Entry>>) -> (Self, Vec<Arc<Entry>>) {
        let (mut queue, mut doubles) = (Queue::default(), Vec::new());
        for entry in entries {
            if queue.places.contains_key(&entry.uuid) {
                doubles.push(entry);
            } else {
                queue.push(entry);
            }
        }
        (queue, doubles)
    }

    /// How many jobs it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The jobs, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Entry>> {
        self.entries.iter()
    }

    /// The job with this id.
    pub fn get(&self, uuid: JobId) -> Option<&Arc<Entry>> {
        self.places.get(&uuid).map(|place| &self.entries[*place])
    }

    /// How many pending jobs stand before this one; nothing where it is not pending.
    pub fn jobs_before(&self, uuid: JobId) -> Option<usize> {
        let place = *self.places.get(&uuid)?;
        (self.entries[place].status() == Status::Pending).then(|| {
            self.entries[..place]
                .iter()
                .filter(|entry| entry.status() == Status::Pending)
                .count()
        })
    }

    /// Appends a job at the end, or replaces the entry that has its id.
    pub fn push(&mut self, entry: Arc<Entry>) {
        match self.places.get(&entry.uuid) {
            Some(place) => Arc::make_mut(&mut self.entries)[*place] = entry,
            None => {
                Arc::make_mut(&mut self.places).insert(entry.uuid, self.entries.len());
                Arc::make_mut(&mut self.entries).push(entry);
            }
        }
    }

    /// Puts a job that was lost from the index back to its place: after the last entry with a smaller
    /// (`request_date`, id).
    pub fn insert_by_date(&mut self, entry: Arc<Entry>) {
        if self.places.contains_key(&entry.uuid) {
            return self.push(entry);
        }
        let key = |entry: &Entry| (entry.request_date, entry.uuid);
        let place = self
            .entries
            .iter()
            .rposition(|other| key(other) < key(&entry))
            .map_or(0, |last| last + 1);
        Arc::make_mut(&mut self.entries).insert(place, entry);
        self.number_from(place);
    }

    /// Gives a job another state; nothing happens where there is no such job or its final status would change.
    ///
    /// Returns whether the queue was changed.
    pub fn set_state(&mut self, uuid: JobId, state: State) -> bool {
        self.change(uuid, |entry| {
            let allowed = entry.status().may_become(state.status()) && *entry.state() != state;
            allowed.then(|| entry.with_state(state))
        })
    }

    /// Notes the first fetch of a job's result; later ones change nothing. Returns whether the queue was changed.
    pub fn set_retrieved(&mut self, uuid: JobId, date: Date) -> bool {
        self.change(uuid, |entry| {
            entry
                .retrieved_date
                .is_none()
                .then(|| entry.with_retrieved_date(date))
        })
    }

    /// Removes these jobs. Returns whether the queue was changed.
    pub fn remove(&mut self, uuids: &HashSet<JobId>) -> bool {
        let before = self.entries.len();
        Arc::make_mut(&mut self.entries).retain(|entry| !uuids.contains(&entry.uuid));
        Arc::make_mut(&mut self.places).clear();
        self.number_from(0);
        self.entries.len() != before
    }

    /// The same queue, every entry remembering how it is written.
    pub fn with_lines(mut self) -> Self {
        if self
            .entries
            .iter()
            .any(|entry| entry.as_written().is_none())
        {
            for entry in Arc::make_mut(&mut self.entries) {
                if entry.as_written().is_none() {
                    *entry = Arc::new(entry.with_line());
                }
            }
        }
        self
    }

    fn change(&mut self, uuid: JobId, change: impl FnOnce(&Entry) -> Option<Entry>) -> bool {
        let Some(place) = self.places.get(&uuid) else {
            return false;
        };
        let Some(changed) = change(&self.entries[*place]) else {
            return false;
        };
        Arc::make_mut(&mut self.entries)[*place] = Arc::new(changed);
        true
    }

    /// Notes anew where the entries stand, from this place on.
    fn number_from(&mut self, first: usize) {
        let places = Arc::make_mut(&mut self.places);
        let entries = self.entries.iter().enumerate().skip(first);
        places.extend(entries.map(|(place, entry)| (entry.uuid, place)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ApiName;
    use proptest::prelude::*;

    fn date(second: i64) -> Date {
        "2023-10-01T00:00:00+09:00"
            .parse::<Date>()
            .unwrap()
            .plus(chrono::TimeDelta::seconds(second))
    }

    fn entry(second: u8) -> Arc<Entry> {
        let api: ApiName = "soc".parse().unwrap();
        Arc::new(Entry::pending(
            JobId::new(date(second.into()), [second; 10]),
            api,
            date(second.into()),
        ))
    }

    fn ids(queue: &Queue) -> Vec<JobId> {
        queue.iter().map(|entry| entry.uuid).collect()
    }

    #[test]
    fn a_final_status_does_not_change() {
        let mut queue = Queue::new([entry(1)]).0;
        let id = entry(1).uuid;
        assert!(queue.set_state(
            id,
            State::Canceled {
                finished: Some(date(2))
            }
        ));
        assert!(!queue.set_state(
            id,
            State::Done {
                finished: Some(date(3))
            }
        ));
        assert!(!queue.set_state(id, State::Pending));
        assert_eq!(queue.get(id).unwrap().status(), Status::Canceled);
    }

    #[test]
    fn only_pending_jobs_count_as_before() {
        let mut queue = Queue::new((1..=4).map(entry)).0;
        queue.set_state(entry(2).uuid, State::Processing { token: None });
        assert_eq!(queue.jobs_before(entry(4).uuid), Some(2));
        assert_eq!(queue.jobs_before(entry(2).uuid), None);
    }

    #[test]
    fn doubles_are_handed_back() {
        let (queue, doubles) = Queue::new([entry(1), entry(2), entry(1)]);
        assert_eq!((queue.len(), doubles.len()), (2, 1));
    }

    proptest! {
        #[test]
        fn a_lost_job_goes_back_to_its_place(seconds in proptest::collection::btree_set(0u8..200, 1..40), pick in any::<prop::sample::Index>()) {
            let whole = Queue::new(seconds.iter().copied().map(entry)).0;
            let lost = pick.get(&ids(&whole)).to_owned();
            let mut queue = whole.clone();
            prop_assert!(queue.remove(&HashSet::from([lost])));
            queue.insert_by_date(whole.get(lost).unwrap().clone());
            prop_assert_eq!(ids(&queue), ids(&whole));
            for id in ids(&whole) {
                prop_assert_eq!(queue.get(id).unwrap().uuid, id);
            }
        }
    }
}
