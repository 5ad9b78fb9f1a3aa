//! What cannot be used is put aside with its reason, never thrown away.

use std::fs::File;

use job_core::date::Date;
use serde::Serialize;

use crate::dir::{Dir, Kind, Published, TEMPORARY};
use crate::error::FolderError;
use crate::folder::SharedFolder;
use crate::random;

/// What stands beside a thing that was put aside, to say why.
const REASON: &str = ".reason";
/// Longest reason that is read, in bytes.
const REASON_LIMIT: u64 = 64 << 10;

/// A thing that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// Its name beneath `quarantine/`: `late/…` for a result that came too late.
    pub name: String,
    /// When it was put aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    /// Its size in bytes, where it is a plain file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Why, where that was noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl SharedFolder {
    /// What was put aside and is still kept, the oldest first.
    ///
    /// # Errors
    /// Where the quarantine cannot be listed.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, FolderError> {
        let mut things = Vec::new();
        for (dir, prefix) in [(&self.dirs.quarantine, ""), (&self.dirs.late, "late/")] {
            for name in dir.names()? {
                let is_mine = !name.ends_with(REASON) && !name.starts_with(TEMPORARY);
                if !is_mine || (prefix.is_empty() && name == "late") {
                    continue;
                }
                let file = dir.open_file(&name).ok().flatten();
                let size = file.and_then(|file| Some(file.metadata().ok()?.len()));
                let reason = dir.read(&format!("{name}{REASON}"), REASON_LIMIT);
                let reason = reason
                    .ok()
                    .flatten()
                    .map(|reason| String::from_utf8_lossy(&reason).trim_end().to_owned());
                // Renaming keeps a file's date; that of its reason tells when it was put aside.
                let date = dir.modified(&format!("{name}{REASON}"))?;
                things.push(Quarantined {
                    name: format!("{prefix}{name}"),
                    date,
                    size,
                    reason,
                });
            }
        }
        things.sort_by(|a, b| (a.date, &a.name).cmp(&(b.date, &b.name)));
        Ok(things)
    }

    /// One thing of the quarantine, to be read from; nothing where there is none of this name.
    ///
    /// # Errors
    /// Where it is no plain file.
    pub fn open_quarantined(&self, name: &str) -> Result<Option<File>, FolderError> {
        match self.place_in_quarantine(name) {
            Some((dir, name)) => dir.open_file(name),
            None => Ok(None),
        }
    }

    /// Throws one thing of the quarantine away, with its reason; whether it was there.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn drop_quarantined(&self, name: &str) -> Result<bool, FolderError> {
        let Some((dir, name)) = self.place_in_quarantine(name) else {
            return Ok(false);
        };
        let was_there = dir.remove_whole(name)?;
        dir.remove(&format!("{name}{REASON}"))?;
        Ok(was_there)
    }

    fn place_in_quarantine<'a>(&self, name: &'a str) -> Option<(&Dir, &'a str)> {
        let (dir, name) = match name.strip_prefix("late/") {
            Some(name) => (&self.dirs.late, name),
            None => (&self.dirs.quarantine, name),
        };
        let plain =
            !name.is_empty() && !name.contains('/') && !name.starts_with('.') && name != "late";
        plain.then_some((dir, name))
    }

    /// Moves a file, whatever it is, to `quarantine/`, with the reason beside it.
    pub(crate) fn put_aside(
        &self,
        dir: &Dir,
        name: &str,
        reason: &str,
        now: Date,
    ) -> Result<(), FolderError> {
        let place = self.place_aside(name, now);
        // A second folder of one name is the only thing that can be in the way of a new, random name.
        if dir.move_to(name, &self.dirs.quarantine, &place)? == Published::Now {
            self.note_reason(&self.dirs.quarantine, &place, reason)?;
            tracing::error!(file = %dir.at(name).display(), quarantine.name = %place, reason, "a file was put aside");
        }
        Ok(())
    }

    /// Writes a text to `quarantine/`, with the reason beside it.
    pub(crate) fn put_text_aside(
        &self,
        name: &str,
        text: &[u8],
        reason: &str,
        now: Date,
    ) -> Result<(), FolderError> {
        let place = self.place_aside(name, now);
        self.dirs.quarantine.replace(&place, text)?;
        self.note_reason(&self.dirs.quarantine, &place, reason)?;
        tracing::error!(quarantine.name = %place, reason, "a part of the index was put aside");
        Ok(())
    }

    /// A name in the quarantine that nobody has: when, what, and some random digits.
    pub(crate) fn place_aside(&self, name: &str, now: Date) -> String {
        format!(
            "{}-{}-{name}",
            now.moment().format("%Y%m%dT%H%M%S%.3f"),
            random::hex::<6>()
        )
    }

    pub(crate) fn note_reason(
        &self,
        dir: &Dir,
        place: &str,
        reason: &str,
    ) -> Result<(), FolderError> {
        dir.write(Kind::Record, format!("{reason}\n").as_bytes())?
            .replace(&format!("{place}{REASON}"))
    }
}
