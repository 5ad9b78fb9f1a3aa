//! The summary, for people and for programs, and what it means for the exit code.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::load::Load;
use super::rate::Rate;
use super::tally::{Latencies, Tally};

/// What is summed up.
#[derive(Debug)]
pub(super) struct Report {
    url: String,
    api: String,
    rate: Rate,
    jobs: u32,
    /// How long it took, from the first job's turn to the end.
    elapsed: Duration,
    /// Whether somebody ended it before its time.
    interrupted: bool,
    tally: Tally,
}

impl Report {
    /// What was seen of this load until now.
    pub(super) fn new(load: &Load, elapsed: Duration, interrupted: bool) -> Self {
        Report {
            url: load.server.url().to_owned(),
            api: load.api.to_string(),
            rate: load.rate,
            jobs: load.jobs,
            elapsed,
            interrupted,
            tally: load.tally().clone(),
        }
    }

    /// The code for the shell.
    pub(super) fn exit_code(&self) -> u8 {
        match () {
            () if self.interrupted => 130,
            () if self.tally.broken => 4,
            () if self.tally.done == u64::from(self.jobs) => 0,
            () => 1,
        }
    }

    /// One JSON document. What was not measured is absent; times are in milliseconds.
    pub(super) fn json(&self) -> Value {
        let tally = &self.tally;
        let latencies = latencies(tally)
            .into_iter()
            .filter_map(|(name, latencies)| {
                let percentiles = latencies.percentiles()?.into_iter();
                let percentiles =
                    percentiles.map(|(name, time)| (name.to_owned(), json!(millis(time))));
                let name = name.replace(' ', "_");
                Some((name, Value::Object(percentiles.collect())))
            });
        let refused = tally.refused.iter();
        let refused = refused.map(|(status, (count, _))| (status.to_string(), json!(count)));
        json!({
            "url": self.url,
            "api": self.api,
            "rate_per_s": self.rate.per_second(),
            "jobs": self.jobs,
            "elapsed_ms": millis(self.elapsed),
            "interrupted": self.interrupted,
            "submitted": tally.submitted,
            "accepted": tally.accepted,
            "refused": refused.collect::<Map<_, _>>(),
            "done": tally.done,
            "failed": tally.failed,
            "canceled": tally.canceled,
            "errors": tally.errors,
            "under_way": tally.under_way(),
            "latency_ms": latencies.collect::<Map<_, _>>(),
        })
    }

    /// A page for a person.
    pub(super) fn text(&self) -> String {
        let tally = &self.tally;
        let elapsed = self.elapsed.as_secs_f64();
        let mut text = format!(
            "{} of {} jobs for {} at {}, {}, in {elapsed:.1} s{}\n\n",
            tally.submitted,
            self.jobs,
            self.api,
            self.url,
            self.rate,
            if self.interrupted {
                ", interrupted"
            } else {
                ""
            }
        );
        let mut line = |name: &str, count: u64, why: String| {
            let line = format!("  {name:<10}{count:>8}   {why}");
            writeln!(text, "{}", line.trim_end()).expect("text grows");
        };
        let refused = tally.refused.iter().map(|(status, (count, reason))| {
            let reason = reason
                .as_ref()
                .map_or(String::new(), |reason| format!(" ({reason})"));
            format!("{status}: {count}{reason}")
        });
        line("submitted", tally.submitted, String::new());
        line("accepted", tally.accepted, String::new());
        line("refused", tally.refused_in_all(), joined(refused));
        line("done", tally.done, String::new());
        line(
            "failed",
            tally.failed_in_all(),
            joined(counts(&tally.failed)),
        );
        line("canceled", tally.canceled, String::new());
        line(
            "errors",
            tally.errors_in_all(),
            joined(counts(&tally.errors)),
        );
        if tally.under_way() > 0 {
            line("under way", tally.under_way(), String::new());
        }
        text + &table(tally)
    }
}

/// The latencies with their names.
fn latencies(tally: &Tally) -> [(&'static str, &Latencies); 3] {
    [
        ("submit", &tally.submit),
        ("submit to done", &tally.seen_done),
        ("by the dates", &tally.dated),
    ]
}

/// The latencies in columns; nothing where nothing was measured.
fn table(tally: &Tally) -> String {
    let mut text = String::new();
    for (name, latencies) in latencies(tally) {
        let Some(percentiles) = latencies.percentiles() else {
            continue;
        };
        if text.is_empty() {
            let heads = percentiles.map(|(name, _)| format!("{name:>11}"));
            text = format!("\n  {:<15}{}\n", "latency", heads.concat());
        }
        let cells = percentiles.map(|(_, time)| format!("{:>11}", shown(time)));
        writeln!(text, "  {name:<15}{}", cells.concat()).expect("text grows");
    }
    text
}

fn counts(counts: &std::collections::BTreeMap<String, u64>) -> impl Iterator<Item = String> {
    counts
        .iter()
        .map(|(what, count)| format!("{what}: {count}"))
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// Milliseconds with three decimals.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// A time to about three digits.
fn shown(time: Duration) -> String {
    let millis = millis(time);
    match millis {
        ..10.0 => format!("{millis:.2} ms"),
        ..100.0 => format!("{millis:.1} ms"),
        ..1000.0 => format!("{millis:.0} ms"),
        ..100_000.0 => format!("{:.2} s", millis / 1e3),
        _ => format!("{:.0} s", millis / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tally::Outcome;

    fn report(jobs: u32, outcomes: impl IntoIterator<Item = Outcome>) -> Report {
        let mut tally = Tally::new();
        for outcome in outcomes {
            tally.submitted += 1;
            tally.accepted += u64::from(!matches!(outcome, Outcome::Refused(..)));
            tally.end(outcome);
        }
        Report {
            url: "http://127.0.0.1:8080".into(),
            api: "add".into(),
            rate: "10/s".parse().unwrap(),
            jobs,
            elapsed: Duration::from_millis(2300),
            interrupted: false,
            tally,
        }
    }

    #[test]
    fn only_when_all_are_done_all_is_well() {
        let code = |jobs, outcomes: Vec<Outcome>| report(jobs, outcomes).exit_code();
        assert_eq!(code(2, vec![Outcome::Done, Outcome::Done]), 0);
        assert_eq!(code(2, vec![Outcome::Done]), 1);
        for other in [
            Outcome::Refused(503, None),
            Outcome::Failed("timeout".into()),
            Outcome::Canceled,
            Outcome::Error("result: 502".into()),
        ] {
            assert_eq!(code(2, vec![Outcome::Done, other]), 1);
        }
        let broken = || Outcome::Broken("submit: connection refused".into());
        assert_eq!(code(2, vec![Outcome::Done, broken()]), 4);
        let mut interrupted = report(2, [broken()]);
        interrupted.interrupted = true;
        assert_eq!(interrupted.exit_code(), 130);
    }

    #[test]
    fn a_person_sees_what_became_of_the_jobs_and_how_long_it_took() {
        let mut report = report(
            7,
            [
                Outcome::Done,
                Outcome::Refused(503, Some("the queue is full".into())),
                Outcome::Failed("timeout".into()),
                Outcome::Failed("exit_code".into()),
                Outcome::Failed("timeout".into()),
                Outcome::Error("result: 502".into()),
            ],
        );
        report.tally.submitted += 1;
        report.tally.submit.record(Duration::from_micros(2340));
        report.tally.seen_done.record(Duration::from_millis(2050));
        assert_eq!(
            report.text(),
            "\
7 of 7 jobs for add at http://127.0.0.1:8080, 10/s, in 2.3 s

  submitted        7
  accepted         5
  refused          1   503: 1 (the queue is full)
  done             1
  failed           3   exit_code: 1, timeout: 2
  canceled         0
  errors           1   result: 502: 1
  under way        1

  latency                p50        p90        p95        p99        max
  submit             2.34 ms    2.34 ms    2.34 ms    2.34 ms    2.34 ms
  submit to done      2.05 s     2.05 s     2.05 s     2.05 s     2.05 s
"
        );
    }

    #[test]
    fn a_program_gets_the_same_as_numbers() {
        let mut report = report(2, [Outcome::Done, Outcome::Refused(422, Some("no".into()))]);
        report.tally.submit.record(Duration::from_micros(1500));
        assert_eq!(
            report.json(),
            json!({
                "url": "http://127.0.0.1:8080", "api": "add", "rate_per_s": 10.0, "jobs": 2,
                "elapsed_ms": 2300.0, "interrupted": false, "submitted": 2, "accepted": 1,
                "refused": {"422": 1}, "done": 1, "failed": {}, "canceled": 0, "errors": {}, "under_way": 0,
                "latency_ms": {"submit": {"p50": 1.5, "p90": 1.5, "p95": 1.5, "p99": 1.5, "max": 1.5}},
            })
        );
    }

    #[test]
    fn times_are_shown_to_about_three_digits() {
        for (micros, text) in [
            (0, "0.00 ms"),
            (1_234, "1.23 ms"),
            (45_678, "45.7 ms"),
            (678_900, "679 ms"),
            (1_234_000, "1.23 s"),
            (123_456_000, "123 s"),
        ] {
            assert_eq!(shown(Duration::from_micros(micros)), text);
        }
    }
}
