//! What a script holds on the disk: the files of its folder, and deleted ones that it still has open.
//!
//! A look takes the longer the more files there are, so the next one waits the longer, and it is no thread's that has
//! anything else to do.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{Metadata, metadata, read_dir};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};

use super::Order;
use super::tree::Tree;

/// The shortest pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// A look may take this part of the time.
const SHARE: u32 = 10;
/// Deeper folders are not looked into: each one on the way is held open.
const DEPTH: usize = 128;
/// Bytes of a block as the kernel counts them.
const BLOCK: u64 = 512;

/// Looks at a script's disk again and again, until it is dropped.
pub(super) struct Disk {
    full: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Disk {
    /// Begins.
    pub(super) fn watch(order: &Order, tree: Tree) -> Self {
        let full = Arc::new(Notify::new());
        let (told, folder, limit) = (full.clone(), order.scratch.clone(), order.scratch_limit);
        let task = tokio::spawn(async move {
            let mut pause = PAUSE;
            loop {
                sleep(pause).await;
                let (begun, folder) = (Instant::now(), folder.clone());
                match spawn_blocking(move || is_above(&folder, tree, limit)).await {
                    Ok(false) => pause = PAUSE.max(begun.elapsed() * SHARE),
                    Ok(true) => return told.notify_one(),
                    // The runtime is going down.
                    Err(_) => return,
                }
            }
        });
        Self { full, task }
    }

    /// Waits until the script holds more than it may.
    pub(super) async fn full(&self) {
        self.full.notified().await;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn is_above(folder: &Path, tree: Tree, limit: u64) -> bool {
    let mut sum = Sum::up_to(limit);
    if let Ok(folder) = openat(CWD, folder, FOLDER, Mode::empty())
        && sum.below(folder, DEPTH).is_break()
    {
        return true;
    }
    sum.open_and_deleted(folder, tree);
    sum.bytes > limit
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Files, each counted once.
struct Sum {
    limit: u64,
    bytes: u64,
    /// Device and inode of those that have several names, or none.
    seen: HashSet<(u64, u64)>,
}

impl Sum {
    fn up_to(limit: u64) -> Self {
        Self {
            limit,
            bytes: 0,
            seen: HashSet::new(),
        }
    }

    fn add(&mut self, blocks: u64) -> ControlFlow<()> {
        self.bytes = self.bytes.saturating_add(blocks.saturating_mul(BLOCK));
        match self.bytes > self.limit {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// All below a folder. Nothing is followed: the script may replace whatever has a name.
    fn below(&mut self, folder: OwnedFd, depth: usize) -> ControlFlow<()> {
        let Ok(entries) = Dir::read_from(&folder) else {
            return ControlFlow::Continue(());
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if [&b"."[..], b".."].contains(&name.to_bytes()) {
                continue;
            }
            let Ok(stat) = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            self.entry(&stat)?;
            if depth > 0
                && FileType::from_raw_mode(stat.st_mode).is_dir()
                && let Ok(inner) = openat(&folder, name, FOLDER, Mode::empty())
            {
                self.below(inner, depth - 1)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn entry(&mut self, stat: &Stat) -> ControlFlow<()> {
        if stat.st_nlink > 1 && !self.seen.insert((stat.st_dev, stat.st_ino)) {
            return ControlFlow::Continue(());
        }
        self.add(u64::try_from(stat.st_blocks).unwrap_or(0))
    }

    /// What the tree's processes have open on the folder's disk and nobody has a name for.
    fn open_and_deleted(&mut self, folder: &Path, tree: Tree) {
        let Ok(disk) = metadata(folder).map(|folder| folder.dev()) else {
            return;
        };
        tree.visit(|process, _| {
            let open = read_dir(format!("/proc/{process}/fd"))
                .into_iter()
                .flatten();
            let mut open = open.flatten().filter(|file| is_deleted(&file.path()));
            open.try_for_each(|file| match metadata(file.path()) {
                Ok(file) if file.dev() == disk => self.deleted(&file),
                _ => ControlFlow::Continue(()),
            })
        });
    }

    fn deleted(&mut self, file: &Metadata) -> ControlFlow<()> {
        match file.nlink() == 0 && self.seen.insert((file.dev(), file.ino())) {
            true => self.add(file.blocks()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// By its name in `/proc`: to ask the file itself, a disk that hangs would be waited for.
fn is_deleted(file: &Path) -> bool {
    let name = std::fs::read_link(file).unwrap_or_default();
    let name: &OsStr = name.as_ref();
    name.as_bytes().ends_with(b" (deleted)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, create_dir, hard_link, write};
    use std::os::unix::fs::symlink;

    fn bytes(folder: &Path, limit: u64) -> u64 {
        let mut sum = Sum::up_to(limit);
        let folder = openat(CWD, folder, FOLDER, Mode::empty()).unwrap();
        let _ = sum.below(folder, DEPTH);
        sum.bytes
    }

    #[test]
    fn each_file_counts_once_by_what_it_takes_and_links_lead_nowhere() {
        let home = tempfile::tempdir().unwrap();
        let here = home.path().join("here");
        create_dir(&here).unwrap();
        let empty = bytes(&here, u64::MAX);
        write(home.path().join("elsewhere"), vec![1; 1 << 20]).unwrap();
        symlink(home.path(), here.join("link")).unwrap();
        symlink(home.path().join("elsewhere"), here.join("file")).unwrap();
        assert!(bytes(&here, u64::MAX) - empty < 1 << 16);

        create_dir(here.join("inner")).unwrap();
        write(here.join("inner/file"), vec![1; 1 << 20]).unwrap();
        hard_link(here.join("inner/file"), here.join("again")).unwrap();
        // A hole takes nothing.
        File::create(here.join("hole"))
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        let all = bytes(&here, u64::MAX);
        assert!(((1 << 20)..(1 << 20) + (1 << 16)).contains(&all), "{all}");
        assert!(bytes(&here, 1 << 10) > 1 << 10, "it stops past the limit");
    }
}
