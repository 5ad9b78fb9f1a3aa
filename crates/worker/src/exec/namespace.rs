//! A PID namespace of the script's own: whoever is inside sees, signals and outlives nobody outside, and the kernel
//! ends them all with the namespace's first process.
//!
//! Root makes one directly. Anybody else needs a user namespace around it, where the kernel allows that: the supervisor
//! enters one, in which only its own user and group have their names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rustix::process::{chdir, getegid, geteuid};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use rustix::thread::{clear_ambient_capability_set, configure_capability_in_ambient_set};

use super::containment::{Missing, Part};
use super::{ExecError, Order};

const NOTHING: Option<&Path> = None;
const PROC: &str = "/proc";
const SHARED_MEMORY: &str = "/dev/shm";

/// What this process can do about a PID namespace for its child.
pub(super) enum Namespaces {
    /// Make one.
    Possible,
    /// None.
    Impossible(Missing),
}

impl Namespaces {
    /// Gets ready to make one. This process must have no second thread yet.
    ///
    /// # Errors
    /// [`ExecError::NotContained`] where the kernel let this process into a user namespace and then took its name
    /// away: no script can be run from there.
    pub(super) fn prepare() -> Result<Self, ExecError> {
        let (user, group) = (geteuid(), getegid());
        if user.is_root() {
            return Ok(Self::Possible);
        }
        if let Err(error) = unshare(CloneFlags::CLONE_NEWUSER).map_err(io::Error::from) {
            let why = format_args!("no user namespace can be made: {error}");
            return Ok(Self::Impossible(Part::PidNamespace.missing(why)));
        }
        let (user, group) = (user.as_raw(), group.as_raw());
        let named = fs::write("/proc/self/setgroups", "deny")
            .and_then(|()| fs::write("/proc/self/uid_map", format!("{user} {user} 1")))
            .and_then(|()| fs::write("/proc/self/gid_map", format!("{group} {group} 1")));
        match named {
            Ok(()) => Ok(Self::Possible),
            Err(error) => {
                let why = format_args!("user namespaces are restricted on this host: {error}");
                Err(ExecError::NotContained(Part::PidNamespace.missing(why)))
            }
        }
    }
}

/// Starts a program as the first process of a PID namespace of its own, with the power to [`furnish`] it.
///
/// # Errors
/// The inner one where there can be no such namespace, the outer one where the program cannot be started.
pub(super) fn spawn(mut command: Command) -> io::Result<Result<Child, Missing>> {
    let spawn = move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWPID).map_err(io::Error::from) {
            return Ok(Err(Part::PidNamespace.missing(error)));
        }
        // Root keeps its powers anyway, and inside a user namespace nobody is root.
        if !geteuid().is_root()
            && let Err(error) = keep_over_exec(CapabilitySet::SYS_ADMIN)
        {
            return Ok(Err(Part::PidNamespace.missing(io::Error::from(error))));
        }
        command.spawn().map(Ok)
    };
    // Only a thread's own children are born into the namespace that it made, and it can have no second one.
    let thread = thread::Builder::new().spawn(spawn)?;
    thread.join().expect("starting a process does not panic")
}

fn keep_over_exec(capability: CapabilitySet) -> rustix::io::Result<()> {
    let sets = capabilities(None)?;
    let inheritable = sets.inheritable | capability;
    set_capabilities(
        None,
        CapabilitySets {
            inheritable,
            ..sets
        },
    )?;
    configure_capability_in_ambient_set(capability, true)
}

/// From within: the `/proc` that shows this namespace, shared memory that ends with it and holds no more than the
/// script may, nothing of what the order hides, and no power to change any of it later. Returns what is hidden.
///
/// # Errors
/// Where there can be no such `/proc`, or what is to be hidden stays in sight. With the host's, programs would take
/// strangers for themselves.
pub(super) fn furnish(order: &Order) -> Result<Vec<PathBuf>, Missing> {
    let missing =
        |what: &str, error: nix::Error| Part::PidNamespace.missing(format_args!("{what}: {error}"));
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC)
        .map_err(|error| missing("no mount namespace can be made", error))?;
    let (private, none) = (MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING);
    mount(none, "/", none, private, none)
        .map_err(|error| missing("the mounts cannot be made private", error))?;
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let flags = plain | MsFlags::MS_NOEXEC;
    mount(Some("proc"), PROC, Some("proc"), flags, none)
        .map_err(|error| missing("no /proc of its own can be mounted", error))?;
    // Best effort: without it, the host's is there, and what is left in it stays.
    let size = format!("size={},mode=1777", order.memory);
    let size = Some(size.as_str());
    let _ = mount(Some("tmpfs"), SHARED_MEMORY, Some("tmpfs"), plain, size);
    let hidden = to_hide(order);
    for folder in &hidden {
        let (empty, flags) = (Some("mode=555"), flags | MsFlags::MS_RDONLY);
        mount(Some("tmpfs"), folder, Some("tmpfs"), flags, empty)
            .map_err(|error| missing(&format!("{} cannot be hidden", folder.display()), error))?;
    }
    // From a folder that is covered now, the way on would be open.
    let _ = chdir("/");
    let _ = clear_ambient_capability_set();
    let _ = capabilities(None).and_then(|sets| {
        let inheritable = CapabilitySet::empty();
        set_capabilities(
            None,
            CapabilitySets {
                inheritable,
                ..sets
            },
        )
    });
    Ok(hidden)
}

/// The folders that the order hides, but for those that are not there, and those that the run needs something of: they
/// cannot be covered but as a whole.
fn to_hide(order: &Order) -> Vec<PathBuf> {
    let needed = [&order.program, &order.working_dir, &order.scratch];
    let needed = needed.into_iter().chain(&order.needs);
    let needed: Vec<_> = needed
        .chain(&order.writable)
        .flat_map(|path| [Some(path.clone()), path.canonicalize().ok()])
        .flatten()
        .collect();
    let folders = order.hidden.iter();
    let there = folders.filter_map(|folder| folder.canonicalize().ok());
    there
        .filter(|folder| !needed.iter().any(|path| path.starts_with(folder)))
        .collect()
}
