//! A real HTTP server on a port of its own that is told of jobs' ends, and answers by a script.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use test_support::until;

use crate::support::PATIENCE;

/// What a receiver does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reaction {
    /// It answers with this status and these header lines.
    Answer(u16, String),
    /// It answers with 200, and a body that never ends.
    Endless,
    /// It reads the request and says nothing, for as long as it lives.
    Silence,
}

/// One event as it came.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Told {
    /// The value of a header, by its lower-case name.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.unwrap_or_else(|| panic!("{name} is missing: {self:?}"))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The job that it tells of.
    pub(crate) fn job(&self) -> String {
        self.json()["data"]["uuid"].as_str().unwrap().to_owned()
    }
}

/// A receiver that listens; its thread ends with the test.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
}

/// Answers with this status.
pub(crate) fn status(status: u16) -> Reaction {
    Reaction::Answer(status, String::new())
}

impl Receiver {
    /// Reacts so to one request after the other, and to all that follow as to the last.
    pub(crate) fn start(reactions: Vec<Reaction>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let receiver = Receiver {
            address,
            told: told.clone(),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, told, reactions) = (stream.unwrap(), told.clone(), reactions.clone());
                std::thread::spawn(move || react(stream, &told, &reactions));
            }
        });
        receiver
    }

    /// Takes everything.
    pub(crate) fn glad() -> Self {
        Self::start(vec![status(204)])
    }

    /// Where it is, by the address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The same by a name.
    pub(crate) fn named_url(&self) -> String {
        format!("http://localhost:{}/hook", self.address.port())
    }

    /// All that it was told so far.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until it was told so often.
    #[track_caller]
    pub(crate) fn until_told(&self, times: usize) -> Vec<Told> {
        until(&format!("{times} events"), PATIENCE, || {
            Some(self.told()).filter(|told| told.len() >= times)
        })
    }
}

fn react(mut stream: TcpStream, told: &Mutex<Vec<Told>>, reactions: &[Reaction]) {
    let Some(request) = read(&stream) else { return };
    let number = {
        let mut told = told.lock().unwrap();
        told.push(request);
        told.len()
    };
    // Whoever sent it may be killed by the test before it hears the answer.
    match reactions.get(number - 1).or(reactions.last()).unwrap() {
        Reaction::Answer(status, headers) => {
            let _ = write!(
                stream,
                "HTTP/1.1 {status} x\r\n{headers}content-length: 0\r\n\r\n"
            );
        }
        Reaction::Endless => {
            let _ = write!(stream, "HTTP/1.1 200 x\r\n\r\n");
            while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
        }
        Reaction::Silence => {
            // Until the sender gives up.
            let _ = stream.read(&mut [0]);
        }
    }
}

fn read(stream: &TcpStream) -> Option<Told> {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    lines.next().filter(|line| line.starts_with("POST /hook"))?;
    let headers: BTreeMap<_, _> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_lowercase(), value.to_owned()))
        })
        .collect();
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    Some(Told { headers, body })
}
