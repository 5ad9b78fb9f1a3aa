//! The folder that holds the folders of all runs, on this host's own disk.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr, OsString};
use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, DirEntryExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use job_core::ids::JobId;
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, chmod, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::exec::containment::Containment;

/// Only the worker's own user may look into it: what clients send passes through it.
const PRIVATE: u32 = 0o700;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// What users of scripts' own may do in it besides: pass through to their run's folder, whose name nobody can guess.
const PASSABLE: u32 = 0o011;

/// Makes the scratch folder where it is missing, for this user alone; passable where scripts have other users.
///
/// # Errors
/// Where it cannot be made.
pub fn make(folder: &Path, containment: &Containment) -> anyhow::Result<()> {
    let make = || -> io::Result<()> {
        if let Some(parent) = folder.parent() {
            std::fs::create_dir_all(parent)?;
        }
        make_private(folder)?;
        let mode = folder.metadata()?.permissions().mode();
        if containment.user.is_some() && mode & PASSABLE != PASSABLE {
            std::fs::set_permissions(folder, Permissions::from_mode(mode | PASSABLE))?;
        }
        Ok(())
    };
    make().with_context(|| format!("make the scratch folder {}", folder.display()))
}

/// Makes a folder with all that leads to it, for this user alone.
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(PRIVATE).create(folder)
}

/// Removes what a worker left that was killed in this very run, or whatever else has its name. What stays shows when
/// that name is needed.
pub(crate) fn make_way(name: &Path) {
    if remove(name).is_err() {
        let _ = std::fs::remove_file(name);
    }
}

/// Removes a folder with all that a script left in it, however deep and however closed. Nothing is followed.
///
/// Whoever goes down a tree holds something for each step, and a script may have made more of them than this process
/// can hold files. So each folder that is found is taken up to the top one before it is emptied.
///
/// # Errors
/// Where the folder is none, or something in it cannot be removed.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    let top = openat(CWD, folder, FOLDER, Mode::empty())?;
    let mut moved = 0u64;
    loop {
        let mut found = false;
        for entry in Dir::read_from(&top)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_itself(name) {
                continue;
            }
            found = true;
            if remove_file(&top, name)? {
                continue;
            }
            let inner = open_up(&top, name)?;
            let inner = openat(&inner, c".", FOLDER, Mode::empty())?;
            empty(&inner, &top, &mut moved)?;
            unlinkat(&top, name, AtFlags::REMOVEDIR)?;
        }
        if !found {
            return std::fs::remove_dir(folder);
        }
    }
}

/// Removes the files of a folder, and takes its folders up to the top one, under names that nobody has there.
fn empty(folder: &OwnedFd, top: &OwnedFd, moved: &mut u64) -> io::Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_itself(name) || remove_file(folder, name)? {
            continue;
        }
        // Whoever moves a folder writes into it.
        let _ = open_up(folder, name);
        loop {
            *moved += 1;
            let place = format!("{moved}");
            match renameat(folder, name, top, &place) {
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                done => break done?,
            }
        }
    }
    Ok(())
}

/// Opens a folder that may be closed to its own user, and lets that user in. By its name alone a link would be followed
/// that took its place meanwhile.
fn open_up(folder: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    let place = openat(folder, name, FOLDER | OFlags::PATH, Mode::empty())?;
    let _ = chmod(format!("/proc/self/fd/{}", place.as_raw_fd()), Mode::RWXU);
    Ok(place)
}

fn is_itself(name: &CStr) -> bool {
    [&b"."[..], b".."].contains(&name.to_bytes())
}

/// Removes what has this name; false where it is a folder.
fn remove_file(folder: &OwnedFd, name: &CStr) -> io::Result<bool> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Removes the folders of runs whose process was killed. Others that may be in the same place are left alone.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// The folders, by name and number, that had a dot in front at the last look: a run's folder is made under such a
    /// name, and is locked only a moment later. What still has it at the next look is nobody's.
    half_made: HashSet<(OsString, u64)>,
}

impl Leftovers {
    /// Looks once.
    pub(crate) fn clear_away(&mut self, scratch: &Path) {
        let before = std::mem::take(&mut self.half_made);
        for entry in std::fs::read_dir(scratch).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(run) = Name::of(&name) else {
                continue;
            };
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let known = (name, entry.ino());
            if run == Name::HalfMade && !before.contains(&known) {
                self.half_made.insert(known);
                continue;
            }
            remove_unless_held(&entry.path());
        }
    }
}

fn remove_unless_held(folder: &Path) {
    let Ok(lock) = File::open(folder) else {
        return;
    };
    if lock.try_lock().is_ok()
        && let Err(error) = remove(folder)
    {
        tracing::warn!(folder = %folder.display(), error = %error, "what a killed run left cannot be removed");
    }
}

/// What a run's folder is called.
#[derive(PartialEq)]
enum Name {
    Made,
    HalfMade,
}

impl Name {
    fn of(name: &OsStr) -> Option<Self> {
        let name = name.to_str()?;
        let (kind, run) = match name.strip_prefix('.') {
            Some(run) => (Name::HalfMade, run),
            None => (Name::Made, name),
        };
        let (uuid, attempt) = run.rsplit_once('-')?;
        let is_run = uuid.parse::<JobId>().is_ok() && attempt.parse::<u32>().is_ok();
        is_run.then_some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::Attempt;

    #[test]
    fn a_folder_is_removed_however_deep_and_closed_and_nothing_is_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let kept = scratch.path().join("kept");
        std::fs::write(&kept, "kept").unwrap();
        let folder = scratch.path().join("folder");
        let closed = folder.join("1/closed");
        std::fs::create_dir_all(&closed).unwrap();
        std::fs::write(closed.join("file"), "").unwrap();
        // The names that folders get on their way up may be taken.
        std::fs::create_dir_all(folder.join("3/3")).unwrap();
        std::fs::write(folder.join("4"), "").unwrap();
        std::fs::create_dir(folder.join("2")).unwrap();
        std::os::unix::fs::symlink(&kept, folder.join("1/link")).unwrap();
        std::os::unix::fs::symlink(scratch.path(), closed.join("link")).unwrap();
        std::fs::set_permissions(&closed, Permissions::from_mode(0o0)).unwrap();
        // More than a process may have open, and longer than a path may be.
        let mut deep = openat(CWD, &folder, FOLDER, Mode::empty()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&deep, "deep", Mode::RWXU).unwrap();
            deep = openat(&deep, "deep", FOLDER, Mode::empty()).unwrap();
        }
        remove(&folder).unwrap();
        assert!(!folder.exists() && kept.exists());
        assert!(remove(&folder).is_err() && remove(&kept).is_err());
    }

    #[test]
    fn a_link_in_the_place_of_a_folder_opens_nothing_up() {
        let scratch = tempfile::tempdir().unwrap();
        let closed = |name: &str| {
            let path = scratch.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o500)).unwrap();
            path
        };
        let (own, strangers) = (closed("own"), closed("strangers"));
        std::os::unix::fs::symlink(&strangers, scratch.path().join("link")).unwrap();
        let folder = openat(CWD, scratch.path(), FOLDER, Mode::empty()).unwrap();
        assert!(open_up(&folder, c"own").is_ok() && open_up(&folder, c"link").is_err());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&own), mode(&strangers)), (0o700, 0o500));
    }

    #[test]
    fn only_folders_of_runs_that_nobody_holds_are_cleared_away() {
        let scratch = tempfile::tempdir().unwrap();
        let uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap();
        let held = Attempt::make(scratch.path(), uuid, 2).unwrap();
        // Killed: its locks are gone, and so is whoever would remove it.
        let killed = Attempt::make(scratch.path(), uuid, 1).unwrap();
        let left = killed.log().with_file_name("");
        std::fs::write(left.join("tmp/half"), "x").unwrap();
        drop(killed);
        for stranger in ["lab", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "soc-1"] {
            std::fs::create_dir(scratch.path().join(stranger)).unwrap();
        }
        std::fs::write(scratch.path().join(format!("{uuid}-3")), "a file").unwrap();
        let mut leftovers = Leftovers::default();
        leftovers.clear_away(scratch.path());
        assert!(!left.exists() && held.log().with_file_name("stdout").exists());
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 5);
        leftovers.clear_away(Path::new("/no/such/folder"));
    }

    #[test]
    fn a_folder_that_is_just_being_made_is_let_be_until_the_next_look() {
        let scratch = tempfile::tempdir().unwrap();
        let half_made = scratch
            .path()
            .join(".f47ac10b-58cc-4372-a567-0e02b2c3d479-1");
        std::fs::create_dir_all(half_made.join("tmp")).unwrap();
        let mut leftovers = Leftovers::default();
        leftovers.clear_away(scratch.path());
        assert!(half_made.exists());
        // Another one under the same name: its own time begins.
        std::fs::rename(&half_made, scratch.path().join("elsewhere")).unwrap();
        std::fs::create_dir(&half_made).unwrap();
        leftovers.clear_away(scratch.path());
        assert!(half_made.exists());
        leftovers.clear_away(scratch.path());
        assert!(!half_made.exists());
    }
}
