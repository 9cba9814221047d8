//! `export`: everything that a container sees in its root, as one tar archive.
//!
//! The kernel merges the layers: they are mounted once more, with what the container wrote as the topmost of them, in
//! a mount namespace of our own, which goes with this process.

use std::io::Write;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use process::{OrCall, Result, explain};

use crate::{Committed, ContainerDir, Overlay, commit};

/// Writes the container's root to `out`. It may run meanwhile; its volumes are not part of its root.
///
/// # Errors
/// As unshare(2), mount(2), read(2) and write(2); `EINVAL` in a process of several threads.
pub fn export(container: &ContainerDir, out: impl Write) -> Result<Committed> {
    let _held = container.hold()?;
    unshare(CloneFlags::CLONE_NEWNS).or_call("unshare", "NEWNS")?;
    explain!(5, "mounts that nobody else sees", "unshare(NEWNS)");
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)
        .or_call("mount", "/, MS_SLAVE|MS_REC")?;
    // Its mount point is of no use to us otherwise; on a tmpfs there, nothing is left behind.
    let place = container.rootfs();
    mount(Some("tmpfs"), &place, Some("tmpfs"), MsFlags::empty(), Some("mode=0700"))
        .or_call("mount", format!("tmpfs on {}", place.display()))?;
    let [upper, work, merged] = ["upper", "work", "merged"].map(|name| place.join(name));
    for path in [&upper, &work, &merged] {
        std::fs::create_dir(path).or_call("mkdir", path.display())?;
    }
    let lowers = [container.upper()].into_iter().chain(container.lowers()).collect();
    Overlay { lowers, upper, work, merged: merged.clone(), read_only: true, volatile: true }.mount()?;
    commit(&merged, &[], out)
}
