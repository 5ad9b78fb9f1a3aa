//! What cannot be used is put aside with its reason, never thrown away.

use job_core::date::Date;

use crate::dir::{Dir, Kind, Published};
use crate::error::FolderError;
use crate::folder::SharedFolder;
use crate::random;

impl SharedFolder {
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
            .replace(&format!("{place}.reason"))
    }
}
