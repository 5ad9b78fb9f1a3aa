//! What the supervisor's report means for the job.

use claimant::Stop;
use job_core::catalog::Limits;
use job_core::status::{Failure, FailureReason};

use crate::exec::{Ending, Report};

/// What is to be published about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What it printed is the result.
    Done,
    /// The job has failed.
    Failed(Failure),
    /// The script failed, and its API allows another run.
    TryAgain(Failure),
    /// A client asked for the end, and got it.
    Canceled,
    /// The worker is shutting down, or cannot begin any run: the job waits for another one, and no loss is counted.
    GiveBack,
    /// The run was lost without a word.
    Lost,
    /// The job is no longer this run's: nothing is published.
    LetGo,
}

impl Outcome {
    /// A word for the log.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Failed(failure) | Outcome::TryAgain(failure) => failure.reason.as_str(),
            Outcome::Canceled => "canceled",
            Outcome::GiveBack => "given_back",
            Outcome::Lost => "lost",
            Outcome::LetGo => "let_go",
        }
    }
}

/// What a failure of the script's own means for its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnFailure {
    /// The script is run again.
    TryAgain,
    /// It was the last run.
    Final,
}

/// Decides what is published. A job that finished before it could be ended stays finished.
pub fn outcome(
    report: Option<&Report>,
    asked: Option<Stop>,
    own_failure: OwnFailure,
    limits: &Limits,
) -> Outcome {
    match (report, asked) {
        (_, Some(Stop::Lost)) => Outcome::LetGo,
        (Some(report), _) if report.ending == Ending::Printed => Outcome::Done,
        (_, Some(Stop::Cancel)) => Outcome::Canceled,
        (_, Some(Stop::Shutdown)) => Outcome::GiveBack,
        (Some(report), None) if report.ending != Ending::Terminated => {
            let failure = failure(report, limits);
            match own_failure {
                OwnFailure::TryAgain if failure.reason != FailureReason::SpawnError => {
                    Outcome::TryAgain(failure)
                }
                OwnFailure::TryAgain | OwnFailure::Final => Outcome::Failed(failure),
            }
        }
        (_, None) => Outcome::Lost,
    }
}

/// Why the job failed, in words that help whoever reads them.
fn failure(report: &Report, limits: &Limits) -> Failure {
    let with_last_words = |text: String| match report.stderr_tail.trim() {
        "" => text,
        tail => format!("{text}; the end of its log:\n{tail}"),
    };
    match &report.ending {
        Ending::Printed | Ending::Terminated | Ending::NotContained { .. } => {
            Failure::new(FailureReason::NoResult, "the run was ended")
        }
        Ending::NoResult => Failure::new(
            FailureReason::NoResult,
            with_last_words("the script printed nothing".into()),
        )
        .with_exit_code(0),
        Ending::InvalidOutput { message } => {
            let text = format!("the script did not print one JSON document: {message}");
            Failure::new(FailureReason::InvalidOutput, text).with_exit_code(0)
        }
        Ending::OutputTooLarge => {
            let text = format!(
                "the script printed {} bytes, which is more than a result may hold",
                report.stdout_bytes
            );
            Failure::new(FailureReason::OutputTooLarge, text)
        }
        Ending::Exited { code } => {
            let text = with_last_words(format!("the script exited with {code}"));
            Failure::new(FailureReason::ExitCode, text).with_exit_code(*code)
        }
        Ending::Signaled { signal } => Failure::new(
            FailureReason::Signal,
            with_last_words(format!("signal {signal} ended the script")),
        ),
        Ending::TimedOut => {
            let text = format!(
                "the script ran longer than the {} s that its API allows",
                limits.timeout_s
            );
            Failure::new(FailureReason::Timeout, with_last_words(text))
        }
        Ending::Memory => {
            let text = format!(
                "the script's processes took more than the {} bytes that its API allows",
                limits.memory
            );
            Failure::new(FailureReason::Memory, with_last_words(text))
        }
        // Whatever it was doing, SIGKILL ended it.
        Ending::Processes { limit } => {
            let text = format!(
                "the script was killed: it had more than the {limit} processes that a run may have here"
            );
            Failure::new(FailureReason::Signal, with_last_words(text))
        }
        Ending::Scratch { limit } => {
            let text = format!(
                "the script was killed: its temporary files took more than the {limit} bytes that a run may hold here, \
                 or lay in folders too deep or too closed to be counted"
            );
            Failure::new(FailureReason::OutputTooLarge, with_last_words(text))
        }
        // Which file could not be started is for the worker's log: clients are told no path of the server.
        Ending::SpawnError { .. } => {
            let text = "the script could not be started; the worker's log says why";
            Failure::new(FailureReason::SpawnError, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::containment::InForce;

    fn report(ending: Ending) -> Report {
        Report {
            ending,
            run_ms: 1,
            max_memory: 1,
            stdout_bytes: 0,
            stderr_tail: "Traceback\n".into(),
            containment: InForce::default(),
        }
    }

    fn decide(
        ending: Option<Ending>,
        asked: Option<Stop>,
        own_failure: OwnFailure,
    ) -> &'static str {
        let report = ending.map(report);
        match outcome(report.as_ref(), asked, own_failure, &Limits::default()) {
            Outcome::TryAgain(_) => "again",
            outcome => outcome.word(),
        }
    }

    #[test]
    fn a_result_that_came_first_stays() {
        for asked in [None, Some(Stop::Cancel), Some(Stop::Shutdown)] {
            assert_eq!(
                decide(Some(Ending::Printed), asked, OwnFailure::Final),
                "done"
            );
        }
        assert_eq!(
            decide(Some(Ending::Printed), Some(Stop::Lost), OwnFailure::Final),
            "let_go"
        );
    }

    #[test]
    fn who_asked_for_the_end_decides_what_it_means() {
        for ending in [
            None,
            Some(Ending::Terminated),
            Some(Ending::Exited { code: 1 }),
        ] {
            assert_eq!(
                decide(ending.clone(), Some(Stop::Cancel), OwnFailure::TryAgain),
                "canceled"
            );
            assert_eq!(
                decide(ending, Some(Stop::Shutdown), OwnFailure::TryAgain),
                "given_back"
            );
        }
        assert_eq!(decide(None, None, OwnFailure::TryAgain), "lost");
    }

    #[test]
    fn a_script_that_cannot_be_started_is_not_tried_again() {
        assert_eq!(
            decide(Some(Ending::Exited { code: 3 }), None, OwnFailure::TryAgain),
            "again"
        );
        assert_eq!(
            decide(Some(Ending::Exited { code: 3 }), None, OwnFailure::Final),
            "exit_code"
        );
        assert_eq!(
            decide(
                Some(Ending::SpawnError {
                    message: "no".into()
                }),
                None,
                OwnFailure::TryAgain
            ),
            "spawn_error"
        );
    }

    #[test]
    fn a_failure_says_what_the_script_said_last() {
        let failure = failure(&report(Ending::Exited { code: 1 }), &Limits::default());
        assert_eq!(
            failure.message,
            "the script exited with 1; the end of its log:\nTraceback"
        );
        assert_eq!(failure.exit_code, Some(1));
    }
}
