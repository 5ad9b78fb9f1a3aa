//! Where a script may write: Landlock bounds it to its own folder, what the settings add, and devices.
//!
//! Reading and running is not bounded here: that is a matter of the user that it runs as.

use std::path::Path;

use landlock::{
    ABI, AccessFs, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::process::geteuid;

use super::Order;
use super::containment::{Missing, Part};

/// The newest interface whose meaning is known here; an older kernel holds what it knows of it.
const KNOWN: ABI = ABI::V6;
const DEVICES: &str = "/dev";
/// What even root's scripts may open to write: nothing comes of it.
const HARMLESS: [&str; 7] = [
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];
/// Locks and queues of Python's `multiprocessing` are there.
const SHARED_MEMORY: &str = "/dev/shm";

/// The bounds of a script's writes, not yet in force.
pub(super) struct Bounds(RulesetCreated);

impl Bounds {
    /// Looks up what the order names, as long as this process can reach it.
    pub(super) fn of(order: &Order) -> Result<Self, Missing> {
        let ruleset = || -> Result<RulesetCreated, RulesetError> {
            let anything = AccessFs::from_write(KNOWN);
            let mut ruleset = Ruleset::default()
                .handle_access(anything)?
                .scope(Scope::Signal)?
                .create()?;
            for path in [&order.scratch].into_iter().chain(&order.writable) {
                ruleset = allow(ruleset, path, anything)?;
            }
            allow(ruleset, SHARED_MEMORY.as_ref(), anything)
        };
        let bounds = ruleset().map_err(|error| Part::Landlock.missing(error))?;
        Ok(Self(bounds))
    }

    /// Holds this process and all that come of it to them, for good. Returns the version of the kernel's interface.
    ///
    /// Whom a device lets write is the kernel's to say, unless the script is root.
    pub(super) fn hold(self) -> Result<u32, Missing> {
        let use_it = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
        let devices = match geteuid().is_root() {
            true => &HARMLESS[..],
            false => &[DEVICES],
        };
        let status = devices
            .iter()
            .try_fold(self.0, |ruleset, device| {
                allow(ruleset, device.as_ref(), use_it)
            })
            .and_then(RulesetCreated::restrict_self)
            .map_err(|error| Part::Landlock.missing(error))?;
        match (status.ruleset, status.landlock) {
            (RulesetStatus::NotEnforced, _) | (_, LandlockStatus::NotEnabled) => {
                Err(Part::Landlock.missing("it is not enabled in this kernel"))
            }
            (_, LandlockStatus::NotImplemented) => {
                Err(Part::Landlock.missing("this kernel does not have it"))
            }
            (_, LandlockStatus::Available { effective_abi, .. }) => Ok(effective_abi as u32),
        }
    }
}

/// What is not there needs no leave.
fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(place) = PathFd::new(path) else {
        return Ok(ruleset);
    };
    let access = match path.is_dir() {
        true => access,
        false => access & AccessFs::from_file(KNOWN),
    };
    ruleset.add_rule(PathBeneath::new(place, access))
}
