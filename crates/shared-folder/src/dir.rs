//! One folder by its descriptor: the few ways in which files come, go and are read.
//!
//! A file appears whole or not at all: it is written under a temporary name (`.tmp-…`) and then renamed. Names are
//! resolved beneath the folder and links are never followed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use job_core::date::Date;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::{Because, FolderError};
use crate::random;
use crate::snapshot::Stamp;

/// How a temporary file's name begins.
pub(crate) const TEMPORARY: &str = ".tmp-";

/// A folder of the shared folder.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    fd: OwnedFd,
}

/// What a file may be used for once it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Published once, never changed: 0440.
    Fact,
    /// Replaced as it comes: 0660.
    Record,
}

impl Kind {
    fn mode(self) -> Mode {
        match self {
            Kind::Fact => Mode::from_raw_mode(0o440),
            Kind::Record => Mode::from_raw_mode(0o660),
        }
    }
}

/// Whether a fact was published, or stood there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// It is ours.
    Now,
    /// Somebody was first; theirs stays.
    Before,
}

impl Dir {
    /// Opens a folder, which is made with this mode (and group) where it is missing.
    pub(crate) fn open(path: PathBuf, group: Option<u32>) -> Result<Self, FolderError> {
        let mode = Mode::from_raw_mode(if group.is_some() { 0o2770 } else { 0o770 });
        let made = match rustix::fs::mkdir(&path, mode) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error).because("make folder", &path),
        };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd =
            rustix::fs::openat(CWD, &path, flags, Mode::empty()).because("open folder", &path)?;
        if let (true, Some(group)) = (made, group) {
            rustix::fs::fchown(&fd, None, Some(rustix::fs::Gid::from_raw(group)))
                .because("give group to", &path)?;
            // The umask may have cut the mode, and changing the group drops the set-group bit.
            rustix::fs::fchmod(&fd, mode).because("set mode of", &path)?;
        }
        Ok(Dir { path, fd })
    }

    /// Where it is, for messages and watching.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a name in it, for messages.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a plain file for reading; nothing where there is no such name.
    ///
    /// # Errors
    /// Where the name is a link, a folder, a pipe or a device, or cannot be opened.
    pub(crate) fn open_file(&self, name: &str) -> Result<Option<File>, FolderError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error).because("open", &self.at(name)),
        };
        let plain = file
            .metadata()
            .because("look at", &self.at(name))?
            .is_file();
        let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file");
        if plain {
            Ok(Some(file))
        } else {
            Err(no_file()).because("open", &self.at(name))
        }
    }

    /// Reads a plain file of at most `limit` bytes; nothing where there is no such name.
    pub(crate) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, FolderError> {
        let Some(file) = self.open_file(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .because("read", &self.at(name))?;
        if bytes.len() as u64 > limit {
            let large = io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it is larger than {limit} bytes"),
            );
            return Err(large).because("read", &self.at(name));
        }
        Ok(Some(bytes))
    }

    /// Whether there is something of this name, whatever it is.
    pub(crate) fn has(&self, name: &str) -> Result<bool, FolderError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error).because("look at", &self.at(name)),
        }
    }

    /// When a plain file was last written to, by this volume's clock; nothing where there is none.
    pub(crate) fn modified(&self, name: &str) -> Result<Option<Date>, FolderError> {
        let Some(file) = self.open_file(name).ok().flatten() else {
            return Ok(None);
        };
        let modified = file.metadata().and_then(|metadata| metadata.modified());
        let modified = DateTime::<Utc>::from(modified.because("look at", &self.at(name))?);
        Ok(Some(Date::new(modified.fixed_offset())))
    }

    /// What tells one state of its names from another.
    pub(crate) fn stamp(&self) -> Result<Stamp, FolderError> {
        let file = self.fd.try_clone().map(File::from);
        file.and_then(|file| Stamp::of(&file))
            .because("look at", &self.path)
    }

    /// The names in it, without `.` and `..`; names that are no UTF-8 are nobody's here.
    pub(crate) fn names(&self) -> Result<Vec<String>, FolderError> {
        let entries = rustix::fs::Dir::read_from(&self.fd).because("list", &self.path)?;
        let mut names = Vec::new();
        for entry in entries {
            if let Ok(name) = entry.because("list", &self.path)?.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Writes a temporary file, which goes away again unless it is published.
    pub(crate) fn write(&self, kind: Kind, content: &[u8]) -> Result<Temporary<'_>, FolderError> {
        let mut temporary = self.temporary(kind)?;
        temporary
            .file
            .write_all(content)
            .because("write", &self.at(&temporary.name))?;
        Ok(temporary)
    }

    /// Makes an empty temporary file, which goes away again unless it is published.
    pub(crate) fn temporary(&self, kind: Kind) -> Result<Temporary<'_>, FolderError> {
        let name = format!("{TEMPORARY}{}", random::hex::<12>());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name.as_str(), flags, Mode::from_raw_mode(0o600))
            .because("make", &self.at(&name))?;
        let temporary = Temporary {
            dir: self,
            name,
            file: File::from(fd),
            published: false,
        };
        rustix::fs::fchmod(&temporary.file, kind.mode())
            .because("set mode of", &self.at(&temporary.name))?;
        Ok(temporary)
    }

    /// Publishes a fact and makes it durable: the file first, then its name.
    pub(crate) fn publish(&self, name: &str, content: &[u8]) -> Result<Published, FolderError> {
        let temporary = self.write(Kind::Fact, content)?;
        temporary.sync()?;
        let taken = temporary.publish(name)?.is_some();
        self.sync()?;
        Ok(if taken {
            Published::Before
        } else {
            Published::Now
        })
    }

    /// Replaces a record, whole; not durable, because it can be made again.
    pub(crate) fn replace(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        self.write(Kind::Record, content)?.replace(name)
    }

    /// Makes an empty file where there is none, and opens it; it is never truncated.
    pub(crate) fn touch(&self, name: &str, kind: Kind) -> Result<File, FolderError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, kind.mode())
            .because("open", &self.at(name))?;
        // The umask may have cut the mode of a file that was just made; whoever owns it may mend it.
        let _ = rustix::fs::fchmod(&fd, kind.mode());
        Ok(File::from(fd))
    }

    /// Gives a file a second name, whatever stood there before.
    pub(crate) fn link_over(&self, name: &str, second: &str) -> Result<(), FolderError> {
        self.remove(second)?;
        match rustix::fs::linkat(&self.fd, name, &self.fd, second, AtFlags::empty()) {
            // Nothing to keep is fine; a file system without links keeps no second generation.
            Ok(()) | Err(Errno::NOENT | Errno::PERM | Errno::NOTSUP) => Ok(()),
            Err(error) => Err(error).because("link", &self.at(second)),
        }
    }

    /// Removes a name; returns whether it was there.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, FolderError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            // Nothing of ours is a folder; one that somebody made is theirs, and holds nothing up.
            Err(Errno::ISDIR) => {
                tracing::warn!(path = %self.at(name).display(), "a folder stands where only files are due");
                Ok(false)
            }
            Err(error) => Err(error).because("remove", &self.at(name)),
        }
    }

    /// Removes a name and, where it is a folder, all that is in it; returns whether it was there.
    pub(crate) fn remove_whole(&self, name: &str) -> Result<bool, FolderError> {
        let path = self.at(name);
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(&path)
                .because("remove", &path)
                .map(|()| true),
            _ => self.remove(name),
        }
    }

    /// Moves a name out of this folder into another, without replacing.
    pub(crate) fn move_to(
        &self,
        name: &str,
        other: &Dir,
        new: &str,
    ) -> Result<Published, FolderError> {
        rename_without_replacing(&self.fd, name, &other.fd, new).because("move", &self.at(name))
    }

    /// Takes away from everybody the right to write to a file; whether that is ours to do.
    pub(crate) fn seal(&self, name: &str) -> Result<bool, FolderError> {
        let Some(file) = self.open_file(name)? else {
            return Ok(false);
        };
        match rustix::fs::fchmod(&file, Kind::Fact.mode()) {
            Ok(()) => Ok(true),
            Err(Errno::PERM) => Ok(false),
            Err(error) => Err(error).because("set mode of", &self.at(name)),
        }
    }

    /// Makes the names in it durable.
    pub(crate) fn sync(&self) -> Result<(), FolderError> {
        rustix::fs::fsync(&self.fd).because("sync folder", &self.path)
    }
}

/// A file under a temporary name.
#[derive(Debug)]
pub(crate) struct Temporary<'a> {
    dir: &'a Dir,
    name: String,
    file: File,
    published: bool,
}

impl<'a> Temporary<'a> {
    /// Lets it stay under its temporary name, which is returned, for [`Temporary::again`].
    pub(crate) fn keep(mut self) -> String {
        self.published = true;
        self.name.clone()
    }

    /// A file that was kept under its temporary name.
    pub(crate) fn again(dir: &'a Dir, name: &str) -> Result<Self, FolderError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&dir.fd, name, flags, Mode::empty())
            .because("open", &dir.at(name))?;
        Ok(Temporary {
            dir,
            name: name.to_owned(),
            file: File::from(fd),
            published: false,
        })
    }

    /// The open file.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Makes what was written durable. After a failure the file is to be thrown away, never synced again: the kernel
    /// reports a lost write once.
    pub(crate) fn sync(&self) -> Result<(), FolderError> {
        rustix::fs::fsync(&self.file).because("sync", &self.dir.at(&self.name))
    }

    /// Gives it its name where nothing has it yet, else hands it back. The folder is not synced.
    pub(crate) fn publish(mut self, name: &str) -> Result<Option<Self>, FolderError> {
        let published = rename_without_replacing(&self.dir.fd, &self.name, &self.dir.fd, name)
            .because("publish", &self.dir.at(name))?;
        self.published = published == Published::Now;
        Ok((published == Published::Before).then_some(self))
    }

    /// Gives it its name, whatever had it before.
    pub(crate) fn replace(mut self, name: &str) -> Result<(), FolderError> {
        rustix::fs::renameat(&self.dir.fd, self.name.as_str(), &self.dir.fd, name)
            .because("replace", &self.dir.at(name))?;
        self.published = true;
        Ok(())
    }

    /// The same as [`Temporary::replace`], handing back the open file.
    pub(crate) fn replace_and_keep(self, name: &str) -> Result<File, FolderError> {
        let file = self.file.try_clone().because("open", &self.dir.at(name))?;
        self.replace(name)?;
        Ok(file)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.published {
            // Whatever cannot be removed now is swept later by its age.
            let _ = self.dir.remove(&self.name);
        }
    }
}

/// Renames unless the new name is taken; where the file system cannot do that in one step, by a link.
fn rename_without_replacing(
    from: &OwnedFd,
    old: &str,
    to: &OwnedFd,
    new: &str,
) -> Result<Published, Errno> {
    match rustix::fs::renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(Published::Now),
        Err(Errno::EXIST) => Ok(Published::Before),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            match rustix::fs::linkat(from, old, to, new, AtFlags::empty()) {
                Ok(()) => {
                    rustix::fs::unlinkat(from, old, AtFlags::empty()).map(|()| Published::Now)
                }
                Err(Errno::EXIST) => Ok(Published::Before),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// The job id that a file's name begins with, such as `{uuid}.json`.
pub(crate) fn job_of(name: &str) -> Option<job_core::ids::JobId> {
    Path::new(name)
        .file_stem()
        .and_then(OsStr::to_str)?
        .parse()
        .ok()
}
