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
use job_core::ids::JobId;

use crate::dir::{Dir, Kind, Temporary};
use crate::error::FolderError;
use crate::folder::SharedFolder;

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

/// Why a job was not accepted. It is not in the queue, and never will be.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct Refused(#[from] pub Arc<FolderError>);

impl From<FolderError> for Refused {
    fn from(error: FolderError) -> Self {
        Refused(Arc::new(error))
    }
}

#[derive(Debug)]
enum Message {
    Submit(Waiting),
    Retrieved(JobId, Date),
}

/// A request that is durable under a temporary name.
#[derive(Debug)]
struct Waiting {
    request: Request,
    temporary: String,
    answer: SyncSender<Result<(), Refused>>,
}

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

    /// Makes a job of this request. When it returns, the job is durable and in the queue.
    ///
    /// # Errors
    /// [`FolderError::DiskFull`], [`FolderError::QueueFull`], [`FolderError::Busy`] or trouble with the volume: then
    /// there is no job.
    pub fn submit(&self, request: Request) -> Result<(), Refused> {
        self.folder.check_space()?;
        let text =
            serde_json::to_string(&request).expect("names, dates and raw JSON always serialize");
        let dir = &self.folder.dirs.request;
        let temporary = dir.write(Kind::Fact, text.as_bytes())?;
        temporary.sync()?;
        let (answer, answered) = sync_channel(1);
        let waiting = Waiting {
            request,
            temporary: temporary.keep(),
            answer,
        };
        self.send(Message::Submit(waiting));
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
                Message::Submit(submit) => waiting.push(submit),
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

/// Tells those who wait: the first ones were accepted, the others found the queue full, or none was accepted.
fn answer(folder: &SharedFolder, waiting: Vec<Waiting>, committed: Result<usize, Refused>) {
    let limit = folder.options.queue_limit;
    let (accepted, refused) = match committed {
        Ok(accepted) => (accepted, FolderError::QueueFull { limit }.into()),
        Err(refused) => (0, refused),
    };
    if accepted < waiting.len() {
        tracing::warn!(jobs = waiting.len() - accepted, error = %refused, "jobs could not be accepted");
    }
    for (number, waiting) in waiting.into_iter().enumerate() {
        let result = if number < accepted {
            Ok(())
        } else {
            let _ = folder.dirs.request.remove(&waiting.temporary);
            Err(refused.clone())
        };
        let _ = waiting.answer.send(result);
    }
}

/// Publishes the requests and commits their entries; all of them or none, but for those that the queue has no room
/// for. Returns how many were accepted: the first ones.
fn commit(
    folder: &SharedFolder,
    waiting: &[Waiting],
    retrieved: &HashMap<JobId, Date>,
) -> Result<usize, Refused> {
    let Some(now) = waiting
        .first()
        .map(|first| first.request.request_date)
        .or(retrieved.values().next().copied())
    else {
        return Ok(0);
    };
    let dir = &folder.dirs.request;
    let mut guard = folder.lock(now)?;
    let room = folder
        .options
        .queue_limit
        .saturating_sub(guard.queue().len());
    let waiting = &waiting[..waiting.len().min(room)];
    let mut published = Vec::with_capacity(waiting.len());
    let outcome = (|| {
        for Waiting {
            request, temporary, ..
        } in waiting
        {
            let name = format!("{}.json", request.uuid);
            if Temporary::again(dir, temporary)?.publish(&name)?.is_some() {
                let source = std::io::Error::other("a request of this id is there already");
                return Err(FolderError::Io {
                    action: "publish",
                    path: dir.at(&name),
                    source,
                });
            }
            published.push(name);
        }
        if !published.is_empty() {
            dir.sync()?;
        }
        for Waiting { request, .. } in waiting {
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
        // All of them are tried: what stayed would run although its client was refused.
        for name in &published {
            if let Err(trouble) = dir.remove(name) {
                tracing::error!(file = name, error = %trouble, "a refused request cannot be taken back");
            }
        }
        if let Err(trouble) = dir.sync() {
            tracing::error!(error = %trouble, "that refused requests were taken back is not durable");
        }
        return Err(error.into());
    }
    Ok(waiting.len())
}
