//! Takes lines from those who answer requests, and puts them into the files of their days.
//!
//! Whoever has a line leaves it in a queue and goes on: a disk that is full, slow or gone costs lines, which are counted,
//! and never a request. One thread empties the queue, gathers for a moment what comes together, and appends it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use job_core::access_log::Line;
use job_core::access_log::file::{Instance, LogFile};
use job_core::api_routes::ApiRoutes;
use job_core::day::Day;

use crate::append::{NotAll, append, count};
use crate::measures::{self, Cause};
use crate::routes;
use crate::trouble::Trouble;

/// So many lines may wait to be written; the next ones are dropped.
const ROOM: usize = 16 * 1024;
/// So long what comes together is gathered. Lines are to be in the file within 100 ms.
const GATHERING: Duration = Duration::from_millis(20);
/// What is written at once ends with the line that makes it as long as this.
const BATCH: usize = 1 << 20;
/// So many days are remembered to have their names in place. Lines come late by a day at most.
const DAYS: usize = 3;
/// So long the end of a process waits for the last lines. Only a disk that hangs takes longer.
const LAST_LINES: Duration = Duration::from_secs(5);

/// The access log of one process.
#[derive(Debug)]
pub struct AccessLog {
    /// Nothing once it was stopped.
    queue: RwLock<Option<SyncSender<Message>>>,
    shared: Arc<Shared>,
    /// Closed when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

/// What is known to both sides of the queue.
#[derive(Debug)]
struct Shared {
    /// The names that new lines have.
    routes: Mutex<Arc<ApiRoutes>>,
    /// Lines that found no room in the queue.
    dropped: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Line(Line),
    /// The names have changed.
    Routes,
}

impl AccessLog {
    /// Starts the thread that writes into this folder, which is made where it is missing. Where it cannot be made, lines
    /// are dropped until it is there.
    pub fn start(dir: PathBuf, instance: Option<Instance>, routes: ApiRoutes) -> Self {
        if let Err(error) = std::fs::create_dir_all(&dir) {
            tracing::warn!(folder = %dir.display(), error = %error, "the log folder cannot be made");
        }
        let (queue, waiting) = sync_channel(ROOM);
        let (end, ended) = channel();
        let shared = Arc::new(Shared {
            routes: Mutex::new(Arc::new(routes)),
            dropped: AtomicU64::new(0),
        });
        let writer = Writer {
            dir,
            instance,
            routes: shared.routes(),
            shared: shared.clone(),
            named: BTreeSet::new(),
            trouble: Trouble::default(),
            routes_trouble: Trouble::default(),
        };
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                let _ended = end;
                writer.write_until_closed(&waiting);
            })
            .expect("a thread can be started while the process starts");
        AccessLog {
            queue: RwLock::new(Some(queue)),
            shared,
            ended: Mutex::new(ended),
        }
    }

    /// Has a line written soon. It never waits.
    pub fn note(&self, line: Line) {
        if !self.leave(Message::Line(line)) {
            measures::dropped(Cause::Queue, 1);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// From now on the day's names are these.
    pub fn rename(&self, routes: ApiRoutes) {
        let place = &self.shared.routes;
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(routes);
        // Where there is no room, the thread is about to look anyway.
        self.leave(Message::Routes);
    }

    /// Ends it once everything that waits is written.
    pub fn stop(&self) {
        drop(
            self.queue
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(LAST_LINES) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the log folder's disk does not answer: the last lines are lost");
        }
    }

    fn leave(&self, message: Message) -> bool {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        queue
            .as_ref()
            .is_some_and(|queue| queue.try_send(message).is_ok())
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn routes(&self) -> Arc<ApiRoutes> {
        self.routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The side that writes.
#[derive(Debug)]
struct Writer {
    dir: PathBuf,
    instance: Option<Instance>,
    shared: Arc<Shared>,
    /// The names that were last in force.
    routes: Arc<ApiRoutes>,
    /// The days that have these names in place.
    named: BTreeSet<Day>,
    trouble: Trouble,
    routes_trouble: Trouble,
}

impl Writer {
    fn write_until_closed(mut self, waiting: &Receiver<Message>) {
        while let Ok(first) = waiting.recv() {
            std::thread::sleep(GATHERING);
            let mut gathered: BTreeMap<Day, Vec<u8>> = BTreeMap::new();
            let mut length = 0;
            let others = std::iter::from_fn(|| waiting.try_recv().ok());
            for message in std::iter::once(first).chain(others) {
                let Message::Line(line) = message else {
                    continue;
                };
                let text = gathered.entry(line.day()).or_default();
                let before = text.len();
                line.write(text);
                length += text.len() - before;
                if length >= BATCH {
                    break;
                }
            }
            self.look_at_names();
            for (day, text) in gathered {
                self.name(day);
                self.write(day, &text);
            }
            self.tell_dropped();
        }
    }

    /// Where names have changed, the newest day that has lines gets them at once, and others with their next line.
    fn look_at_names(&mut self) {
        let routes = self.shared.routes();
        if Arc::ptr_eq(&routes, &self.routes) {
            return;
        }
        self.routes = routes;
        let newest = self.named.last().copied();
        self.named.clear();
        if let Some(day) = newest {
            self.name(day);
        }
    }

    /// Puts the names of a day in place, unless they are.
    fn name(&mut self, day: Day) {
        if self.named.contains(&day) {
            return;
        }
        match routes::write(&self.dir, day, &self.routes) {
            Ok(()) => {
                self.named.insert(day);
                while self.named.len() > DAYS {
                    self.named.pop_first();
                }
                self.routes_trouble.is_over(Instant::now());
            }
            Err(error) => {
                if self.routes_trouble.is_to_be_told(0, Instant::now()) {
                    tracing::warn!(log.day = %day, error = %error, "the names of the day's APIs are not written; the next lines try again");
                }
            }
        }
    }

    fn write(&mut self, day: Day, text: &[u8]) {
        let instance = self.instance.clone();
        let path = self.dir.join(LogFile { day, instance }.to_string());
        let lines = count(text);
        match append(&path, text) {
            Ok(()) => {
                measures::written(lines);
                if let Some(dropped) = self.trouble.is_over(Instant::now()) {
                    tracing::warn!(file = %path.display(), dropped, "the access log is written again; some requests have no line");
                }
            }
            Err(NotAll { lines: some, error }) => {
                measures::written(some);
                measures::dropped(Cause::Disk, lines - some);
                if self.trouble.is_to_be_told(lines - some, Instant::now()) {
                    tracing::warn!(file = %path.display(), error = %error, "lines of the access log are dropped; requests are answered");
                }
            }
        }
    }

    fn tell_dropped(&mut self) {
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 && self.trouble.is_to_be_told(dropped, Instant::now()) {
            tracing::warn!(
                dropped,
                "lines of the access log are dropped: they come faster than the disk takes them"
            );
        }
    }
}
