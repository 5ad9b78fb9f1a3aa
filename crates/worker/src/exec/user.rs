//! The user that a script runs as, where the supervisor is root: found, given the run's folder, and become.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::lchown;
use std::path::Path;

use nix::unistd::{Gid, Uid, getgid, getgroups, setgroups, setresgid, setresuid};
use rustix::fs::{Access, CWD, Mode, OFlags, access, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use super::containment::{Ids, Missing, Part, ScriptUser};
use super::{ExecError, Order};

const ROOT: Uid = Uid::from_raw(0);
const ROOTS_GROUP: Gid = Gid::from_raw(0);
/// What root's scripts keep of its powers: to reach files that are another user's.
const KEPT: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::DAC_READ_SEARCH);

/// Where the users are held that runs have: whoever locks the file of a number has that user. Only root may enter.
const SCRIPT_USERS: [(&str, Mode); 3] = [
    ("/run", EVERYBODY_ENTERS),
    ("bcrlapi", EVERYBODY_ENTERS),
    ("script-users", Mode::RWXU),
];
const EVERYBODY_ENTERS: Mode = Mode::from_raw_mode(0o755);
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const HOLD: &str = "hold a user id for the script";
const GIVE: &str = "give the run's folder to its user";
const BECOME: &str = "become the run's user";

/// A user that a run's script may have.
pub(super) struct Claim {
    pub(super) ids: Ids,
    /// Keeps other runs from this user for as long as the supervisor lives.
    _held: Option<File>,
}

impl Claim {
    /// Finds the user for a run.
    ///
    /// # Errors
    /// [`ExecError::NotContained`] where this process can give none at all. That all are taken passes, and is no
    /// reason for a run without.
    pub(super) fn find(wanted: &ScriptUser) -> Result<Self, ExecError> {
        if !geteuid().is_root() {
            let missing = Part::User.missing("only root can give one");
            return Err(ExecError::NotContained(missing));
        }
        match wanted {
            ScriptUser::This(ids) => Ok(Self {
                ids: ids.clone(),
                _held: None,
            }),
            ScriptUser::OneOf { first, count } => {
                Self::one_of(*first, *count).map_err(ExecError::system(HOLD))
            }
        }
    }

    fn one_of(first: u32, count: u32) -> io::Result<Self> {
        let mut folder = openat(CWD, "/", FOLDER, Mode::empty())?;
        for (name, mode) in SCRIPT_USERS {
            folder = roots_own(&folder, name, mode)?;
        }
        for id in first..first.saturating_add(count) {
            if let Some(held) = hold(&folder, id)? {
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
        }
        let taken = format!("the {count} from {first} on are all in use by other runs");
        Err(io::Error::other(taken))
    }

    /// Gives it the run's folder, in which nobody has been yet but the worker.
    ///
    /// # Errors
    /// [`ExecError::NotContained`] where root may not do that here.
    pub(super) fn own(&self, scratch: &Path) -> Result<(), ExecError> {
        let (user, group) = (Some(self.ids.uid), Some(self.ids.gid));
        let give = || -> io::Result<()> {
            for entry in scratch.read_dir()? {
                lchown(entry?.path(), user, group)?;
            }
            lchown(scratch, user, group)
        };
        give().map_err(|error| refused(GIVE, error))
    }
}

/// Opens a folder that nobody but root can change, and makes it where it is missing. Others may do no more with it than
/// the mode says.
fn roots_own(parent: impl AsFd, name: &str, mode: Mode) -> io::Result<OwnedFd> {
    match mkdirat(&parent, name, mode) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let folder = openat(&parent, name, FOLDER, Mode::empty())?;
    let found = fstat(&folder)?;
    let open_to_others = Mode::from_raw_mode(found.st_mode).difference(mode);
    if found.st_uid != ROOT.as_raw() || open_to_others.intersects(Mode::RWXG | Mode::RWXO) {
        let text = format!("folder {name} is not root's alone: it is to have mode {mode:o}");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(folder)
}

/// Takes a user id, unless another run has it. The kernel gives it back when the last process is gone that holds it.
fn hold(folder: &OwnedFd, id: u32) -> io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(folder, id.to_string(), flags, Mode::RUSR | Mode::WUSR)?;
    let file = File::from(file);
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What keeps root from giving a user. A refusal is how the host is: its root may not, or the user namespace around it
/// does not know the id. Whatever else it is may pass, and no script is root's for it.
fn refused(verb: &'static str, error: io::Error) -> ExecError {
    match Errno::from_io_error(&error) {
        Some(Errno::ACCESS | Errno::PERM | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            let why = format_args!("root cannot {verb} here: {error}");
            ExecError::NotContained(Part::User.missing(why))
        }
        _ => ExecError::system(verb)(error),
    }
}

/// What this user cannot reach of that which the order says is to be run, if anything. Its being missing is another
/// matter.
///
/// # Errors
/// [`ExecError::NotContained`] where this process may not become that user.
pub(super) fn unreachable(order: &Order, ids: &Ids) -> Result<Option<Missing>, ExecError> {
    let denied = |error: nix::Error| refused(BECOME, error.into());
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
///
/// # Errors
/// [`ExecError::NotContained`] where this process may not.
pub(super) fn become_user(ids: &Ids) -> Result<(), ExecError> {
    let (user, group) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    setgroups(&other_groups(ids))
        .and_then(|()| setresgid(group, group, group))
        .and_then(|()| setresuid(user, user, user))
        .map_err(|error| refused(BECOME, error.into()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, create_dir, set_permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    #[test]
    fn only_a_folder_that_is_roots_alone_holds_users() {
        if !geteuid().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let parent = File::open(home.path()).unwrap();
        let opens = |name: &str| roots_own(&parent, name, Mode::RWXU).is_ok();
        let path = |name: &str| home.path().join(name);
        assert!(opens("made") && opens("made"), "once made, it is found");
        for (name, mode) in [("entered", 0o711), ("listed", 0o744), ("changed", 0o720)] {
            create_dir(path(name)).unwrap();
            set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
            assert!(!opens(name), "{name}");
        }
        create_dir(path("strangers")).unwrap();
        set_permissions(path("strangers"), Permissions::from_mode(0o700)).unwrap();
        chown(path("strangers"), Some(65_533), None).unwrap();
        symlink("made", path("link")).unwrap();
        File::create(path("file")).unwrap();
        for name in ["strangers", "link", "file"] {
            assert!(!opens(name), "{name}");
        }
    }

    #[test]
    fn a_user_is_one_runs_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let folder = openat(CWD, home.path(), FOLDER, Mode::empty()).unwrap();
        let held = hold(&folder, 7).unwrap().expect("nobody has it");
        assert!(hold(&folder, 7).unwrap().is_none());
        assert!(hold(&folder, 8).unwrap().is_some());
        drop(held);
        assert!(hold(&folder, 7).unwrap().is_some());
    }

    #[test]
    fn only_a_refusal_costs_the_user() {
        for (error, refusal) in [
            (Errno::PERM, true),
            (Errno::INVAL, true),
            (Errno::AGAIN, false),
            (Errno::NOSPC, false),
            (Errno::NOENT, false),
        ] {
            let error = refused(GIVE, error.into());
            assert_eq!(
                matches!(error, ExecError::NotContained(_)),
                refusal,
                "{error:?}"
            );
        }
    }
}
