//! What a container sees of all this: its own group as the root of /sys/fs/cgroup, for reading.

use std::path::Path;

use namespaces::mount::{Mount, NODEV, NOEXEC, NOSUID, RDONLY};
use nix::errno::Errno;
use process::{Error, Result, explain};
use rootfs::RootDir;

use crate::Hierarchy;

const TARGET: &str = "/sys/fs/cgroup";

/// Mounts cgroup v2 beneath `root`, read-only. In the child, after its /sys is there.
///
/// Where that is not allowed, or the kernel has no cgroup v2, the container sees none: no reason to fail.
pub fn mount(root: &Path, own_namespace: bool) -> Result<()> {
    let root = RootDir::open(root)?;
    let Ok(target) = root.resolve(TARGET) else { return Ok(()) };
    let attributes = NOSUID | NODEV | NOEXEC | RDONLY;
    let made = if own_namespace {
        Mount::filesystem("cgroup2", &[], attributes)
    } else {
        // Never a new mount in the host's cgroup namespace: its options, none here, would become the host's
        // own (nsdelegate and memory_recursiveprot would be off, cgroup-v2.rst "Mounting").
        Hierarchy::find().and_then(|hierarchy| {
            let tree = Mount::tree_at(&hierarchy.mount, true)?;
            tree.set(attributes, true)?;
            Ok(tree)
        })
    };
    match made.and_then(|made| made.attach(target, TARGET)) {
        Ok(()) => {
            explain!(4, "the container's own group, read-only", "mount(cgroup2 on {TARGET})");
            Ok(())
        }
        Err(error) if may_be_missing(&error) => {
            explain!(4, "the container sees no cgroups", "{}", error.what());
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn may_be_missing(error: &Error) -> bool {
    let refused = [Errno::EPERM, Errno::EACCES, Errno::ENODEV, Errno::EBUSY, Errno::EINVAL];
    error.errno().is_none_or(|errno| refused.contains(&errno))
}
