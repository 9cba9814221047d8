//! Which processes belong to a container.
//!
//! Its control group tells, if it has one. Otherwise the namespace that nobody else is in does: its PID namespace,
//! or its mount namespace if it shares the host's processes.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use cgroups::Group;
use nix::unistd::Pid;
use process::{Error, OrCall, Result};
use serde::{Deserialize, Serialize};

use super::state::State;

/// A namespace that is the container's own: its kind, and the inode that identifies it (namespaces(7)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// `pid` or `mnt`.
    pub namespace: String,
    /// Its number.
    pub inode: u64,
}

impl Home {
    /// The namespace by which the processes of a container are known whose first one is `pid`; none if it shares
    /// both with us.
    pub fn of(pid: Pid) -> Option<Self> {
        ["pid", "mnt"].into_iter().find_map(|namespace| {
            let inode = inode(pid, namespace)?;
            let own = inode_at(&format!("/proc/self/ns/{namespace}"))?;
            (inode != own).then(|| Self { namespace: namespace.to_owned(), inode })
        })
    }

    /// With its own PID namespace the end of the first process is the end of all.
    pub fn ends_with_first(&self) -> bool {
        self.namespace == "pid"
    }
}

/// All processes of a container, as far as they can be known.
///
/// # Errors
/// As reading /proc or the group's files; [`Kind::Unsupported`](process::Kind::Unsupported) if nothing tells them apart.
pub fn of(state: &State) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    if let Some(group) = state.group() {
        below(&group, &mut found)?;
        return Ok(found);
    }
    let Some(home) = &state.home else {
        return Err(Error::unsupported("its processes cannot be told from others: it has neither a control group nor a PID or mount namespace of its own")
            .help("give the bundle one of them"));
    };
    for entry in fs::read_dir("/proc").or_call("open", "/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let pid = Pid::from_raw(pid);
        if inode(pid, &home.namespace) == Some(home.inode) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Handles of them. A number may be given away between a look and a handle, so only who is found a second time counts.
///
/// # Errors
/// As [`of`].
pub fn handles(state: &State) -> Result<Vec<(Pid, OwnedFd)>> {
    let open = |pid| Some((pid, process::sys::pidfd_open(pid).ok()?));
    let opened: Vec<_> = of(state)?.into_iter().filter_map(open).collect();
    let still = of(state)?;
    Ok(opened.into_iter().filter(|(pid, _)| still.contains(pid)).collect())
}

/// The processes of a group and of those below it, which the program may have made.
fn below(group: &Group, found: &mut Vec<Pid>) -> Result<()> {
    found.extend(group.processes()?);
    for entry in fs::read_dir(group.path()).into_iter().flatten().flatten() {
        let is_group = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if let (true, Some(name)) = (is_group, entry.file_name().to_str())
            && let Ok(group) = group.child(name)
        {
            below(&group, found)?;
        }
    }
    Ok(())
}

fn inode(pid: Pid, namespace: &str) -> Option<u64> {
    inode_at(&format!("/proc/{pid}/ns/{namespace}"))
}

fn inode_at(path: &str) -> Option<u64> {
    fs::metadata(path).ok().map(|about| about.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_namespaces_are_nobodys_home() {
        assert_eq!(Home::of(Pid::this()), None);
    }
}
