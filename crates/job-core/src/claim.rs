//! Which job a worker takes next.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::entry::Entry;
use crate::ids::ApiName;
use crate::queue::Queue;
use crate::status::Status;

/// What a worker offers to run: its APIs, each with the most runs at once over all workers, where there is a limit.
pub type Offer = BTreeMap<ApiName, Option<u32>>;

/// The pending jobs that a worker may claim, top to bottom: those whose API it offers and which has a free slot.
///
/// The caller takes the first one whose facts allow it (no receipt, no response, no cancel mark, a request).
pub fn claimable<'a>(queue: &'a Queue, offer: &'a Offer) -> impl Iterator<Item = &'a Arc<Entry>> {
    let mut running: HashMap<&ApiName, u32> = HashMap::new();
    if offer.values().any(Option::is_some) {
        for entry in queue
            .iter()
            .filter(|entry| entry.status() == Status::Processing)
        {
            *running.entry(&entry.api).or_default() += 1;
        }
    }
    queue
        .iter()
        .filter(|entry| entry.status() == Status::Pending)
        .filter(move |entry| match offer.get(&entry.api) {
            Some(Some(limit)) => running.get(&entry.api).copied().unwrap_or(0) < *limit,
            Some(None) => true,
            None => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::Date;
    use crate::ids::JobId;
    use crate::status::State;
    use proptest::prelude::*;

    fn queue(jobs: &[(&str, State)]) -> Queue {
        let now: Date = "2023-10-01T00:00:00Z".parse().unwrap();
        let entry = |(n, (api, state)): (usize, &(&str, State))| {
            let uuid = JobId::new(now, [u8::try_from(n).unwrap(); 10]);
            Arc::new(Entry::pending(uuid, api.parse().unwrap(), now).with_state(state.clone()))
        };
        Queue::new(jobs.iter().enumerate().map(entry)).0
    }

    fn offer(apis: &[(&str, Option<u32>)]) -> Offer {
        apis.iter()
            .map(|(name, limit)| (name.parse().unwrap(), *limit))
            .collect()
    }

    #[test]
    fn the_first_pending_job_of_an_offered_api_is_next() {
        let queue = queue(&[
            ("soc", State::Done { finished: None }),
            ("fit", State::Pending),
            ("soc", State::Processing { token: None }),
            ("soc", State::Pending),
        ]);
        let third = queue.iter().nth(3).unwrap().uuid;
        assert_eq!(
            claimable(&queue, &offer(&[("soc", None)]))
                .next()
                .unwrap()
                .uuid,
            third
        );
        assert!(claimable(&queue, &offer(&[("add", None)])).next().is_none());
    }

    #[test]
    fn a_full_api_is_passed_over_and_the_next_one_taken() {
        let queue = queue(&[
            ("soc", State::Processing { token: None }),
            ("soc", State::Pending),
            ("add", State::Pending),
        ]);
        let next = |limit| {
            claimable(&queue, &offer(&[("soc", Some(limit)), ("add", None)]))
                .next()
                .unwrap()
                .api
                .to_string()
        };
        assert_eq!((next(1), next(2)), ("add".into(), "soc".into()));
    }

    proptest! {
        #[test]
        fn claims_follow_the_order_of_entries_and_never_pass_a_limit(
            jobs in proptest::collection::vec((0usize..3, prop::bool::ANY), 0..60), limit in 0u32..4,
        ) {
            let names = ["soc", "add", "fit"];
            let jobs: Vec<_> = jobs.iter().map(|(api, running)| (names[*api], if *running { State::Processing { token: None } } else { State::Pending })).collect();
            let mut queue = queue(&jobs);
            let offer = offer(&[("soc", Some(limit)), ("add", None)]);
            let before = |queue: &Queue| queue.iter().filter(|e| e.api.as_str() == "soc" && e.status() == Status::Processing).count();
            let started = before(&queue);
            let mut last: HashMap<ApiName, usize> = HashMap::new();
            loop {
                let Some(entry) = claimable(&queue, &offer).next().cloned() else { break };
                prop_assert_ne!(entry.api.as_str(), "fit");
                let place = queue.iter().position(|e| e.uuid == entry.uuid).unwrap();
                prop_assert!(last.insert(entry.api.clone(), place).is_none_or(|earlier| earlier < place));
                queue.set_state(entry.uuid, State::Processing { token: None });
            }
            prop_assert!(before(&queue) <= started.max(limit as usize));
            prop_assert!(queue.iter().all(|e| e.api.as_str() != "add" || e.status() == Status::Processing));
        }
    }
}
