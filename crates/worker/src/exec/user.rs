//! The user that a script runs as, where the supervisor is root: found, given the run's folder, and become.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::lchown;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use nix::unistd::{Gid, Uid, getgid, getgroups, setgroups, setresgid, setresuid};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use super::Order;
use super::containment::{Ids, Missing, Part, ScriptUser};

const ROOT: Uid = Uid::from_raw(0);
const ROOTS_GROUP: Gid = Gid::from_raw(0);
/// What root's scripts keep of its powers: to reach files that are another user's.
const KEPT: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::DAC_READ_SEARCH);

/// A user that a run's script may have.
pub(super) struct Claim {
    pub(super) ids: Ids,
    /// Keeps other runs from this user for as long as the supervisor lives.
    _held: Option<UnixListener>,
}

impl Claim {
    /// Finds the user for a run.
    pub(super) fn find(wanted: &ScriptUser) -> Result<Self, Missing> {
        if !geteuid().is_root() {
            return Err(Part::User.missing("only root can give one"));
        }
        match wanted {
            ScriptUser::This(ids) => Ok(Self {
                ids: ids.clone(),
                _held: None,
            }),
            ScriptUser::OneOf { first, count } => Self::one_of(*first, *count),
        }
    }

    fn one_of(first: u32, count: u32) -> Result<Self, Missing> {
        let last = first.saturating_add(count);
        for id in first..last {
            // Such a name belongs to one process of the host at a time, and goes with it.
            let name = SocketAddr::from_abstract_name(format!("bcrl-script-user-{id}"));
            match name.and_then(|name| UnixListener::bind_addr(&name)) {
                Ok(held) => {
                    return Ok(Self {
                        ids: Ids {
                            name: format!("{id}:{id}"),
                            uid: id,
                            gid: id,
                            groups: Vec::new(),
                        },
                        _held: Some(held),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(Part::User.missing(error)),
            }
        }
        let why = format_args!("the user ids from {first} on are all in use by other runs");
        Err(Part::User.missing(why))
    }

    /// Gives it the run's folder, in which nobody has been yet but the worker.
    pub(super) fn own(&self, scratch: &Path) -> Result<(), Missing> {
        let (user, group) = (Some(self.ids.uid), Some(self.ids.gid));
        let give = || -> io::Result<()> {
            for entry in scratch.read_dir()? {
                lchown(entry?.path(), user, group)?;
            }
            lchown(scratch, user, group)
        };
        give().map_err(|error| {
            let (name, scratch) = (&self.ids.name, scratch.display());
            Part::User.missing(format_args!(
                "{scratch} cannot be given to user {name}: {error}"
            ))
        })
    }
}

/// What this user cannot reach of that which the order says is to be run, if anything. Its being missing is another
/// matter. An error where this process may not become that user.
pub(super) fn unreachable(order: &Order, ids: &Ids) -> Result<Option<Missing>, Missing> {
    let denied = |error: nix::Error| Part::User.missing(io::Error::from(error));
    let (group, groups) = (getgid(), getgroups().map_err(denied)?);
    setgroups(&other_groups(ids)).map_err(denied)?;
    let reached = become_for_now(ids)
        .map_err(denied)
        .map(|()| look(order, ids));
    setresuid(ROOT, ROOT, ROOT)
        .and_then(|()| setresgid(group, group, group))
        .and_then(|()| setgroups(&groups))
        .expect("what was not given up is had back");
    reached
}

/// In the eyes of `access(2)`, which looks at the real ids.
fn become_for_now(ids: &Ids) -> nix::Result<()> {
    let (user, group) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    setresgid(group, group, ROOTS_GROUP)?;
    setresuid(user, user, ROOT)
}

fn look(order: &Order, ids: &Ids) -> Option<Missing> {
    let needs = order.needs.iter().map(|path| (path, Access::READ_OK));
    let closed = [
        (&order.working_dir, Access::EXEC_OK),
        (&order.program, Access::EXEC_OK),
        (&order.scratch, Access::WRITE_OK | Access::EXEC_OK),
    ]
    .into_iter()
    .chain(needs)
    .find(|(path, mode)| {
        let reached = access(path.as_path(), *mode);
        reached == Err(Errno::ACCESS)
    });
    let (path, _) = closed?;
    let (name, path) = (&ids.name, path.display());
    Some(Part::User.missing(format_args!("user {name} cannot reach {path}")))
}

/// Becomes this user, for good.
pub(super) fn become_user(ids: &Ids) -> Result<(), Missing> {
    let (user, group) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    setgroups(&other_groups(ids))
        .and_then(|()| setresgid(group, group, group))
        .and_then(|()| setresuid(user, user, user))
        .map_err(|error| Part::User.missing(io::Error::from(error)))
}

fn other_groups(ids: &Ids) -> Vec<Gid> {
    ids.groups.iter().copied().map(Gid::from_raw).collect()
}

/// A script that stays root has files at its hand, and nothing else that makes root root.
pub(super) fn give_up_powers() {
    for power in CapabilitySet::all().difference(KEPT).iter() {
        // The kernel may know fewer, and a sandbox around us may have taken them.
        let _ = remove_capability_from_bounding_set(power);
    }
}
