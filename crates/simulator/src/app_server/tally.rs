//! What a simulated APP server has done so far, in words.

use std::fmt;
use std::time::Duration;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its job is done.
    Done,
    /// Its job has failed.
    Failed,
    /// Its job was canceled.
    Canceled,
    /// Its job waits for somebody else: this server is shutting down.
    GivenBack,
    /// Its job was somebody else's by then, and nothing was published.
    TakenAway,
    /// How it ended could not be published; its job will be rescued.
    Unpublished,
}

impl Outcome {
    /// A word for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::Canceled => "canceled",
            Outcome::GivenBack => "given_back",
            Outcome::TakenAway => "taken_away",
            Outcome::Unpublished => "unpublished",
        }
    }
}

/// How many runs there are and how those that are over ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    begun: u64,
    done: u64,
    failed: u64,
    canceled: u64,
    given_back: u64,
    taken_away: u64,
    unpublished: u64,
}

impl Tally {
    /// A run begins.
    pub fn begin(&mut self) {
        self.begun += 1;
    }

    /// A run is over.
    pub fn end(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Done => &mut self.done,
            Outcome::Failed => &mut self.failed,
            Outcome::Canceled => &mut self.canceled,
            Outcome::GivenBack => &mut self.given_back,
            Outcome::TakenAway => &mut self.taken_away,
            Outcome::Unpublished => &mut self.unpublished,
        };
        *count += 1;
    }

    /// How many jobs have ended here for good.
    pub fn jobs_ended(&self) -> u64 {
        self.done + self.failed + self.canceled
    }

    /// How many runs are under way.
    pub fn running(&self) -> u64 {
        let without_an_end = self.given_back + self.taken_away + self.unpublished;
        self.begun - self.jobs_ended() - without_an_end
    }

    /// The last line: what was done in all.
    pub fn summary(&self, took: Duration) -> String {
        let seconds = took.as_secs_f64();
        format!("bcrl-sim: {} runs in {seconds:.1} s: {self}", self.begun)
    }

    /// A line for in between.
    pub fn progress(&self) -> String {
        format!("bcrl-sim: {} running, {self}", self.running())
    }
}

/// How runs ended; what seldom happens is named only where it did.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} done, {} failed, {} canceled",
            self.done, self.failed, self.canceled
        )?;
        for (count, words) in [
            (self.given_back, "given back"),
            (self.taken_away, "taken away"),
            (self.unpublished, "not published"),
        ] {
            if count > 0 {
                write!(f, ", {count} {words}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_is_counted_once() {
        let mut tally = Tally::default();
        (0..9).for_each(|_| tally.begin());
        assert_eq!(
            tally.progress(),
            "bcrl-sim: 9 running, 0 done, 0 failed, 0 canceled"
        );
        for outcome in [
            Outcome::Done,
            Outcome::Done,
            Outcome::Failed,
            Outcome::Canceled,
            Outcome::GivenBack,
            Outcome::TakenAway,
            Outcome::Unpublished,
        ] {
            tally.end(outcome);
        }
        assert_eq!((tally.running(), tally.jobs_ended()), (2, 4));
        assert_eq!(
            tally.summary(Duration::from_millis(1300)),
            "bcrl-sim: 9 runs in 1.3 s: 2 done, 1 failed, 1 canceled, 1 given back, 1 taken away, 1 not published"
        );
    }
}
