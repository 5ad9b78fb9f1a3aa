//! What a script holds without having it in a process: on the disk, the files of its folder and deleted ones that it
//! still has open; in memory, files that never had a name or have none any more.
//!
//! Memory is counted here by itself, for whatever of it a process has mapped is resident there. What nobody has open is
//! not seen: files that are only mapped, or under way in a socket, and the segments of System V, which go with their IPC
//! namespace where there is one. Nor are those that one thread alone has open.
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
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat, statfs};
use rustix::io::Errno;
use rustix::process::Pid;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};

use super::tree::Tree;
use super::{Ending, Order};

/// The shortest pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// A look may take this part of the time.
const SHARE: u32 = 10;
/// Deeper folders are too much: each one on the way is held open.
const DEPTH: usize = 128;
/// Bytes of a block as the kernel counts them.
const BLOCK: u64 = 512;
/// What a file costs at the least, in bytes: an empty one takes a name and an inode.
const LEAST: u64 = 4 << 10;
/// Kinds of file systems whose files are memory, as `statfs(2)` numbers them: tmpfs, which memfd has as well, and
/// hugetlbfs.
const MEMORY: [u64; 2] = [0x0102_1994, 0x9584_58f6];

/// Looks at what a script holds again and again, until it is dropped.
pub(super) struct Disk {
    above: watch::Receiver<Option<Ending>>,
    task: JoinHandle<()>,
}

impl Disk {
    /// Begins.
    pub(super) fn watch(order: &Order, tree: Tree) -> Self {
        let (tell, above) = watch::channel(None);
        let order = Arc::new(order.clone());
        let task = tokio::spawn(async move {
            let mut pause = PAUSE;
            loop {
                sleep(pause).await;
                let (begun, order) = (Instant::now(), order.clone());
                match spawn_blocking(move || look(&order, tree)).await {
                    Ok(None) => pause = PAUSE.max(begun.elapsed() * SHARE),
                    Ok(above) => drop(tell.send_replace(above)),
                    // The runtime is going down.
                    Err(_) => return,
                }
            }
        });
        Self { above, task }
    }

    /// Waits until the script holds more than it may, and returns what that makes of its run.
    pub(super) async fn above(&self) -> Ending {
        let mut above = self.above.clone();
        match above
            .wait_for(Option::is_some)
            .await
            .map(|ending| ending.clone())
        {
            Ok(Some(ending)) => ending,
            // Nobody looks any more.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What becomes of the run, where the script holds more than it may.
fn look(order: &Order, tree: Tree) -> Option<Ending> {
    let limit = order.scratch_limit;
    let (mut disk, mut memory) = (Sum::up_to(limit), Sum::up_to(order.memory));
    if let Ok(folder) = openat(CWD, &order.scratch, FOLDER, Mode::empty())
        && disk.below(folder, DEPTH).is_break()
    {
        return Some(Ending::Scratch { limit });
    }
    let its_disk = metadata(&order.scratch).map(|folder| folder.dev()).ok();
    let mut above = None;
    tree.visit(|process, _| {
        for path in open_and_deleted(process) {
            let Ok(file) = metadata(&path) else {
                continue;
            };
            let (sum, ending) = if Some(file.dev()) == its_disk {
                (&mut disk, Ending::Scratch { limit })
            } else if is_memory(&path) {
                (&mut memory, Ending::Memory)
            } else {
                continue;
            };
            if sum.deleted(&file).is_break() {
                above = Some(ending);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    above
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
        let bytes = blocks.saturating_mul(BLOCK).max(LEAST);
        self.bytes = self.bytes.saturating_add(bytes);
        match self.bytes > self.limit {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// All below a folder; what cannot be counted is above any limit. Nothing is followed: the script may replace
    /// whatever has a name.
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
            if !FileType::from_raw_mode(stat.st_mode).is_dir() {
                continue;
            }
            match openat(&folder, name, FOLDER, Mode::empty()) {
                Ok(inner) if depth > 0 => self.below(inner, depth - 1)?,
                Ok(_) | Err(Errno::ACCESS) => return ControlFlow::Break(()),
                // It is gone, or something else by now.
                Err(_) => {}
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

    fn deleted(&mut self, file: &Metadata) -> ControlFlow<()> {
        match file.nlink() == 0 && self.seen.insert((file.dev(), file.ino())) {
            true => self.add(file.blocks()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// What a process has open and nobody has a name for.
fn open_and_deleted(process: Pid) -> impl Iterator<Item = PathBuf> {
    let open = read_dir(format!("/proc/{process}/fd")).into_iter();
    let open = open.flatten().flatten().map(|file| file.path());
    open.filter(|file| is_deleted(file))
}

fn is_memory(file: &Path) -> bool {
    statfs(file).is_ok_and(|volume| MEMORY.contains(&(volume.f_type as u64 & 0xffff_ffff)))
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

    #[test]
    fn an_empty_file_costs_something() {
        let home = tempfile::tempdir().unwrap();
        for n in 0..100 {
            File::create(home.path().join(n.to_string())).unwrap();
        }
        assert_eq!(bytes(home.path(), u64::MAX), 100 * LEAST);
    }

    #[test]
    fn folders_too_deep_to_be_counted_are_above_any_limit() {
        let home = tempfile::tempdir().unwrap();
        let is_above = || {
            let folder = openat(CWD, home.path(), FOLDER, Mode::empty()).unwrap();
            Sum::up_to(u64::MAX).below(folder, DEPTH).is_break()
        };
        let deep = home.path().join("d/".repeat(DEPTH));
        std::fs::create_dir_all(&deep).unwrap();
        write(deep.join("file"), "counted").unwrap();
        assert!(!is_above());
        create_dir(deep.join("deeper")).unwrap();
        assert!(is_above());
    }
}
