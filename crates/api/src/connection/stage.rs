//! Where a connection stands: whether a request is being answered on it.

use std::cell::Cell;
use std::rc::Rc;

use tokio::time::Instant;

/// Shared by a connection and by whoever answers its requests, on one thread.
#[derive(Debug)]
pub struct Stage {
    under_way: Cell<u32>,
    requests: Cell<u64>,
    rests_since: Cell<Instant>,
}

/// A request that is being answered, until its answer was made to its end.
#[derive(Debug)]
pub struct UnderWay(Rc<Stage>);

impl Stage {
    /// Of a connection on which nothing was asked yet.
    pub fn new(now: Instant) -> Self {
        Stage {
            under_way: Cell::new(0),
            requests: Cell::new(0),
            rests_since: Cell::new(now),
        }
    }

    /// A request is there with its head.
    pub fn begin(self: Rc<Self>) -> UnderWay {
        self.under_way.update(|count| count + 1);
        self.requests.update(|count| count + 1);
        UnderWay(self)
    }

    /// Whether a request is being answered.
    pub fn is_under_way(&self) -> bool {
        self.under_way.get() > 0
    }

    /// Since when nothing is answered, where nothing is.
    pub fn rests_since(&self) -> Instant {
        self.rests_since.get()
    }

    /// How many requests there have been.
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// How many answers were made to their end.
    pub fn answers(&self) -> u64 {
        self.requests.get() - u64::from(self.under_way.get())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.update(|count| count - 1);
        self.0.rests_since.set(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_under_way_until_its_answer_is_made() {
        let opened = Instant::now();
        let stage = Rc::new(Stage::new(opened));
        assert_eq!(stage.rests_since(), opened);
        let first = stage.clone().begin();
        assert_eq!((stage.requests(), stage.answers()), (1, 0));
        assert!(stage.is_under_way());
        drop(first);
        assert_eq!((stage.requests(), stage.answers()), (1, 1));
        assert!(stage.rests_since() > opened);
        assert!(!stage.is_under_way());
    }
}
