//! Checks a whole folder against its protocol, and mends it on request: `bcrl fsck`.
//!
//! Looking changes nothing and needs no lock; what looks wrong is looked at again under the lock, because services may
//! be at work meanwhile. Mending is what a sweep would do, and the clean-up that no sweep is sure enough to do by
//! itself. Nothing is thrown away that is not the protocol's own: it goes to the quarantine. Done twice, it changes
//! nothing the second time.

mod survey;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use job_core::date::Date;
use job_core::ids::JobId;
use job_core::status::Status;
use serde::Serialize;

use crate::error::FolderError;
use crate::folder::{Options, SharedFolder};
use crate::guard::Guard;
use crate::heartbeat::gone_from_this_machine;
use crate::observer::Observer;
use crate::recover::settle_job;
use survey::survey;

/// Jobs that are mended in one go before others may have the lock.
const BATCH: usize = 200;

/// What a check does about what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It tells.
    Check,
    /// It mends what can be mended.
    Repair,
}

/// What was found wrong, by the word that programs know it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// There are facts, but no index.
    IndexMissing,
    /// The index cannot be read.
    IndexDamaged,
    /// One entry of the index breaks the contract.
    EntryDamaged,
    /// A request has no entry in the index.
    EntryMissing,
    /// The entry says something else than the facts.
    EntryBehind,
    /// A job ended, and no receipt says so.
    ReceiptMissing,
    /// A receipt cannot be read.
    ReceiptDamaged,
    /// A response without a receipt is no JSON document.
    ResponseDamaged,
    /// A done job's result is gone.
    ResultMissing,
    /// A done job's result is not what was published.
    ResultChanged,
    /// A job's worker has died on this machine.
    WorkerLost,
    /// Retention was cut off in the middle of a job.
    DeletionUnfinished,
    /// A lease cannot be read.
    LeaseDamaged,
    /// A file belongs to no job, or to one that needs it no more.
    Leftover,
    /// A fact may be written to.
    FactWritable,
    /// Something is not the protocol's.
    Foreign,
}

impl Check {
    /// Whether it is only worth knowing: nothing is wrong with the folder.
    pub fn is_note(self) -> bool {
        self == Check::Foreign
    }
}

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was told, and nothing was tried.
    Found,
    /// It was mended.
    Mended,
    /// It cannot be mended from here, or came back.
    Left,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub check: Check,
    /// The job, where it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The file, beneath the folder.
    pub file: String,
    /// What is wrong.
    pub message: String,
    /// What mends it: what a repair does, or what a person can do.
    pub remedy: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a check found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Jobs in the index, by status.
    pub jobs: BTreeMap<Status, usize>,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// Things in the quarantine.
    pub quarantined: usize,
}

impl Report {
    /// Whether anything is wrong and was not mended.
    pub fn has_trouble_left(&self) -> bool {
        let is_left =
            |finding: &Finding| !finding.check.is_note() && finding.outcome != Outcome::Mended;
        self.findings.iter().any(is_left)
    }

    /// How many findings were mended.
    pub fn mended(&self) -> usize {
        let mended = |finding: &&Finding| finding.outcome == Outcome::Mended;
        self.findings.iter().filter(mended).count()
    }
}

/// Checks the folder at `root`, which must be one already; `tell` is told how many of how many files were looked at.
///
/// # Errors
/// [`FolderError::Unsuitable`] where there is no shared folder at `root`, or it belongs to another user (what this
/// process made there would shut its services out); else trouble with the volume, or [`FolderError::Busy`].
pub fn fsck(
    root: &Path,
    options: Options,
    mode: Mode,
    now: Date,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Report, FolderError> {
    refuse_others(root, options.group)?;
    let folder = SharedFolder::open(root, options)?;
    let report = survey(&folder, now, tell)?;
    if mode == Mode::Check || !report.has_trouble_left() {
        return Ok(report);
    }
    let why_not = mend(&folder, &report.findings, now)?;
    let after = survey(&folder, now, tell)?;
    Ok(compare(report, after, &why_not))
}

/// What was there before and is not any more was mended; what is still there is left, with the reason where it was
/// tried.
fn compare(before: Report, mut after: Report, why_not: &HashMap<String, String>) -> Report {
    let key = |finding: &Finding| (finding.check, finding.job, finding.file.clone());
    let still: HashSet<_> = after.findings.iter().map(key).collect();
    for finding in &mut after.findings {
        finding.outcome = Outcome::Left;
        if let Some(why) = why_not.get(&finding.file) {
            finding.message.push_str("; it could not be mended: ");
            finding.message.push_str(why);
        }
    }
    let mended = before.findings.into_iter();
    let mended = mended.filter(|finding| !still.contains(&key(finding)));
    let mut findings: Vec<_> = mended
        .map(|finding| Finding {
            outcome: Outcome::Mended,
            ..finding
        })
        .collect();
    findings.append(&mut after.findings);
    Report { findings, ..after }
}

fn refuse_others(root: &Path, group: Option<u32>) -> Result<(), FolderError> {
    use std::os::unix::fs::MetadataExt;
    let unsuitable = |reason: String| FolderError::Unsuitable {
        path: root.to_owned(),
        reason,
    };
    let request = std::fs::metadata(root.join("request"));
    let Ok(metadata) = request else {
        return Err(unsuitable(
            "there is no shared folder: it has no folder request/".into(),
        ));
    };
    let (owner, me) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != me && group.is_none() {
        return Err(unsuitable(format!(
            "it belongs to user {owner}, and this process is user {me}, whose files the services could not read; run it \
             as that user"
        )));
    }
    Ok(())
}

/// Somebody who knows which workers of this machine are dead, and takes every other one for alive.
fn observer(folder: &SharedFolder) -> Result<Observer<'static>, FolderError> {
    Ok(Observer {
        gone: gone_from_this_machine(folder, &folder.heartbeats()?),
        ..Observer::nobody()
    })
}

/// Mends what was found, a batch under each lock; what has become right in the meantime is left alone. Returns what
/// could not be mended, by its file, with the reason.
fn mend(
    folder: &SharedFolder,
    findings: &[Finding],
    now: Date,
) -> Result<HashMap<String, String>, FolderError> {
    let observer = observer(folder)?;
    let mut why_not = HashMap::new();
    // Taking the lock mends the index itself.
    drop(folder.lock(now)?);
    for batch in findings.chunks(BATCH) {
        let mut guard = folder.lock(now)?;
        for finding in batch {
            if let Err(error) = mend_one(&mut guard, finding, &observer) {
                why_not.insert(finding.file.clone(), error.with_reason());
            }
        }
        guard.commit()?;
    }
    Ok(why_not)
}

fn mend_one(
    guard: &mut Guard<'_>,
    finding: &Finding,
    observer: &Observer<'_>,
) -> Result<(), FolderError> {
    let folder = guard.folder;
    let (beneath, name) = finding.file.rsplit_once('/').unwrap_or(("", &finding.file));
    let Some((_, dir)) = folder
        .dirs
        .all()
        .into_iter()
        .find(|(name, _)| *name == beneath)
    else {
        return Ok(());
    };
    match (finding.check, finding.job) {
        (Check::Leftover, None) => {
            dir.remove(name)?;
        }
        (Check::Leftover, Some(uuid)) => {
            let open = guard
                .queue()
                .get(uuid)
                .is_some_and(|entry| !entry.status().is_final());
            if !open {
                dir.remove(name)?;
            }
        }
        (Check::LeaseDamaged, Some(uuid)) => {
            guard.lease(uuid)?;
        }
        (Check::FactWritable, Some(_)) => {
            dir.seal(name)?;
        }
        (Check::IndexMissing | Check::IndexDamaged | Check::EntryDamaged | Check::Foreign, _)
        | (Check::ResultMissing | Check::ResultChanged, _) => {}
        (_, Some(uuid)) => {
            settle_job(guard, uuid, observer)?;
        }
        (_, None) => {}
    }
    Ok(())
}
