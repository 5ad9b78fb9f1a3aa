//! Trouble that is none of the client's: what it is told of it, and what operators are.

use shared_folder::FolderError;
use shared_folder::submit::Refused;
use uuid::Uuid;

use super::{Kind, Problem};

/// Seconds after which a worker may be there.
const UNTIL_A_WORKER_COMES: u32 = 15;
/// Seconds after which the shared folder may be free again.
const UNTIL_THE_FOLDER_IS_FREE: u32 = 5;
/// Seconds after which jobs may have left the queue.
const UNTIL_THE_QUEUE_HAS_ROOM: u32 = 60;

/// What operators are told of a problem that is none of the client's.
#[derive(Debug)]
pub(super) struct Trouble {
    what: &'static str,
    error: String,
    /// Whether a person must act.
    needs_a_person: NeedsAPerson,
}

#[derive(Debug)]
enum NeedsAPerson {
    Yes,
    No,
}

impl Trouble {
    /// Tells them.
    pub(super) fn tell(&self, request: Uuid) {
        let Trouble { what, error, .. } = self;
        match self.needs_a_person {
            NeedsAPerson::Yes => tracing::error!(request.id = %request, error, "{what}"),
            NeedsAPerson::No => tracing::warn!(request.id = %request, error, "{what}"),
        }
    }
}

impl Problem {
    /// That nobody is there who could run anything.
    pub(crate) fn no_worker(detail: &str) -> Self {
        Kind::NoAppServer
            .problem(detail)
            .retry_after(UNTIL_A_WORKER_COMES)
    }

    /// The same, of which operators are told once it is answered.
    fn because_of(self, what: &'static str, error: &FolderError, person: NeedsAPerson) -> Self {
        let trouble = Trouble {
            what,
            error: error.to_string(),
            needs_a_person: person,
        };
        Problem {
            trouble: Some(Box::new(trouble)),
            ..self
        }
    }
}

impl From<&FolderError> for Problem {
    fn from(error: &FolderError) -> Self {
        if error.is_disk_full() {
            let what = "the disk of the shared folder is full";
            return Kind::InsufficientStorage
                .problem("the disk of the shared folder is nearly full")
                .because_of(what, error, NeedsAPerson::Yes);
        }
        match error {
            FolderError::Busy { waited, .. } => Kind::Busy
                .problem(format!("the shared folder was busy for {waited:?}"))
                .retry_after(UNTIL_THE_FOLDER_IS_FREE)
                .because_of("the shared folder is busy", error, NeedsAPerson::No),
            FolderError::QueueFull { limit } => Kind::QueueFull
                .problem(format!("the queue holds {limit} jobs"))
                .retry_after(UNTIL_THE_QUEUE_HAS_ROOM)
                .because_of("a job was refused", error, NeedsAPerson::No),
            FolderError::Unreadable { .. } => Kind::Busy
                .problem("the queue cannot be read at this moment")
                .retry_after(UNTIL_THE_FOLDER_IS_FREE)
                .because_of("the index cannot be read", error, NeedsAPerson::Yes),
            other => {
                let source = std::error::Error::source(other)
                    .map(|source| format!(": {source}"))
                    .unwrap_or_default();
                Kind::Internal.problem(format!("{other}{source}"))
            }
        }
    }
}

impl From<FolderError> for Problem {
    fn from(error: FolderError) -> Self {
        (&error).into()
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Folder(error) => (&*error).into(),
            Refused::KeyReused => Kind::IdempotencyKeyReused.problem(
                "a submission to this API was sent with this key before, and another body or webhook",
            ),
        }
    }
}

impl From<actix_web::error::BlockingError> for Problem {
    fn from(error: actix_web::error::BlockingError) -> Self {
        Kind::Internal.problem(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use actix_web::http::header;

    use super::*;
    use crate::problem::Facts;

    #[test]
    fn trouble_with_the_folder_is_told_by_its_kind_and_without_its_paths() {
        let io = |kind: io::ErrorKind| FolderError::Io {
            action: "write",
            path: "/srv/secret".into(),
            source: kind.into(),
        };
        let full = FolderError::DiskFull {
            path: "/srv/secret".into(),
            free: 1,
            due: 2,
        };
        let busy = FolderError::Busy {
            waited: Duration::from_secs(5),
            holder: None,
        };
        let unreadable = FolderError::Unreadable {
            path: "/srv/secret".into(),
            reason: "half".into(),
        };
        for (error, name, pause) in [
            (full, "insufficient-storage", None),
            (io(io::ErrorKind::StorageFull), "insufficient-storage", None),
            (
                io(io::ErrorKind::QuotaExceeded),
                "insufficient-storage",
                None,
            ),
            (io(io::ErrorKind::PermissionDenied), "internal", None),
            (busy, "busy", Some("5")),
            (unreadable, "busy", Some("5")),
            (
                FolderError::QueueFull { limit: 7 },
                "queue-full",
                Some("60"),
            ),
        ] {
            let problem = Problem::from(&error);
            let answer = problem.answer(Uuid::nil());
            let Facts {
                name: told, status, ..
            } = problem.kind.facts();
            assert_eq!((told, answer.status()), (name, status), "{error}");
            let told = answer.headers().get(header::RETRY_AFTER);
            assert_eq!(told.and_then(|told| told.to_str().ok()), pause, "{error}");
            let body = actix_web::body::MessageBody::try_into_bytes(answer.into_body()).unwrap();
            let body = String::from_utf8_lossy(&body);
            assert!(!body.contains("secret"), "{body}");
        }
    }
}
