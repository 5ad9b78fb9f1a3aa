//! A real HTTP server on a port of its own that answers by a script, so that a test decides every byte of what the
//! client gets, including none.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// One request that is due, and what happens then.
pub(crate) struct Step {
    /// Method, path and query, such as `GET /api/v1/apis`.
    due: String,
    reaction: Reaction,
}

enum Reaction {
    Answer(String),
    HangUp,
    Hold(Sender<()>),
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Request {
    /// Method, path and query.
    pub(crate) line: String,
    head: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Request {
    /// The value of a header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let header = self.head.iter().find(|(other, _)| other == name);
        header.map(|(_, value)| value.as_str())
    }
}

/// Answers a request with a JSON document.
pub(crate) fn answer(due: &str, status: u16, json: &str) -> Step {
    answer_with(due, status, "content-type: application/json\r\n", json)
}

/// Answers a request with these header lines, each ended by CRLF, and this body.
pub(crate) fn answer_with(due: &str, status: u16, headers: &str, body: &str) -> Step {
    let length = match status {
        304 => String::new(),
        _ => format!("content-length: {}\r\n", body.len()),
    };
    let text = format!("HTTP/1.1 {status} x\r\n{headers}{length}connection: close\r\n\r\n{body}");
    Step {
        due: due.to_owned(),
        reaction: Reaction::Answer(text),
    }
}

/// Answers a request with a problem document.
pub(crate) fn problem(due: &str, status: u16, name: &str, rest: &str) -> Step {
    let json = format!(r#"{{"type":"/problems/{name}","title":"t","status":{status},{rest}}}"#);
    answer_with(
        due,
        status,
        "content-type: application/problem+json\r\n",
        &json,
    )
}

/// Reads a request and closes the connection.
pub(crate) fn hang_up(due: &str) -> Step {
    Step {
        due: due.to_owned(),
        reaction: Reaction::HangUp,
    }
}

/// Reads a request, says so to the receiver, and never answers.
pub(crate) fn hold(due: &str) -> (Step, Receiver<()>) {
    let (sender, receiver) = channel();
    let step = Step {
        due: due.to_owned(),
        reaction: Reaction::Hold(sender),
    };
    (step, receiver)
}

/// A server that answers by a script until [`ScriptedServer::finish`].
pub(crate) struct ScriptedServer {
    address: SocketAddr,
    thread: JoinHandle<(Vec<Step>, Vec<Request>)>,
}

impl ScriptedServer {
    /// Starts on a free port. Requests may come in another order than the steps; of several steps that are due for a
    /// request, the first one that is left is taken.
    pub(crate) fn start(steps: Vec<Step>) -> ScriptedServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || serve(&listener, steps));
        ScriptedServer { address, thread }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the server; the requests in the order in which they came.
    ///
    /// # Panics
    /// Where a step is left over, or a request came for which there was none.
    pub(crate) fn finish(self) -> Vec<Request> {
        // A connection without a request is the sign to end.
        drop(TcpStream::connect(self.address).unwrap());
        let (left, requests) = self.thread.join().unwrap();
        let left: Vec<&str> = left.iter().map(|step| step.due.as_str()).collect();
        assert!(
            left.is_empty(),
            "never asked for: {left:?}; asked: {requests:#?}"
        );
        requests
    }
}

fn serve(listener: &TcpListener, mut steps: Vec<Step>) -> (Vec<Step>, Vec<Request>) {
    let mut requests = Vec::new();
    let mut held = Vec::new();
    for connection in listener.incoming() {
        let mut connection = connection.unwrap();
        let Some(request) = read_request(&connection) else {
            break;
        };
        let step = steps.iter().position(|step| step.due == request.line);
        let step = step.map(|index| steps.remove(index));
        let step = step.unwrap_or_else(|| panic!("no step for {request:#?}"));
        requests.push(request);
        match step.reaction {
            Reaction::Answer(text) => {
                // The client may have gone in the meantime; what it says then is checked by the test.
                let _ = connection.write_all(text.as_bytes());
            }
            Reaction::HangUp => {}
            Reaction::Hold(sender) => {
                sender.send(()).unwrap();
                held.push(connection);
            }
        }
    }
    (steps, requests)
}

fn read_request(connection: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(connection);
    let mut lines = reader.by_ref().lines().map(|line| line.unwrap());
    let first = lines.next()?;
    let line = first.strip_suffix(" HTTP/1.1").unwrap().to_owned();
    let head: Vec<(String, String)> = lines
        .take_while(|line| !line.is_empty())
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        })
        .collect();
    let length = head.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    Some(Request { line, head, body })
}
