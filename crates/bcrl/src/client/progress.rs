//! How a job is seen while it is waited for: a bar where stderr is a terminal, else a line for each change. How it
//! ended is not shown here; that is the command's own output.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use job_core::status::Status;

use super::job::Job;
use super::show::plain;
use super::terminal::Terminal;

/// Least time between two lines about the same status of the same run, for scripts that tell their progress in small steps.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// One job's place on stderr. The bar goes away with it.
pub(super) struct JobLine<'a> {
    terminal: &'a Terminal,
    /// What tells this job from the others that are shown.
    name: String,
    bar: ProgressBar,
    /// What was last written where there are no bars.
    last: RefCell<Option<Written>>,
}

/// A line in a log.
struct Written {
    status: Status,
    attempt: Option<u32>,
    line: String,
    at: Instant,
}

impl<'a> JobLine<'a> {
    /// A place for the job that a person knows as `name`.
    pub(super) fn new(terminal: &'a Terminal, name: String) -> Self {
        let bar = terminal.bar(without_percent()).with_prefix(name.clone());
        if terminal.shows_bars() {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        JobLine {
            terminal,
            name,
            bar,
            last: RefCell::default(),
        }
    }

    /// Shows how the job stands now.
    pub(super) fn show(&self, job: &Job) {
        if self.terminal.shows_bars() {
            self.move_bar(job);
        } else if !job.status.is_final() {
            self.write_line(job);
        }
    }

    fn move_bar(&self, job: &Job) {
        let progress = job
            .progress
            .as_ref()
            .filter(|_| job.status == Status::Processing);
        match progress.and_then(|progress| progress.percent) {
            Some(percent) => {
                let message = progress.and_then(|progress| progress.message.as_deref());
                self.bar.set_style(with_percent());
                self.bar.set_length(100);
                self.bar.set_position(percent.clamp(0.0, 100.0) as u64);
                self.bar.set_message(plain(message.unwrap_or_default()));
            }
            None => {
                self.bar.set_style(without_percent());
                self.bar.set_message(plain(&job.standing()));
            }
        }
    }

    fn write_line(&self, job: &Job) {
        let line = format!("{} {}", self.name, plain(&job.standing()));
        let mut last = self.last.borrow_mut();
        let is_worth_it = last.as_ref().is_none_or(|last| {
            (last.status, last.attempt) != (job.status, job.attempt)
                || (last.line != line && last.at.elapsed() >= BETWEEN_LINES)
        });
        if is_worth_it {
            self.terminal.note(&line);
            *last = Some(Written {
                status: job.status,
                attempt: job.attempt,
                line,
                at: Instant::now(),
            });
        }
    }
}

impl Drop for JobLine<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A bar for a body of known or unknown size.
pub(super) fn download_bar(terminal: &Terminal, size: Option<u64>) -> ProgressBar {
    let bar = match size {
        Some(_) => terminal.bar(style(
            "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        )),
        None => terminal.bar(style("{spinner} {bytes} {bytes_per_sec}")),
    };
    if let Some(size) = size {
        bar.set_length(size);
    }
    bar
}

fn with_percent() -> ProgressStyle {
    style("{spinner} {prefix} {bar:24} {percent:>3} % {elapsed_precise} {wide_msg}")
}

fn without_percent() -> ProgressStyle {
    style("{spinner} {prefix} {elapsed_precise} {wide_msg}")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates of this module are well formed")
        .progress_chars("━╸─")
}
