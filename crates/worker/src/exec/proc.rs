//! What `/proc` says of processes. Every answer may be out of date when it arrives.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

use rustix::process::Pid;

/// One process at one moment.
pub(super) struct Status {
    /// Whose child it is; none in the eyes of a PID namespace that the parent is not in.
    pub(super) parent: Option<Pid>,
    /// Its resident memory in bytes, shared pages included.
    pub(super) resident: u64,
}

/// What `/proc/PID/status` says; none if there is no such process.
pub(super) fn status(process: Pid) -> Option<Status> {
    let text = fs::read(format!("/proc/{process}/status")).ok()?;
    Some(parse_status(&String::from_utf8_lossy(&text)))
}

/// Only kernels with `CONFIG_PROC_CHILDREN` list children.
static CHILDREN_ARE_LISTED: LazyLock<bool> =
    LazyLock::new(|| Path::new("/proc/thread-self/children").exists());

/// The children of a process, zombies that it has not reaped included.
/// Never empty as long as there is one.
pub(super) fn children(parent: Pid) -> Vec<Pid> {
    if *CHILDREN_ARE_LISTED {
        listed_children(parent)
    } else {
        families().remove(&parent).unwrap_or_default()
    }
}

/// Visits all processes below one, each with its parent, until told to break. A parent is
/// visited before its children are looked up: those of one that is killed fall to its
/// subreaper, for the next round.
pub(super) fn visit_descendants(
    ancestor: Pid,
    visit: impl FnMut(Pid, Pid) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if *CHILDREN_ARE_LISTED {
        visit_below(ancestor, listed_children, visit)
    } else {
        let families = families();
        let children = |parent| families.get(&parent).cloned().unwrap_or_default();
        visit_below(ancestor, children, visit)
    }
}

fn visit_below(
    ancestor: Pid,
    children: impl Fn(Pid) -> Vec<Pid>,
    mut visit: impl FnMut(Pid, Pid) -> ControlFlow<()>,
) -> ControlFlow<()> {
    // One that is re-parented meanwhile may be met twice.
    let mut seen = HashSet::from([ancestor]);
    let mut open = vec![ancestor];
    while let Some(parent) = open.pop() {
        for child in children(parent) {
            if seen.insert(child) {
                visit(child, parent)?;
                open.push(child);
            }
        }
    }
    ControlFlow::Continue(())
}

/// As the kernel lists them: for each thread of the parent.
fn listed_children(parent: Pid) -> Vec<Pid> {
    let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else {
        return Vec::new();
    };
    let mut children = Vec::new();
    for thread in threads.flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.extend(list.split_ascii_whitespace().filter_map(parse_pid));
    }
    children
}

/// The children of all processes, from a look at each.
fn families() -> HashMap<Pid, Vec<Pid>> {
    let mut families: HashMap<Pid, Vec<Pid>> = HashMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes.filter_map(|entry| parse_pid(entry.file_name().to_str()?)) {
        if let Some(parent) = status(process).and_then(|status| status.parent) {
            families.entry(parent).or_default().push(process);
        }
    }
    families
}

fn parse_pid(text: &str) -> Option<Pid> {
    Pid::from_raw(text.parse().ok()?)
}

/// Name comes first and may hold anything but a line feed, which is escaped: lines are safe.
fn parse_status(text: &str) -> Status {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        value.split_whitespace().next()
    };
    let kilobytes = field("VmRSS:").and_then(|value| value.parse::<u64>().ok());
    Status {
        parent: field("PPid:").and_then(parse_pid),
        // A zombie has none.
        resident: kilobytes.unwrap_or(0).saturating_mul(1024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn status_is_read_past_a_name_that_imitates_it() {
        let status = parse_status("Name:\tPPid:\\nPPid: 7\nPPid:\t42\nVmRSS:\t   12 kB\n");
        assert_eq!(status.parent, Pid::from_raw(42));
        assert_eq!(status.resident, 12 * 1024);
    }

    #[test]
    fn a_zombie_has_a_parent_and_no_memory() {
        let status = parse_status("Name:\tpython3\nState:\tZ (zombie)\nPPid:\t1\n");
        assert_eq!(status.parent, Pid::from_raw(1));
        assert_eq!(status.resident, 0);
    }

    fn below(ancestor: Pid, children: impl Fn(Pid) -> Vec<Pid>) -> Vec<Pid> {
        let mut found = Vec::new();
        let _ = visit_below(ancestor, children, |process, _| {
            found.push(process);
            ControlFlow::Continue(())
        });
        found
    }

    #[test]
    fn both_ways_of_listing_find_the_same_processes() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut line = [0];
        std::io::Read::read_exact(&mut shell.stdout.take().expect("a pipe"), &mut line)
            .expect("sh says that its child runs");

        let root = Pid::from_child(&shell);
        let families = families();
        let scanned = below(root, |parent| {
            families.get(&parent).cloned().unwrap_or_default()
        });
        let listed = below(root, listed_children);
        for process in &listed {
            let _ = rustix::process::kill_process(*process, rustix::process::Signal::KILL);
        }
        shell.wait().expect("sh ends with its child");
        assert_eq!(scanned.len(), 1);
        assert_eq!(scanned, listed);
    }
}
