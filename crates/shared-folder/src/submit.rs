//! Requests become jobs, many in one commit of the index.
//!
//! Each caller writes and syncs its own request under a temporary name; one thread then takes the lock once for all
//! that wait, publishes their requests, appends their entries, commits, and answers. Nobody is told of a job before
//! its request is durable.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use job_core::date::Date;
use job_core::files::Request;
use job_core::idempotency::Meaning;
use job_core::ids::JobId;

use crate::dir::{Dir, Kind, Temporary};
use crate::error::FolderError;
use crate::folder::SharedFolder;
use crate::guard::Guard;
use crate::idempotency::{Key, Keys};
use crate::measures;
use crate::webhook;

/// Most jobs in one commit, so that the lock is free again soon.
const BATCH: usize = 256;
/// A first fetch is noted with the next commit, or by itself after this time.
const RETRIEVED_DELAY: Duration = Duration::from_millis(500);

/// The one who appends to the index for a whole process.
#[derive(Debug)]
pub struct Submitter {
    folder: Arc<SharedFolder>,
    sender: Mutex<Option<Sender<Message>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A job that a submission has made, or had made before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// This one is new.
    New(JobId),
    /// The same submission made this one before, by its key.
    Again(JobId),
}

impl Accepted {
    /// The job.
    pub fn uuid(self) -> JobId {
        match self {
            Accepted::New(uuid) | Accepted::Again(uuid) => uuid,
        }
    }
}

/// Why a submission was not accepted: it has made no job, and never will.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused {
    /// The folder cannot take it.
    #[error(transparent)]
    Folder(#[from] Arc<FolderError>),
    /// Its key belongs to a submission with another body or another webhook.
    #[error("the key belongs to another submission")]
    KeyReused,
}

impl From<FolderError> for Refused {
    fn from(error: FolderError) -> Self {
        Refused::Folder(Arc::new(error))
    }
}

#[derive(Debug)]
enum Message {
    Submit(Box<Waiting>),
    Retrieved(JobId, Date),
}

/// A request that is durable under a temporary name.
#[derive(Debug)]
struct Waiting {
    request: Request,
    temporary: String,
    /// The temporary name of its webhook's record.
    webhook: Option<String>,
    /// Its key, with the temporary name of the key's record.
    key: Option<(Key, String)>,
    answer: SyncSender<Answer>,
}

type Answer = Result<Accepted, Refused>;

impl Submitter {
    /// Starts the thread that commits for this process.
    pub fn start(folder: Arc<SharedFolder>) -> Self {
        let (sender, receiver) = channel();
        let worker = folder.clone();
        let thread = std::thread::Builder::new()
            .name("submitter".into())
            .spawn(move || commit_until_closed(&worker, &receiver))
            .expect("a thread can be started while the process starts");
        Submitter {
            folder,
            sender: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        }
    }

    /// Makes a job of this request, or finds the one that was made of it before by its key. When it returns, the job is
    /// durable and in the queue.
    ///
    /// # Errors
    /// [`Refused::KeyReused`]; [`FolderError::DiskFull`], [`FolderError::QueueFull`], [`FolderError::Busy`] or trouble
    /// with the volume: then there is no job.
    pub fn submit(&self, request: Request, key: Option<Key>) -> Answer {
        self.folder.check_space()?;
        let dirs = &self.folder.dirs;
        let dir = &dirs.request;
        let record = key.as_ref().map(|key| key.record(request.uuid));
        let record = record.map(|record| dirs.idempotency.write(Kind::Fact, &record));
        let record = record.transpose()?;
        if let Some(record) = &record {
            record.sync()?;
        }
        let webhook = webhook::prepare(&self.folder, &request)?;
        let temporary = dir.write(Kind::Fact, text_of(&request).as_bytes())?;
        temporary.sync()?;
        let (answer, answered) = sync_channel(1);
        let waiting = Waiting {
            request,
            temporary: temporary.keep(),
            webhook: webhook.map(Temporary::keep),
            key: key.zip(record.map(Temporary::keep)),
            answer,
        };
        self.send(Message::Submit(Box::new(waiting)));
        // Where the thread is gone nothing was published, and the temporary file is swept by its age.
        answered.recv().unwrap_or_else(|_| Err(closed(dir)))
    }

    /// Notes that a result was fetched. Only the first fetch counts; it is written a second later at most.
    pub fn retrieved(&self, uuid: JobId, date: Date) {
        self.send(Message::Retrieved(uuid, date));
    }

    /// Ends the thread once everything that waits is committed.
    pub fn stop(&self) {
        self.sender
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            && thread.join().is_err()
        {
            tracing::error!("the submitter's thread panicked");
        }
    }

    fn send(&self, message: Message) {
        if let Some(sender) = &*self.sender.lock().unwrap_or_else(PoisonError::into_inner) {
            // Fails only where the thread is gone; whoever waits for an answer is told by the closed channel.
            let _ = sender.send(message);
        }
    }
}

impl Drop for Submitter {
    fn drop(&mut self) {
        self.stop();
    }
}

fn closed(dir: &Dir) -> Refused {
    let source = std::io::Error::other("the server is shutting down");
    FolderError::Io {
        action: "submit to",
        path: dir.path().to_owned(),
        source,
    }
    .into()
}

fn commit_until_closed(folder: &SharedFolder, receiver: &Receiver<Message>) {
    let mut retrieved: HashMap<JobId, Date> = HashMap::new();
    let mut due: Option<Instant> = None;
    loop {
        let mut waiting = Vec::new();
        let first = match due {
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => receiver.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        let closed = matches!(first, Err(RecvTimeoutError::Disconnected));
        for message in first
            .into_iter()
            .chain(std::iter::from_fn(|| receiver.try_recv().ok()))
        {
            match message {
                Message::Submit(submit) => waiting.push(*submit),
                Message::Retrieved(uuid, date) => {
                    retrieved.entry(uuid).or_insert(date);
                    due.get_or_insert_with(|| Instant::now() + RETRIEVED_DELAY);
                }
            }
            if waiting.len() == BATCH {
                break;
            }
        }
        if !waiting.is_empty() || closed || due.is_some_and(|due| due <= Instant::now()) {
            let committed = commit(folder, &waiting, &retrieved);
            if committed.is_ok() || closed {
                retrieved.clear();
                due = None;
            } else if due.is_some() {
                due = Some(Instant::now() + RETRIEVED_DELAY);
            }
            answer(folder, waiting, committed);
        }
        if closed {
            return;
        }
    }
}

/// Tells each of those who wait what became of its submission; without a commit, all of them the same.
fn answer(folder: &SharedFolder, waiting: Vec<Waiting>, committed: Result<Vec<Answer>, Refused>) {
    let dirs = &folder.dirs;
    let answers = committed.unwrap_or_else(|refused| vec![Err(refused); waiting.len()]);
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    if let Some(error) = refused.clone().next() {
        tracing::warn!(jobs = refused.count(), error = %error, "jobs could not be accepted");
    }
    for (waiting, answer) in waiting.into_iter().zip(answers) {
        let is_new = matches!(answer, Ok(Accepted::New(_)));
        if let Some((_, record)) = waiting.key.filter(|_| !is_new) {
            let _ = dirs.idempotency.remove(&record);
        }
        if let Some(webhook) = waiting.webhook.filter(|_| !is_new) {
            let _ = dirs.webhook.remove(&webhook);
        }
        if !is_new {
            let _ = dirs.request.remove(&waiting.temporary);
        }
        let _ = waiting.answer.send(answer);
    }
}

/// Publishes the requests and commits their entries; all of them or none, but for those that are no new ones or that
/// the queue has no room for. Returns what became of each.
fn commit(
    folder: &SharedFolder,
    waiting: &[Waiting],
    retrieved: &HashMap<JobId, Date>,
) -> Result<Vec<Answer>, Refused> {
    let Some(now) = waiting
        .first()
        .map(|first| first.request.request_date)
        .or(retrieved.values().next().copied())
    else {
        return Ok(Vec::new());
    };
    let mut guard = folder.lock(now)?;
    let mut batch = Batch::new(folder);
    let outcome = (|| {
        for waiting in waiting {
            batch.take(&guard, waiting)?;
        }
        batch.publish()?;
        for request in &batch.requests {
            guard.queue_mut().push(Arc::new(request.entry()));
        }
        for (uuid, date) in retrieved {
            if guard
                .queue()
                .get(*uuid)
                .is_some_and(|entry| entry.retrieved_date.is_none())
            {
                guard.queue_mut().set_retrieved(*uuid, *date);
            }
        }
        guard.save()
    })();
    if let Err(error) = outcome {
        // Still under the lock: nobody else has seen these requests but by their names.
        batch.take_back();
        return Err(error.into());
    }
    if !batch.requests.is_empty() {
        measures::committed(batch.requests.len());
    }
    Ok(batch.answers)
}

/// Submissions on their way into the queue together, under the lock.
struct Batch<'a> {
    folder: &'a SharedFolder,
    keys: Keys,
    /// The new ones, and where each stands under which temporary name.
    requests: Vec<Request>,
    temporaries: Vec<String>,
    /// The records of their keys: temporary name and name.
    records: Vec<(String, String)>,
    /// Those of their webhooks: the job and the temporary name.
    webhooks: Vec<(JobId, String)>,
    answers: Vec<Answer>,
}

impl<'a> Batch<'a> {
    fn new(folder: &'a SharedFolder) -> Self {
        Batch {
            folder,
            keys: Keys::default(),
            requests: Vec::new(),
            temporaries: Vec::new(),
            records: Vec::new(),
            webhooks: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Takes one in, unless it is no new one or finds no room.
    fn take(&mut self, guard: &Guard<'_>, waiting: &Waiting) -> Result<(), FolderError> {
        let key = waiting.key.as_ref();
        let meaning = match key {
            Some((key, _)) => self.keys.meaning(guard, key)?,
            None => Meaning::First,
        };
        let limit = self.folder.options.queue_limit;
        let has_room = guard.queue().len() + self.requests.len() < limit;
        let answer = match meaning {
            Meaning::Again(uuid) => Ok(Accepted::Again(uuid)),
            Meaning::Reused => Err(Refused::KeyReused),
            Meaning::First | Meaning::Completes(_) if !has_room => {
                Err(FolderError::QueueFull { limit }.into())
            }
            Meaning::First => {
                if let Some((key, record)) = key {
                    self.records.push((record.clone(), key.file.clone()));
                }
                let webhook = waiting.webhook.clone();
                self.enter(
                    waiting.request.clone(),
                    waiting.temporary.clone(),
                    webhook,
                    key,
                )
            }
            Meaning::Completes(uuid) => {
                let request = Request {
                    uuid,
                    ..waiting.request.clone()
                };
                let dir = &self.folder.dirs.request;
                let temporary = dir.write(Kind::Fact, text_of(&request).as_bytes())?;
                temporary.sync()?;
                let temporary = temporary.keep();
                let webhook = webhook::prepare(self.folder, &request)?.map(Temporary::keep);
                self.enter(request, temporary, webhook, key)
            }
        };
        self.answers.push(answer);
        Ok(())
    }

    fn enter(
        &mut self,
        request: Request,
        temporary: String,
        webhook: Option<String>,
        key: Option<&(Key, String)>,
    ) -> Answer {
        let uuid = request.uuid;
        self.webhooks
            .extend(webhook.map(|temporary| (uuid, temporary)));
        if let Some((key, _)) = key {
            self.keys.comes(key, uuid);
        }
        self.requests.push(request);
        self.temporaries.push(temporary);
        Ok(Accepted::New(uuid))
    }

    /// Gives everything its name, and makes the names durable: the requests' last.
    fn publish(&self) -> Result<(), FolderError> {
        let dirs = &self.folder.dirs;
        webhook::publish(self.folder, &self.webhooks)?;
        let records = self.records.iter();
        let records = records.map(|(temporary, name)| (temporary, name.clone()));
        publish_all(&dirs.idempotency, records)?;
        let names = self.requests.iter().map(file_of);
        publish_all(&dirs.request, self.temporaries.iter().zip(names))
    }

    /// All of them: what stayed would run although its client was refused.
    fn take_back(&self) {
        let dirs = &self.folder.dirs;
        let requests = self.requests.iter().map(file_of);
        take_back(&dirs.request, requests);
        let webhooks = self.webhooks.iter();
        take_back(
            &dirs.webhook,
            webhooks.map(|(uuid, _)| format!("{uuid}.json")),
        );
        // A record that stayed would do no harm: the next submission under its key makes that job.
        take_back(
            &dirs.idempotency,
            self.records.iter().map(|(_, name)| name.clone()),
        );
    }
}

fn publish_all<'a>(
    dir: &Dir,
    files: impl Iterator<Item = (&'a String, String)>,
) -> Result<(), FolderError> {
    let mut published = 0;
    for (temporary, name) in files {
        if Temporary::again(dir, temporary)?.publish(&name)?.is_some() {
            let source = std::io::Error::other("a file of this name is there already");
            return Err(FolderError::Io {
                action: "publish",
                path: dir.at(&name),
                source,
            });
        }
        published += 1;
    }
    match published {
        0 => Ok(()),
        _ => dir.sync(),
    }
}

fn take_back(dir: &Dir, names: impl Iterator<Item = String>) {
    let mut removed = 0;
    for name in names {
        match dir.remove(&name) {
            Ok(was_there) => removed += usize::from(was_there),
            Err(error) => {
                tracing::error!(file = name, error = %error, "what belongs to a refused submission cannot be taken back")
            }
        }
    }
    if removed > 0
        && let Err(error) = dir.sync()
    {
        tracing::error!(error = %error, "that refused submissions were taken back is not durable");
    }
}

fn file_of(request: &Request) -> String {
    format!("{}.json", request.uuid)
}

fn text_of(request: &Request) -> String {
    serde_json::to_string(request).expect("names, dates and raw JSON always serialize")
}
