//! One look at everything in the folder. Nothing is changed by it.

use std::collections::{BTreeMap, HashSet};

use job_core::date::Date;
use job_core::files::Receipt;
use job_core::ids::JobId;
use job_core::queue::Queue;
use job_core::recovery::Settlement;
use job_core::status::{State, Status};

use super::{Check, Finding, Outcome, Report, observer};
use crate::dir::{Dir, TEMPORARY, job_of};
use crate::error::{Because, FolderError};
use crate::finish::digest_of;
use crate::folder::{NAMES, SharedFolder};
use crate::index::{Document, INDEX, PREVIOUS};
use crate::lock::LOCK;
use crate::observer::lease_of;
use crate::recover::{Look, is_json, look};
use crate::snapshot::read_all;
use crate::sweep::{Duty, TEMPORARY_AGE};

/// Looks at everything; where something looks wrong, once more while nobody writes.
pub(super) fn survey(
    folder: &SharedFolder,
    now: Date,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Report, FolderError> {
    let first = look_at_all(folder, now, None, tell)?;
    if !first.has_trouble_left() {
        return Ok(first);
    }
    let suspects = first
        .findings
        .iter()
        .filter_map(|finding| finding.job)
        .collect();
    let _nobody_writes = folder
        .lock
        .share(&folder.dirs.request, folder.options.patience)?;
    look_at_all(folder, now, Some(suspects), tell)
}

/// Looks at everything; at the files of these jobs only, where they are named.
fn look_at_all(
    folder: &SharedFolder,
    now: Date,
    only: Option<HashSet<JobId>>,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Report, FolderError> {
    let mut survey = Survey {
        folder,
        now,
        only,
        queue: Queue::default(),
        findings: Vec::new(),
    };
    if survey.index()? {
        survey.out_of_order()?;
    }
    survey.ended_jobs(tell)?;
    survey.facts_modes()?;
    survey.leases()?;
    survey.leftovers()?;
    survey.temporaries()?;
    survey.foreign()?;
    let mut jobs = BTreeMap::new();
    for entry in survey.queue.iter() {
        *jobs.entry(entry.status()).or_default() += 1;
    }
    Ok(Report {
        jobs,
        findings: survey.findings,
        quarantined: folder.quarantined()?.len(),
    })
}

/// One look at everything.
struct Survey<'a> {
    folder: &'a SharedFolder,
    now: Date,
    /// The jobs whose files are looked at, where it is not all.
    only: Option<HashSet<JobId>>,
    queue: Queue,
    findings: Vec<Finding>,
}

impl Survey<'_> {
    fn find(
        &mut self,
        check: Check,
        job: Option<JobId>,
        file: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.findings.push(Finding {
            check,
            job,
            file: file.into(),
            message: message.into(),
            remedy: remedy.into(),
            outcome: Outcome::Found,
        });
    }

    /// Reads the index; whether the jobs can be compared with it.
    fn index(&mut self) -> Result<bool, FolderError> {
        let dirs = &self.folder.dirs;
        let file = format!("request/{INDEX}");
        let rebuild = "rebuild it from its last good generation and the facts";
        let damaged = match dirs.request.open_file(INDEX) {
            Ok(Some(open)) => {
                let text = read_all(&open).because("read", &dirs.request.at(INDEX));
                match text.map(|text| Document::parse(&text, None)) {
                    Ok(Ok(parsed)) => {
                        for (text, reason) in parsed.bad {
                            let short: String = text.chars().take(200).collect();
                            let message = format!("{reason}: {short}");
                            self.find(
                                Check::EntryDamaged,
                                None,
                                &file,
                                message,
                                "put this entry aside",
                            );
                        }
                        self.queue = parsed.document.queue;
                        return Ok(true);
                    }
                    Ok(Err(damage)) => damage.to_string(),
                    Err(error) => error.to_string(),
                }
            }
            Ok(None) => {
                let has_facts = |dir: &Dir| -> Result<bool, FolderError> {
                    Ok(dir.names()?.iter().any(|name| job_of(name).is_some()))
                };
                if !has_facts(&dirs.request)? && !has_facts(&dirs.receipt)? {
                    return Ok(true);
                }
                self.find(Check::IndexMissing, None, file, "it is gone", rebuild);
                return Ok(false);
            }
            Err(error) => error.to_string(),
        };
        self.find(Check::IndexDamaged, None, file, damaged, rebuild);
        Ok(false)
    }

    /// The jobs that are looked at and have a file in this folder.
    fn ids(&self, dir: &Dir) -> Result<HashSet<JobId>, FolderError> {
        let names = dir.names()?;
        let ids = names.iter().filter_map(|name| job_of(name));
        Ok(ids.filter(|uuid| self.is_asked_for(*uuid)).collect())
    }

    fn is_asked_for(&self, uuid: JobId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&uuid))
    }

    /// The rows of the recovery table.
    fn out_of_order(&mut self) -> Result<(), FolderError> {
        let (folder, now) = (self.folder, self.now);
        let observer = observer(folder)?;
        for uuid in observer.suspects(folder, &self.queue, Duty::Rescue, now)? {
            let entry = self.queue.get(uuid).cloned();
            let seen = look(folder, uuid, entry.as_deref(), &observer, now)?;
            let says = entry.as_ref().map(|entry| entry.status().as_str());
            let says = says.map_or("nothing".to_owned(), |word| format!("\"{word}\""));
            let (request, receipt, response) = (
                format!("request/{uuid}.json"),
                format!("receipt/{uuid}.json"),
                format!("response/{uuid}.json"),
            );
            let (check, file, message, remedy) = match seen {
                Look::BrokenReceipt => (
                    Check::ReceiptDamaged,
                    receipt,
                    "it is no receipt".to_owned(),
                    "put it aside, and write the job's end anew from its other files".to_owned(),
                ),
                Look::Is(Settlement::Settled) => continue,
                Look::Is(Settlement::Enter(State::Pending)) => (
                    Check::EntryMissing,
                    request,
                    "the index does not know this request".into(),
                    "enter it as pending, at its place by date".into(),
                ),
                Look::Is(Settlement::Enter(state)) => (
                    Check::EntryBehind,
                    format!("request/{INDEX}"),
                    format!(
                        "the index says {says}, the facts say \"{}\"",
                        state.status()
                    ),
                    "let the index say what the facts say".into(),
                ),
                Look::Is(Settlement::WriteReceipt(state)) => (
                    Check::ReceiptMissing,
                    receipt,
                    format!(
                        "there is none; the index says {says}, and by its files the job is \"{}\"{}",
                        state.status(),
                        why(&state)
                    ),
                    "write the receipt".into(),
                ),
                Look::Is(Settlement::QuarantineResponse) => (
                    Check::ResponseDamaged,
                    response,
                    "it is no JSON document".into(),
                    "put it aside; the job waits again, or has failed".into(),
                ),
                Look::Is(Settlement::Rescue) => (
                    Check::WorkerLost,
                    format!("lease/{uuid}.json"),
                    "the process of its worker has ended on this machine".into(),
                    "let the job wait again, or fail where it was lost too often".into(),
                ),
                Look::Is(Settlement::FinishDeletion) => (
                    Check::DeletionUnfinished,
                    receipt,
                    "its request is gone, and it ended longer ago than jobs are kept".into(),
                    "remove the rest of the job".into(),
                ),
                Look::Is(Settlement::Forget) => (
                    Check::Leftover,
                    format!("cancel/{uuid}"),
                    "there is no such job".into(),
                    "remove it".into(),
                ),
            };
            self.find(check, Some(uuid), file, message, remedy);
        }
        Ok(())
    }

    /// Receipts can be read, and results are what was published.
    fn ended_jobs(&mut self, tell: &mut dyn FnMut(usize, usize)) -> Result<(), FolderError> {
        let folder = self.folder;
        let receipts = self.ids(&folder.dirs.receipt)?;
        let known: HashSet<_> = self.findings.iter().filter_map(|found| found.job).collect();
        for (number, uuid) in receipts.iter().enumerate() {
            tell(number, receipts.len());
            if known.contains(uuid) {
                continue;
            }
            let file = format!("receipt/{uuid}.json");
            match folder.receipt(*uuid) {
                Ok(Some(receipt)) => {
                    self.entry_of(&receipt);
                    if receipt.status == Status::Done {
                        self.result(&receipt)?;
                    }
                }
                Ok(None) => self.find(
                    Check::ReceiptDamaged,
                    Some(*uuid),
                    file,
                    "it is no receipt",
                    "put it aside, and write the job's end anew from its other files",
                ),
                Err(error) => self.find(
                    Check::ReceiptDamaged,
                    Some(*uuid),
                    file,
                    error.with_reason(),
                    "see to it that this user can read it, and check again",
                ),
            }
        }
        tell(receipts.len(), receipts.len());
        Ok(())
    }

    fn result(&mut self, receipt: &Receipt) -> Result<(), FolderError> {
        let (folder, uuid) = (self.folder, receipt.uuid);
        let file = format!("response/{uuid}.json");
        let remedy =
            "nothing here can bring it back: take it from a backup, or submit the job again";
        let open = match folder.response(uuid) {
            Ok(Some(open)) => open,
            Ok(None) => {
                self.find(Check::ResultMissing, Some(uuid), file, "it is gone", remedy);
                return Ok(());
            }
            Err(error) => {
                let message = error.with_reason();
                self.find(Check::ResultChanged, Some(uuid), file, message, remedy);
                return Ok(());
            }
        };
        let changed = match &receipt.sha256.response {
            Some(published) => match digest_of(&open) {
                Ok(now) if now == *published => None,
                Ok(_) => Some("its SHA-256 is not the one in the receipt".to_owned()),
                Err(error) => Some(format!("it cannot be read: {error}")),
            },
            None => {
                let valid = is_json(folder, &format!("{uuid}.json"));
                (!valid).then(|| "it is no JSON document".to_owned())
            }
        };
        if let Some(message) = changed {
            self.find(Check::ResultChanged, Some(uuid), file, message, remedy);
        }
        Ok(())
    }

    /// The index says what the receipt says. (An entry that is not final is out of order, and told as that.)
    fn entry_of(&mut self, receipt: &Receipt) {
        let entry = self.queue.get(receipt.uuid);
        let status = entry.map(|entry| entry.status());
        let Some(status) = status.filter(|status| status.is_final() && *status != receipt.status)
        else {
            return;
        };
        let (says, is) = (status.as_str(), receipt.status.as_str());
        self.find(
            Check::EntryBehind,
            Some(receipt.uuid),
            format!("request/{INDEX}"),
            format!("it says \"{says}\", and the receipt \"{is}\""),
            "let the index say what the receipt says",
        );
    }

    /// Nobody may write to a fact.
    fn facts_modes(&mut self) -> Result<(), FolderError> {
        use std::os::unix::fs::PermissionsExt;
        let dirs = &self.folder.dirs;
        for (dir, name) in [
            (&dirs.request, "request"),
            (&dirs.response, "response"),
            (&dirs.receipt, "receipt"),
        ] {
            for uuid in self.ids(dir)? {
                let file = format!("{uuid}.json");
                let Some(open) = dir.open_file(&file).ok().flatten() else {
                    continue;
                };
                let metadata = open.metadata().because("look at", &dir.at(&file))?;
                let mode = metadata.permissions().mode() & 0o777;
                if mode & 0o222 != 0 {
                    self.find(
                        Check::FactWritable,
                        Some(uuid),
                        format!("{name}/{file}"),
                        format!("its mode is {mode:o}: a fact is never written to again"),
                        "set its mode to 440",
                    );
                }
            }
        }
        Ok(())
    }

    fn leases(&mut self) -> Result<(), FolderError> {
        let folder = self.folder;
        for uuid in self.ids(&folder.dirs.lease)? {
            if lease_of(folder, uuid).is_none() {
                self.find(
                    Check::LeaseDamaged,
                    Some(uuid),
                    format!("lease/{uuid}.json"),
                    "it is no lease",
                    "put it aside",
                );
            }
        }
        Ok(())
    }

    /// What belongs to no job, or to one that needs it no more.
    fn leftovers(&mut self) -> Result<(), FolderError> {
        let dirs = &self.folder.dirs;
        let requests = self.ids(&dirs.request)?;
        let receipts = self.ids(&dirs.receipt)?;
        let damaged: HashSet<_> = self
            .findings
            .iter()
            .filter(|found| found.check == Check::LeaseDamaged)
            .filter_map(|found| found.job)
            .collect();
        for (dir, name, while_open) in [
            (&dirs.log, "log", false),
            (&dirs.webhook, "webhook", false),
            (&dirs.lease, "lease", true),
            (&dirs.progress, "progress", true),
            (&dirs.cancel, "cancel", true),
        ] {
            for file in dir.names()? {
                let uuid = job_of(&file).filter(|uuid| self.is_asked_for(*uuid));
                let Some(uuid) = uuid else { continue };
                let known = self.queue.get(uuid).is_some()
                    || requests.contains(&uuid)
                    || receipts.contains(&uuid);
                let ended = receipts.contains(&uuid);
                let message = match (known, while_open && ended) {
                    (false, _) => "there is no such job",
                    (true, true) => "its job has ended",
                    (true, false) => continue,
                };
                if name != "lease" || !damaged.contains(&uuid) {
                    let file = format!("{name}/{file}");
                    self.find(Check::Leftover, Some(uuid), file, message, "remove it");
                }
            }
        }
        Ok(())
    }

    fn temporaries(&mut self) -> Result<(), FolderError> {
        for (name, dir) in self.folder.dirs.all() {
            for file in dir.names()? {
                if !file.starts_with(TEMPORARY) {
                    continue;
                }
                let modified = dir.modified(&file)?;
                if modified.is_some_and(|modified| self.now.since(modified) > TEMPORARY_AGE) {
                    self.find(
                        Check::Leftover,
                        None,
                        beneath(name, &file),
                        "a temporary file that is older than ten minutes",
                        "remove it",
                    );
                }
            }
        }
        Ok(())
    }

    /// Names that the protocol does not know. They are somebody's, and stay.
    fn foreign(&mut self) -> Result<(), FolderError> {
        let folder = self.folder;
        for (name, dir) in folder.dirs.all() {
            for file in dir.names()? {
                if file.starts_with('.') || is_ours(name, &file) {
                    continue;
                }
                self.find(
                    Check::Foreign,
                    None,
                    beneath(name, &file),
                    "the protocol does not know this name",
                    "it is somebody's: move it elsewhere if nobody needs it here",
                );
            }
        }
        Ok(())
    }
}

fn beneath(dir: &str, file: &str) -> String {
    match dir {
        "" => file.to_owned(),
        dir => format!("{dir}/{file}"),
    }
}

fn is_ours(dir: &str, file: &str) -> bool {
    let of_job = |end: &str| {
        let stem = file.strip_suffix(end);
        stem.is_some_and(|stem| stem.parse::<JobId>().is_ok())
    };
    match dir {
        "" => NAMES.contains(&file),
        "request" => file == INDEX || file == LOCK || file == PREVIOUS || of_job(".json"),
        "response" | "receipt" | "lease" | "progress" => of_job(".json"),
        "log" => of_job(".log"),
        "webhook" => of_job(".json") || of_job(".replay"),
        "cancel" => of_job(""),
        "workers" => file.ends_with(".json") || file.ends_with(".lock"),
        "catalog" => file.ends_with(".json"),
        _ => true,
    }
}

fn why(state: &State) -> String {
    match state {
        State::Failed {
            failure: Some(failure),
            ..
        } => format!(" ({}: {})", failure.reason.as_str(), failure.message),
        _ => String::new(),
    }
}
