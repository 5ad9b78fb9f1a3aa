//! What a crash left behind, and how it is settled: the recovery table of the folder protocol.
//!
//! The facts (request, receipt, response, cancel mark) win over the index. Asked again after its answer was applied,
//! [`settle`] answers [`Settlement::Settled`]; a final status that has its fact never becomes another.

use crate::entry::Entry;
use crate::status::{Failure, FailureReason, State, Status};

/// What the folder holds of one job, besides its entry in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether its request is there.
    pub request: bool,
    /// The final state that its receipt states.
    pub receipt: Option<State>,
    /// Its response.
    pub response: ResponseFact,
    /// Whether a client asked for its end.
    pub cancel: bool,
    /// Whether it ended longer ago than jobs are kept.
    pub expired: bool,
}

/// What is there of a job's response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseFact {
    /// No file.
    Missing,
    /// A JSON document.
    Valid,
    /// A file that is no JSON document.
    Broken,
}

/// Whether the one who processes a job still does, as far as the observer can tell. Means nothing for other statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// There is no reason to think that it is gone.
    Alive,
    /// Its lease, or the third party's time-out, is over.
    Dead,
}

/// What is to be done about one job. Before anything is committed or deleted because of a fact, that fact's folder is
/// made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Facts and index agree.
    Settled,
    /// The index is to say this; the facts for it are there.
    Enter(State),
    /// A receipt that says this is to be written, then the index is to say it.
    WriteReceipt(State),
    /// The response is to be put aside; then ask again.
    QuarantineResponse,
    /// The run is lost: its lease decides whether the job waits again or has failed.
    Rescue,
    /// Retention began to remove the job and was cut off: remove the rest.
    FinishDeletion,
    /// Files that belong to no job any more: remove them.
    Forget,
}

/// Decides what is to be done about a job with these facts and this entry; the first rule that fits counts.
pub fn settle(facts: &Facts, entry: Option<&Entry>, owner: Owner) -> Settlement {
    let state = entry.map(Entry::state);
    if !facts.request && facts.expired {
        return Settlement::FinishDeletion;
    }
    if let Some(receipt) = &facts.receipt {
        // An entry that says no more than the word was written by hand; the receipt knows when.
        let agrees = |state: &State| {
            state.status() == receipt.status()
                && (state.finished().is_some() || receipt.finished().is_none())
        };
        return match state {
            Some(state) if agrees(state) => Settlement::Settled,
            _ => Settlement::Enter(receipt.clone()),
        };
    }
    match (facts.response, state) {
        // Whoever ended the job otherwise was first; a result that came late does not change it.
        (ResponseFact::Valid, Some(ended @ (State::Failed { .. } | State::Canceled { .. }))) => {
            return Settlement::WriteReceipt(ended.clone());
        }
        (ResponseFact::Valid, _) => {
            return Settlement::WriteReceipt(State::Done {
                finished: state.and_then(State::finished),
            });
        }
        // A third party may be in the middle of writing it.
        (ResponseFact::Broken, Some(State::Processing { .. })) if owner == Owner::Alive => {
            return Settlement::Settled;
        }
        (ResponseFact::Broken, _) => return Settlement::QuarantineResponse,
        (ResponseFact::Missing, _) => {}
    }
    let lost = |reason, message: &str| State::Failed {
        finished: None,
        failure: Some(Failure::new(reason, message)),
    };
    match (facts.request, state) {
        (true, Some(State::Done { .. })) => Settlement::WriteReceipt(lost(
            FailureReason::ResultMissing,
            "the index said done, but the result is not in the folder",
        )),
        (_, Some(ended)) if ended.status().is_final() => Settlement::WriteReceipt(ended.clone()),
        (true, None | Some(State::Pending)) if facts.cancel => {
            Settlement::WriteReceipt(State::Canceled { finished: None })
        }
        (true, Some(_)) if facts.cancel && owner == Owner::Dead => {
            Settlement::WriteReceipt(State::Canceled { finished: None })
        }
        (true, None) => Settlement::Enter(State::Pending),
        (true, Some(state)) if state.status() == Status::Processing && owner == Owner::Dead => {
            Settlement::Rescue
        }
        (true, Some(_)) => Settlement::Settled,
        (false, Some(_)) => Settlement::WriteReceipt(lost(
            FailureReason::RequestMissing,
            "its request file is no longer in the folder",
        )),
        (false, None) => Settlement::Forget,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Token;
    use proptest::prelude::*;

    fn entry(state: State) -> Entry {
        let uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap();
        Entry::pending(
            uuid,
            "soc".parse().unwrap(),
            "2023-10-01T00:00:00Z".parse().unwrap(),
        )
        .with_state(state)
    }

    fn facts(request: bool) -> Facts {
        Facts {
            request,
            receipt: None,
            response: ResponseFact::Missing,
            cancel: false,
            expired: false,
        }
    }

    const PROCESSING: State = State::Processing { token: None };
    const DONE: State = State::Done { finished: None };
    const CANCELED: State = State::Canceled { finished: None };
    const FAILED: State = State::Failed {
        finished: None,
        failure: None,
    };

    fn ask(facts: &Facts, state: Option<State>, owner: Owner) -> Settlement {
        settle(facts, state.map(entry).as_ref(), owner)
    }

    fn reason(settlement: Settlement) -> FailureReason {
        match settlement {
            Settlement::WriteReceipt(State::Failed {
                failure: Some(failure),
                ..
            }) => failure.reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_receipt_wins_over_whatever_the_index_says() {
        for request in [true, false] {
            let facts = Facts {
                receipt: Some(DONE),
                cancel: true,
                ..facts(request)
            };
            for state in [None, Some(State::Pending), Some(PROCESSING), Some(CANCELED)] {
                assert_eq!(ask(&facts, state, Owner::Dead), Settlement::Enter(DONE));
            }
            assert_eq!(ask(&facts, Some(DONE), Owner::Dead), Settlement::Settled);
        }
    }

    #[test]
    fn a_valid_response_is_done_unless_the_job_ended_otherwise() {
        let facts = Facts {
            response: ResponseFact::Valid,
            ..facts(true)
        };
        for state in [None, Some(State::Pending), Some(PROCESSING), Some(DONE)] {
            assert_eq!(
                ask(&facts, state, Owner::Alive),
                Settlement::WriteReceipt(DONE)
            );
        }
        assert_eq!(
            ask(&facts, Some(CANCELED), Owner::Alive),
            Settlement::WriteReceipt(CANCELED)
        );
        assert_eq!(
            ask(&facts, Some(FAILED), Owner::Alive),
            Settlement::WriteReceipt(FAILED)
        );
    }

    #[test]
    fn a_final_entry_without_its_fact_gets_one() {
        assert_eq!(
            ask(&facts(true), Some(FAILED), Owner::Alive),
            Settlement::WriteReceipt(FAILED)
        );
        assert_eq!(
            ask(&facts(true), Some(CANCELED), Owner::Alive),
            Settlement::WriteReceipt(CANCELED)
        );
        assert_eq!(
            reason(ask(&facts(true), Some(DONE), Owner::Alive)),
            FailureReason::ResultMissing
        );
        assert_eq!(
            ask(&facts(false), Some(DONE), Owner::Alive),
            Settlement::WriteReceipt(DONE)
        );
    }

    #[test]
    fn a_broken_response_is_put_aside_once_nobody_can_be_writing_it() {
        let facts = Facts {
            response: ResponseFact::Broken,
            ..facts(true)
        };
        assert_eq!(
            ask(&facts, None, Owner::Alive),
            Settlement::QuarantineResponse
        );
        assert_eq!(
            ask(&facts, Some(State::Pending), Owner::Alive),
            Settlement::QuarantineResponse
        );
        assert_eq!(
            ask(&facts, Some(PROCESSING), Owner::Alive),
            Settlement::Settled
        );
        assert_eq!(
            ask(&facts, Some(PROCESSING), Owner::Dead),
            Settlement::QuarantineResponse
        );
    }

    #[test]
    fn a_cancel_mark_ends_what_nobody_runs() {
        let facts = Facts {
            cancel: true,
            ..facts(true)
        };
        for (state, owner) in [
            (None, Owner::Alive),
            (Some(State::Pending), Owner::Alive),
            (Some(PROCESSING), Owner::Dead),
        ] {
            assert_eq!(
                ask(&facts, state, owner),
                Settlement::WriteReceipt(CANCELED)
            );
        }
        assert_eq!(
            ask(&facts, Some(PROCESSING), Owner::Alive),
            Settlement::Settled
        );
    }

    #[test]
    fn a_request_without_an_entry_waits_again_at_any_age() {
        let facts = Facts {
            expired: true,
            ..facts(true)
        };
        assert_eq!(
            ask(&facts, None, Owner::Alive),
            Settlement::Enter(State::Pending)
        );
    }

    #[test]
    fn a_dead_workers_job_is_rescued() {
        let ours = State::Processing {
            token: Some(Token::new([1; 16])),
        };
        assert_eq!(
            ask(&facts(true), Some(ours.clone()), Owner::Dead),
            Settlement::Rescue
        );
        assert_eq!(
            ask(&facts(true), Some(ours), Owner::Alive),
            Settlement::Settled
        );
    }

    #[test]
    fn without_a_request_there_is_nothing_to_run() {
        assert_eq!(
            reason(ask(&facts(false), Some(State::Pending), Owner::Alive)),
            FailureReason::RequestMissing
        );
        assert_eq!(
            reason(ask(&facts(false), Some(PROCESSING), Owner::Alive)),
            FailureReason::RequestMissing
        );
        assert_eq!(ask(&facts(false), None, Owner::Alive), Settlement::Forget);
    }

    #[test]
    fn a_deletion_that_was_cut_off_is_finished() {
        let facts = Facts {
            expired: true,
            receipt: Some(DONE),
            response: ResponseFact::Valid,
            ..facts(false)
        };
        assert_eq!(
            ask(&facts, Some(DONE), Owner::Alive),
            Settlement::FinishDeletion
        );
    }

    fn states() -> impl Strategy<Value = Option<State>> {
        prop::sample::select(vec![
            None,
            Some(State::Pending),
            Some(PROCESSING),
            Some(DONE),
            Some(FAILED),
            Some(CANCELED),
        ])
    }

    proptest! {
        #[test]
        fn settling_comes_to_rest_and_keeps_final_states(
            request: bool, expired: bool, cancel: bool,
            receipt in prop::sample::select(vec![None, Some(DONE), Some(FAILED), Some(CANCELED)]),
            response in prop::sample::select(vec![ResponseFact::Missing, ResponseFact::Valid, ResponseFact::Broken]),
            before in states(), dead: bool,
        ) {
            let owner = if dead { Owner::Dead } else { Owner::Alive };
            let mut facts = Facts { request, receipt: receipt.clone(), response, cancel, expired };
            let mut state = before;
            for step in 0.. {
                prop_assert!(step < 4, "{facts:?} {state:?}");
                match ask(&facts, state.clone(), owner) {
                    Settlement::Settled => break,
                    Settlement::Enter(next) => {
                        prop_assert!(next == State::Pending || facts.receipt.is_some());
                        state = Some(next);
                    }
                    Settlement::WriteReceipt(next) => {
                        prop_assert!(facts.receipt.is_none() && next.status().is_final());
                        prop_assert!(next.status() != Status::Done || facts.response == ResponseFact::Valid || !request);
                        facts.receipt = Some(next.clone());
                        state = Some(next);
                    }
                    Settlement::QuarantineResponse => facts.response = ResponseFact::Missing,
                    Settlement::Rescue => state = Some(State::Pending),
                    Settlement::FinishDeletion | Settlement::Forget => {
                        prop_assert!(!request);
                        break;
                    }
                }
            }
            if let Some(receipt) = receipt {
                prop_assert!(facts.receipt == Some(receipt), "a receipt is never replaced");
            }
        }
    }
}
