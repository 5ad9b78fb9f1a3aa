//! One client's connection: how long it may keep the server waiting, and what it is told where it asks for nothing that
//! could be answered.
//!
//! Between socket and parser: whoever says nothing, says a head too slowly or does not read its answer is sent away
//! (the time for a body is in [`crate::body`]). What the parser refuses with a bare status is told as a problem like all
//! others.

mod refusal;
mod stage;
mod timer;

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use boot::Clock;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use crate::config::Patience;
use crate::measures::Present;
use crate::problem::{Kind, Problem};
pub use stage::{Stage, UnderWay};
use timer::Timer;

/// So long whoever was refused may go on sending before the connection is closed hard: a connection that is closed with
/// bytes unread is reset, and the refusal may be lost with it.
const LAST_WORDS: Duration = Duration::from_secs(1);

const STAYS: &str = "the socket goes with the connection";

/// A connection, as the parser reads and writes it.
#[derive(Debug)]
pub struct Connection {
    /// The socket; gone only once the connection is.
    stream: Option<TcpStream>,
    stage: Rc<Stage>,
    patience: Patience,
    clock: Clock,
    /// Whether any byte ever came.
    heard: bool,
    /// The head that has begun: when, and how many requests there had been.
    head: Option<(Instant, u64)>,
    reading: Timer,
    /// Since when nothing could be sent of what is to be.
    stalled: Option<Instant>,
    writing: Timer,
    /// How many answers were sent to their end.
    sent: u64,
    _counted: Present,
    /// Whether the client was told that what it sent is no request.
    refused: bool,
    /// What is still to be sent of that.
    refusal: Vec<u8>,
}

impl Connection {
    /// A connection that was just accepted.
    pub fn new(stream: TcpStream, patience: Patience, clock: Clock) -> Self {
        Connection {
            stream: Some(stream),
            stage: Rc::new(Stage::new(Instant::now())),
            patience,
            clock,
            heard: false,
            head: None,
            reading: Timer::default(),
            stalled: None,
            writing: Timer::default(),
            sent: 0,
            _counted: Present::connection(),
            refused: false,
            refusal: Vec::new(),
        }
    }

    /// Where it stands, for whoever answers its requests.
    pub fn stage(&self) -> Rc<Stage> {
        self.stage.clone()
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.stream.as_mut().expect(STAYS))
    }

    /// Bytes came: outside of a request they begin a head.
    fn hear(&mut self) {
        self.heard = true;
        if !self.stage.is_under_way() && self.head().is_none() {
            self.head = Some((Instant::now(), self.stage.requests()));
        }
    }

    /// The head that has begun and is not yet a request.
    fn head(&mut self) -> Option<Instant> {
        let requests = self.stage.requests();
        self.head = self.head.filter(|(_, before)| *before == requests);
        self.head.map(|(begun, _)| begun)
    }

    /// Whether the client has kept the server waiting for too long; wakes the task when it will have.
    fn has_waited_enough(&mut self, task: &mut Context<'_>) -> bool {
        if self.stage.is_under_way() {
            return false;
        }
        let deadline = match self.head() {
            Some(begun) => begun + self.patience.head,
            None if !self.heard => self.stage.rests_since() + self.patience.silence,
            // It may have begun in one piece with the request before it: then nobody knows since when.
            None => self.stage.rests_since() + self.patience.idle,
        };
        self.reading.is_over(deadline, task)
    }

    /// Tells the client what is wrong, in place of the parser.
    fn refuse(&mut self, problem: &Problem) {
        self.refused = true;
        self.refusal = refusal::text(problem, self.clock.now());
    }

    fn poll_refusal(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            let stream = self.stream.as_mut().expect(STAYS);
            let written = Pin::new(stream).poll_write(task, &self.refusal);
            match ready!(self.unless_stalled(task, written))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => drop(self.refusal.drain(..sent)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// An error where the client has taken nothing for too long.
    fn unless_stalled<T>(
        &mut self,
        task: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.stalled.take().is_some() {
                // It is heard again.
                task.waker().wake_by_ref();
            }
            return written;
        }
        let since = *self.stalled.get_or_insert_with(Instant::now);
        if self.writing.is_over(since + self.patience.stall, task) {
            tracing::debug!("a client does not read its answer, and is sent away");
            // What it did not read goes with the connection, and does not stay in the kernel.
            let stream = self.stream.as_ref().expect(STAYS);
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.refused {
            // Whatever else it sends is not heard: to the parser it has gone.
            return Poll::Ready(Ok(()));
        }
        if this.stalled.is_some() {
            // Whoever does not read its answers is not heard either: they would pile up.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = this.stream().poll_read(task, buffer);
        if buffer.filled().len() > before {
            this.hear();
        }
        if read.is_pending() && this.has_waited_enough(task) {
            if this.head().is_some() {
                let limit = this.patience.head;
                let detail = format!("the head of a request must be there within {limit:?}");
                this.refuse(&Kind::RequestTimeout.problem(detail));
            }
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // What comes although all answers were sent is the parser's own.
        let is_ours = this.stage.is_under_way() || this.stage.answers() != this.sent;
        if let Some(problem) = refusal::of_parser(bytes).filter(|_| !is_ours) {
            this.refuse(&problem);
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = this.stream().poll_write(task, bytes);
        this.unless_stalled(task, written)
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.stage.is_under_way() {
            this.sent = this.stage.answers();
        }
        ready!(this.poll_refusal(task))?;
        // Behind an answer the parser looks for the next request only when it is woken.
        if this.has_waited_enough(task) {
            task.waker().wake_by_ref();
        }
        this.stream().poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_shutdown(task)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take().filter(|_| self.refused) else {
            return;
        };
        // At the end of the process nobody waits any more.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(timeout(LAST_WORDS, async move {
            // It may have gone already.
            let _ = stream.shutdown().await;
            let mut unheard = [0; 4096];
            while stream
                .read(&mut unheard)
                .await
                .is_ok_and(|length| length > 0)
            {}
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::net::TcpListener;

    use super::*;

    /// What writing this comes to at this moment.
    async fn write(connection: &mut Connection, bytes: &[u8]) -> Poll<io::Result<usize>> {
        poll_fn(|task| Poll::Ready(Pin::new(&mut *connection).poll_write(task, bytes))).await
    }

    #[actix_web::test]
    async fn whoever_reads_no_answer_is_not_heard_until_it_does() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let clock = Clock::new(chrono_tz::UTC);
        let mut connection = Connection::new(stream, Patience::default(), clock);
        let _under_way = connection.stage().begin();
        let (answer, mut sent) = (vec![b'x'; 1 << 20], 0);
        while let Poll::Ready(written) = write(&mut connection, &answer).await {
            sent += written.unwrap();
        }
        client.write_all(b"more").await.unwrap();
        let stream = connection.stream.as_ref().unwrap();
        stream.readable().await.unwrap();
        let mut heard = [0; 16];
        let heard_now = poll_fn(|task| {
            let mut heard = ReadBuf::new(&mut heard);
            Poll::Ready(Pin::new(&mut connection).poll_read(task, &mut heard))
        });
        assert!(heard_now.await.is_pending());
        // It reads: there is room for more, and it is heard.
        client.read_exact(&mut vec![0; sent]).await.unwrap();
        let stream = connection.stream.as_ref().unwrap();
        stream.writable().await.unwrap();
        assert!(write(&mut connection, b"x").await.is_ready());
        let length = connection.read(&mut heard).await.unwrap();
        assert_eq!(&heard[..length], b"more");
    }
}
