//! Where all output goes: stdout for what was asked for, stderr for everything around it. And where stdin is read.
//!
//! No other module of the client touches these. Bars stand on stderr, and step aside for every line that is written.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::error::Error;
use super::settings::Format;

/// Both outputs and what is known about them.
pub(super) struct Terminal {
    /// For whom the output is.
    pub(super) format: Format,
    /// Whether a person sees stdout as it comes: it is a terminal, neither file nor pipe.
    pub(super) shows_stdout: bool,
    out: RefCell<Box<dyn Write>>,
    err: RefCell<Box<dyn Write>>,
    /// Whether the reader of stdout has gone.
    closed: Cell<bool>,
    /// The bars on stderr; hidden where it is no terminal, and from programs.
    bars: MultiProgress,
}

impl Terminal {
    /// The outputs of this process.
    pub(super) fn new(format: Format) -> Terminal {
        let (out, err) = (std::io::stdout(), std::io::stderr());
        let shows_stdout = out.is_terminal();
        let target = match format {
            Format::Human => ProgressDrawTarget::stderr(),
            Format::Json | Format::Quiet => ProgressDrawTarget::hidden(),
        };
        Terminal {
            shows_stdout,
            bars: MultiProgress::with_draw_target(target),
            ..Terminal::over(Box::new(out), Box::new(err), format)
        }
    }

    /// Outputs that are no terminals.
    pub(super) fn over(out: Box<dyn Write>, err: Box<dyn Write>, format: Format) -> Terminal {
        Terminal {
            format,
            shows_stdout: false,
            out: RefCell::new(out),
            err: RefCell::new(err),
            closed: Cell::new(false),
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
        }
    }

    /// Prints a line on stdout.
    ///
    /// # Errors
    /// Where stdout cannot be written; that its reader has gone is none.
    pub(super) fn print(&self, line: &str) -> Result<(), Error> {
        self.write(format!("{line}\n").as_bytes())
    }

    /// Writes bytes to stdout as they are.
    ///
    /// # Errors
    /// As [`Terminal::print`].
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.bars.suspend(|| {
            let mut out = self.out.borrow_mut();
            out.write_all(bytes).and_then(|()| out.flush())
        });
        match written {
            // `bcrl ls | head -1` is nobody's mistake. What waits for jobs goes on, for the sake of its exit code.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed.set(true);
                Ok(())
            }
            other => other.map_err(Error::Output),
        }
    }

    /// Whether nobody reads stdout any more, so that there is no sense in fetching more for it.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Tells a person something by the way, on stderr; programs are not told.
    pub(super) fn note(&self, line: &str) {
        if self.format == Format::Human {
            self.warn(line);
        }
    }

    /// Writes a line to stderr, whoever is there.
    pub(super) fn warn(&self, line: &str) {
        self.bars.suspend(|| {
            // Where stderr is gone too, there is nobody left to tell.
            let _ = writeln!(self.err.borrow_mut(), "{line}");
        });
    }

    /// Whether bars can be seen.
    pub(super) fn shows_bars(&self) -> bool {
        !self.bars.is_hidden()
    }

    /// A new bar below those that are there. It is invisible where bars cannot be seen.
    pub(super) fn bar(&self, style: ProgressStyle) -> ProgressBar {
        self.bars.add(ProgressBar::no_length().with_style(style))
    }
}

/// Whether a person would have to type what is read from stdin.
pub(super) fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// All of stdin.
///
/// # Errors
/// Where it cannot be read or is not UTF-8.
pub(super) async fn read_stdin() -> Result<String, Error> {
    // On a thread of its own, so that Ctrl-C is heard while nothing comes.
    let read = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
    let text = read.await.expect("reading stdin does not panic");
    text.map_err(|cause| Error::File {
        path: "stdin".into(),
        cause,
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A pipe whose reader has gone, or a full disk.
    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn terminal(kind: ErrorKind) -> Terminal {
        Terminal::over(
            Box::new(Broken(kind)),
            Box::new(Broken(kind)),
            Format::Human,
        )
    }

    #[test]
    fn a_reader_who_has_gone_is_no_error() {
        let terminal = terminal(ErrorKind::BrokenPipe);
        assert!(terminal.print("first").is_ok());
        assert!(terminal.is_closed());
        terminal.warn("nobody hears this");
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let terminal = terminal(ErrorKind::StorageFull);
        assert!(matches!(terminal.print("first"), Err(Error::Output(_))));
        assert!(!terminal.is_closed());
    }
}
