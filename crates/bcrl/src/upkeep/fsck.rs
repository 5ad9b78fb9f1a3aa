//! `bcrl fsck`: is the shared folder as it should be, and what mends it.

use std::fmt::Write as _;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shared_folder::fsck::{Finding, Mode, Outcome, Report, fsck};

use super::{Place, Site, print, shown, shown_path, with_site};

/// What `bcrl fsck` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --repair nothing is changed. Services may be at work meanwhile: what looks wrong is
looked at again while nobody writes. What cannot be used is moved to quarantine/ with its reason
(see bcrl quarantine), never thrown away. Files that the protocol does not know are listed, and
stay.

Exit codes: 0 all is in order, 1 everything that was found was mended, 2 the call was wrong,
4 something is not in order, 8 the folder could not be checked, 78 the settings cannot be used.

Examples:
  bcrl fsck
  bcrl fsck --repair
  bcrl fsck --json | jq -r '.findings[].message'")]
pub struct FsckArgs {
    #[command(flatten)]
    place: Place,
    /// Mend what can be mended
    #[arg(long)]
    repair: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Everything was mended.
const MENDED: u8 = 1;
/// Something is not in order.
const LEFT: u8 = 4;

/// Checks the folder, tells what was found, and mends it where that is asked for.
pub fn main(args: &FsckArgs) -> ExitCode {
    with_site(&args.place, |site| {
        let mode = if args.repair {
            Mode::Repair
        } else {
            Mode::Check
        };
        let report = run(site, mode)?;
        if args.json {
            print(format!("{}\n", serde_json::to_string(&report)?).as_bytes())?;
        } else {
            print(tell(site, mode, &report).as_bytes())?;
        }
        Ok(match (report.has_trouble_left(), report.mended()) {
            (true, _) => ExitCode::from(LEFT),
            (false, 0) => ExitCode::SUCCESS,
            (false, _) => ExitCode::from(MENDED),
        })
    })
}

fn run(site: &Site, mode: Mode) -> anyhow::Result<Report> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} jobs looked at, {elapsed}")?;
    bar.set_style(style);
    let mut tell = |looked_at: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(looked_at as u64);
    };
    let now = site.clock.now();
    let report = fsck(&site.shared_dir, site.options.clone(), mode, now, &mut tell);
    bar.finish_and_clear();
    Ok(report?)
}

fn tell(site: &Site, mode: Mode, report: &Report) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("text grows");
    for finding in &report.findings {
        line(told(finding));
        line(format!("          {}", remedy(finding)));
    }
    let total: usize = report.jobs.values().sum();
    let by_status: Vec<_> = report
        .jobs
        .iter()
        .map(|(status, jobs)| format!("{jobs} {}", status.as_str()))
        .collect();
    let by_status = match by_status.as_slice() {
        [] => String::new(),
        some => format!(" ({})", some.join(", ")),
    };
    line(format!(
        "{}: {total} jobs{by_status}",
        shown_path(&site.shared_dir)
    ));
    if report.quarantined > 0 {
        line(format!(
            "{} put aside: see bcrl quarantine ls",
            things(report.quarantined)
        ));
    }
    let wrong = report.findings.iter();
    let wrong = wrong
        .filter(|finding| !finding.check.is_note() && finding.outcome != Outcome::Mended)
        .count();
    line(match (wrong, report.mended(), mode) {
        (0, 0, _) => "all is in order".to_owned(),
        (0, mended, _) => format!("{} mended, all is in order now", things(mended)),
        (wrong, _, Mode::Check) => format!(
            "{} not in order: bcrl fsck --repair mends what can be mended",
            things(wrong)
        ),
        (wrong, mended, Mode::Repair) => format!(
            "{} mended, {} left, which cannot be mended from here",
            things(mended),
            things(wrong)
        ),
    });
    text
}

fn told(finding: &Finding) -> String {
    let word = match finding.outcome {
        _ if finding.check.is_note() => "note    ",
        Outcome::Found => "PROBLEM ",
        Outcome::Mended => "mended  ",
        Outcome::Left => "LEFT    ",
    };
    format!(
        "{word}  {}: {}",
        shown(&finding.file),
        shown(&finding.message)
    )
}

fn remedy(finding: &Finding) -> String {
    match finding.outcome {
        Outcome::Mended => format!("done: {}", finding.remedy),
        _ => format!("to do: {}", finding.remedy),
    }
}

fn things(count: usize) -> String {
    match count {
        1 => "1 thing".to_owned(),
        count => format!("{count} things"),
    }
}
