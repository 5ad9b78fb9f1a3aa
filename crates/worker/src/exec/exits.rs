//! The supervisor's end of the socket to the init, and how it hears of the script's exit.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use rustix::process::Signal as Number;
use tokio::signal::unix::Signal;

use super::init::{Brief, Word};
use super::tree::{Exit, Tree};

/// What is read at once.
const CHUNK: usize = 1024;

/// The socket while the script is being started: whoever speaks is waited for.
pub(super) struct Init {
    socket: UnixStream,
    heard: Heard,
}

impl Init {
    /// Hands the brief over.
    pub(super) fn brief(mut socket: UnixStream, brief: &Brief) -> io::Result<Self> {
        let mut line = serde_json::to_vec(brief)?;
        line.push(b'\n');
        socket.write_all(&line)?;
        let heard = Heard::default();
        Ok(Self { socket, heard })
    }

    /// What it says next; nothing where it has ended, or become the script.
    pub(super) fn word(&mut self) -> Option<Word> {
        let mut chunk = [0; CHUNK];
        loop {
            if let Some(word) = self.heard.word() {
                return Some(word);
            }
            match self.socket.read(&mut chunk) {
                Ok(0) => return None,
                Ok(read) => self.heard.bytes.extend(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// From now on it is listened to beside other things.
    pub(super) fn beside(self) -> io::Result<Exits> {
        self.socket.set_nonblocking(true)?;
        Ok(Exits::Told {
            socket: tokio::net::UnixStream::from_std(self.socket)?,
            heard: self.heard,
            exit: None,
        })
    }
}

/// Lines that have come in, as far as they have.
#[derive(Default)]
pub(super) struct Heard {
    bytes: VecDeque<u8>,
}

impl Heard {
    fn word(&mut self) -> Option<Word> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.bytes.drain(..=end).collect();
        serde_json::from_slice(&line).ok()
    }
}

/// How the supervisor hears of the script's exit.
pub(super) enum Exits {
    /// It is its own child, whose end the kernel tells it.
    Child(Signal),
    /// It is the init's child.
    Told {
        socket: tokio::net::UnixStream,
        heard: Heard,
        exit: Option<Exit>,
    },
}

impl Exits {
    /// Waits until somebody may have ended.
    pub(super) async fn news(&mut self) {
        match self {
            Exits::Child(signal) => {
                signal.recv().await;
            }
            Exits::Told {
                socket, exit: None, ..
            } => {
                // An error shows in the reading.
                let _ = socket.readable().await;
            }
            Exits::Told { .. } => std::future::pending().await,
        }
    }

    /// How the script ended, if it has.
    pub(super) fn exit(&mut self, tree: Tree) -> Option<Exit> {
        let Exits::Told {
            socket,
            heard,
            exit,
        } = self
        else {
            return tree.root_exit();
        };
        let mut chunk = [0; CHUNK];
        while exit.is_none() {
            if let Some(word) = heard.word() {
                if let Word::Exited(ended) = word {
                    *exit = Some(ended);
                }
                continue;
            }
            match socket.try_read(&mut chunk) {
                Ok(read @ 1..) => heard.bytes.extend(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The namespace is gone, and the script with it: somebody killed its init.
                Ok(_) | Err(_) => *exit = Some(Exit::Signal(Number::KILL.as_raw())),
            }
        }
        *exit
    }
}
