//! How a command ended, as scripts see it. The codes are part of the interface: they never change their meaning.

use std::process::ExitCode;

use job_core::status::Status;

/// How a command ended, from the best to the worst; of several jobs the worst counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    /// What was asked for was done; the job, where one was waited for, is `done`.
    Done,
    /// The job was canceled.
    Canceled,
    /// The job failed.
    Failed,
    /// The call was wrong: its arguments, or the server refused the request as invalid.
    Usage,
    /// The server was not reachable, in trouble, or not done in the time allowed. The same call may succeed later.
    Trouble,
    /// Ctrl-C; the job goes on.
    Interrupted,
}

impl Exit {
    /// The code for the shell.
    pub(super) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Canceled => 3,
            Exit::Trouble => 4,
            Exit::Interrupted => 130,
        }
    }

    /// What waiting for a job came to.
    pub(super) fn of_job(status: Status) -> Exit {
        match status {
            Status::Done => Exit::Done,
            Status::Failed => Exit::Failed,
            Status::Canceled => Exit::Canceled,
            // Whoever stops waiting early did not see it done.
            Status::Pending | Status::Processing => Exit::Trouble,
        }
    }

    /// The worst of several; of none, it is done.
    pub(super) fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
        exits.into_iter().max().unwrap_or(Exit::Done)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_interface() {
        let codes = [
            (Exit::of_job(Status::Done), 0),
            (Exit::of_job(Status::Failed), 1),
            (Exit::Usage, 2),
            (Exit::of_job(Status::Canceled), 3),
            (Exit::Trouble, 4),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }

    #[test]
    fn of_several_jobs_the_worst_counts() {
        assert_eq!(Exit::worst([]), Exit::Done);
        assert_eq!(
            Exit::worst([Exit::Done, Exit::Failed, Exit::Canceled]),
            Exit::Failed
        );
        assert_eq!(Exit::worst([Exit::Trouble, Exit::Usage]), Exit::Trouble);
    }
}
