//! A folder of its own for each test, and short words for what tests do with it.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use job_core::claim::Offer;
use job_core::date::Date;
use job_core::files::Request;
use job_core::ids::{JobId, WorkerId};
use job_core::status::Status;
use shared_folder::claim::ClaimedJob;
use shared_folder::finish::Measured;
use shared_folder::idempotency::Key;
use shared_folder::submit::{Accepted, Refused, Submitter};
use shared_folder::{Options, SharedFolder, job_id};

pub(crate) struct Site {
    pub(crate) folder: Arc<SharedFolder>,
    pub(crate) submitter: Submitter,
    pub(crate) home: tempfile::TempDir,
}

/// A moment of the test's own: `second` seconds after it began.
pub(crate) fn at(second: i64) -> Date {
    "2026-11-20T12:00:00+09:00"
        .parse::<Date>()
        .unwrap()
        .plus(TimeDelta::seconds(second))
}

pub(crate) fn worker(n: u128) -> WorkerId {
    WorkerId::new("w", uuid::Uuid::from_u128(n)).unwrap()
}

pub(crate) fn offer() -> Offer {
    [
        ("soc".parse().unwrap(), None),
        ("add".parse().unwrap(), Some(1)),
    ]
    .into()
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder =
            Arc::new(SharedFolder::open(&home.path().join("shared/bcrlapi"), options).unwrap());
        shared_folder::sweep::settle_at_start(&folder, at(0)).unwrap();
        Site {
            submitter: Submitter::start(folder.clone()),
            folder,
            home,
        }
    }

    pub(crate) fn submit(&self, api: &str, second: i64) -> JobId {
        self.try_to_submit(api, second).unwrap()
    }

    pub(crate) fn try_to_submit(&self, api: &str, second: i64) -> Result<JobId, Refused> {
        let uuid = job_id(at(second));
        let params = serde_json::value::RawValue::from_string(r#"{"n":1}"#.into()).unwrap();
        let api = api.parse().unwrap();
        let request = Request {
            uuid,
            api,
            request_date: at(second),
            params,
            idempotency_key: None,
            webhook: None,
            traceparent: None,
        };
        let accepted = self.submitter.submit(request, None)?;
        assert_eq!(accepted, Accepted::New(uuid));
        Ok(uuid)
    }

    /// Submits a body under a key.
    pub(crate) fn submit_with_key(
        &self,
        key: &str,
        body: &str,
        second: i64,
    ) -> Result<Accepted, Refused> {
        let params = serde_json::value::RawValue::from_string(body.into()).unwrap();
        let api: job_core::ids::ApiName = "soc".parse().unwrap();
        let key = Key::new("anonymous", &api, key, body.as_bytes(), None);
        let request = Request {
            uuid: job_id(at(second)),
            api,
            request_date: at(second),
            params,
            idempotency_key: Some("k".into()),
            webhook: None,
            traceparent: None,
        };
        self.submitter.submit(request, Some(key))
    }

    pub(crate) fn claim(&self, by: u128, second: i64) -> ClaimedJob {
        self.folder
            .claim(&worker(by), 1, &offer(), at(second))
            .unwrap()
            .expect("a job is pending")
    }

    pub(crate) fn print(&self, text: &str) -> PathBuf {
        let path = self.home.path().join("printed");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn finish(
        &self,
        job: &ClaimedJob,
        text: &str,
        second: i64,
    ) -> shared_folder::finish::Ended {
        self.folder
            .finish_done(job, &self.print(text), &Measured::default(), at(second))
            .unwrap()
    }

    pub(crate) fn status(&self, uuid: JobId, second: i64) -> Status {
        self.folder
            .job(uuid, at(second))
            .unwrap()
            .expect("the job is known")
            .state
            .status()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.root().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn names(&self, name: &str) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.path(name))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
