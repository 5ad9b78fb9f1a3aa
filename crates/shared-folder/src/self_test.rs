//! Does the volume carry the protocol? Asked once at the start of every service.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::fs::statfs;

use crate::dir::Kind;
use crate::error::{Because, FolderError};
use crate::folder::SharedFolder;
use crate::lock::try_lock;
use crate::random;

/// Checks that locks exclude another process on this volume. `probe` is a command of this program that calls
/// [`probe`] with the path that is appended to its arguments.
///
/// Returns what an operator should know about the volume, where it works all the same.
///
/// # Errors
/// [`FolderError::Unsuitable`] where it does not, with the reason.
pub fn self_test(folder: &SharedFolder, mut probe: Command) -> Result<Option<String>, FolderError> {
    let root = &folder.dirs.root;
    let name = format!(".tmp-lock-{}", random::hex::<8>());
    let path = root.at(&name);
    let held = root.touch(&name, Kind::Record)?;
    let outcome = (|| {
        let unsuitable = |reason: &str| FolderError::Unsuitable {
            path: folder.root.clone(),
            reason: reason.into(),
        };
        if !try_lock(&held).because("lock", &path)? {
            return Err(unsuitable(
                "a new file is locked already: the volume does not carry locks",
            ));
        }
        let asked = probe
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .because("start a second process for", &path)?;
        match asked.code() {
            Some(LOCKED) => Ok(()),
            Some(FREE) => Err(unsuitable(
                "a lock that one process holds does not keep another one out; use a volume that carries flock \
                 (a local disk, or NFS version 4 mounted without nolock and local_lock)",
            )),
            _ => Err(unsuitable(&format!(
                "the second process that was to look at a lock ended with {asked}"
            ))),
        }
    })();
    root.remove(&name)?;
    outcome?;
    Ok(advice(&folder.root))
}

/// The other process's half: looks whether the file at `path` is locked, and says so by its exit code.
pub fn probe(path: &Path) -> ExitCode {
    let locked = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .and_then(|file| try_lock(&file))
        .map(|mine| !mine);
    match locked {
        Ok(true) => ExitCode::from(LOCKED as u8),
        Ok(false) => ExitCode::from(FREE as u8),
        Err(_) => ExitCode::FAILURE,
    }
}

const LOCKED: i32 = 40;
const FREE: i32 = 41;

/// Whether the volume is on another machine, so that failed writes show late.
pub(crate) fn is_remote(root: &Path) -> bool {
    matches!(
        kind(root),
        Some("nfs" | "cifs" | "smb2" | "fuse" | "9p" | "ceph")
    )
}

fn advice(root: &Path) -> Option<String> {
    match kind(root)? {
        "nfs" => Some(
            "the folder is on NFS: mount it with version 4.1 or later, hard, without nolock, local_lock and nocto, \
             and set worker.watch to \"poll\""
                .into(),
        ),
        other @ ("cifs" | "smb2" | "fuse" | "9p" | "ceph") => {
            Some(format!("the folder is on {other}: locks work on this machine; set worker.watch to \"poll\""))
        }
        _ => None,
    }
}

/// The kinds of volumes that deserve a word, by the numbers of statfs(2).
fn kind(root: &Path) -> Option<&'static str> {
    match statfs(root).ok()?.f_type as u64 & 0xffff_ffff {
        0x6969 => Some("nfs"),
        0xff53_4d42 => Some("cifs"),
        0xfe53_4d42 => Some("smb2"),
        0x6573_5546 => Some("fuse"),
        0x0102_1997 => Some("9p"),
        0x00c3_6400 => Some("ceph"),
        _ => None,
    }
}
