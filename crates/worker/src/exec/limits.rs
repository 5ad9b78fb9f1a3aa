//! Limits that the kernel holds for each process of a script.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::system::uname;

use super::Order;

/// How readily the kernel takes a job when the host's memory runs out: before any service.
const OOM_SCORE: &str = "500";
const OOM_SCORE_FILE: &str = "/proc/self/oom_score_adj";
/// Open files of one process: many for a script, few for a host with many scripts.
const OPEN_FILES: u64 = 4096;
/// The kernel counts threads as well, and a library may start one for each core: its limit keeps a fork bomb small
/// until the supervisor has counted the processes, and no more.
const THREADS: u64 = 16;
/// What the kernel counts beside the script's own: the supervisor, the namespace's init, their threads.
const OURS: u64 = 64;
/// The first kernel that counts a user's processes apart in each user namespace.
const COUNTS_APART: (u32, u32) = (5, 14);

/// Whose processes the kernel counts against a limit of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Only this run's: its user, or its user namespace, is its own.
    Apart,
    /// Others' as well, and a limit would be theirs.
    WithOthers,
}

/// Whether this kernel counts apart what a user does in a user namespace.
pub(super) fn in_user_namespace() -> Counted {
    let release = uname();
    let release = release.release().to_string_lossy();
    match version(&release) {
        Some(version) if version >= COUNTS_APART => Counted::Apart,
        _ => Counted::WithOthers,
    }
}

/// Such as `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Holds this process and all that come of it to the order's limits.
pub(super) fn hold(order: &Order, counted: Counted) {
    // Best effort, each: a kernel without it protects nobody.
    let _ = fs::write(OOM_SCORE_FILE, OOM_SCORE);
    lower(Resource::Core, 0);
    lower(Resource::Nofile, OPEN_FILES);
    lower(Resource::Fsize, order.scratch_limit);
    if counted == Counted::Apart {
        lower(Resource::Nproc, u64::from(order.processes) * THREADS + OURS);
    }
}

/// Sets a limit, unless there is a stricter one.
fn lower(resource: Resource, limit: u64) {
    let maximum = getrlimit(resource).maximum;
    let limit = Some(maximum.map_or(limit, |maximum| maximum.min(limit)));
    let _ = setrlimit(
        resource,
        Rlimit {
            current: limit,
            maximum: limit,
        },
    );
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn a_kernels_version_is_in_front_of_its_release() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.4"), Some((5, 4)));
        assert_eq!(version("5.14-rc3"), Some((5, 14)));
        for none in ["", "6", "linux", "-6.1"] {
            assert_eq!(version(none), None, "{none}");
        }
    }
}
