//! A control group of its own for a session of root: what an engine makes in it ends with it.
//!
//! A cgroup namespace makes it look like the root of the hierarchy (cgroup_namespaces(7)). The session's own processes
//! are in a leaf, since a group that hands out controllers has no processes itself (cgroups(7)).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use process::OrCall;

use crate::Result;

/// The group; it is removed on drop, with all below it, once its processes are gone.
pub struct Group {
    path: PathBuf,
}

/// Where the unified hierarchy is mounted, if it is.
pub fn unified() -> Option<&'static Path> {
    let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    places.into_iter().find(|place| place.join("cgroup.controllers").exists())
}

impl Group {
    /// Makes one; none where there is no unified hierarchy. This process stays outside, to remove it.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn make() -> Result<Option<Self>> {
        let Some(root) = unified() else { return Ok(None) };
        let group = Self { path: root.join(format!("book-{}", std::process::id())) };
        fs::create_dir(&group.path).or_call("mkdir", group.path.display())?;
        Ok(Some(group))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Moves this process into a leaf of the group at `path`, which becomes the root of a new cgroup namespace.
///
/// # Errors
/// As write(2), unshare(2).
pub fn enter(path: &Path) -> Result<()> {
    fs::write(path.join("cgroup.procs"), "0").or_call("write", "cgroup.procs")?;
    unshare(CloneFlags::CLONE_NEWCGROUP).or_call("unshare", "NEWCGROUP")?;
    let leaf = path.join("shell");
    fs::create_dir(&leaf).or_call("mkdir", leaf.display())?;
    fs::write(leaf.join("cgroup.procs"), "0").or_call("write", "cgroup.procs")?;
    let controllers = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        let _ = fs::write(path.join("cgroup.subtree_control"), format!("+{controller}")); // some are threaded only
    }
    Ok(())
}

impl Drop for Group {
    fn drop(&mut self) {
        // The last of its processes may still be on their way out.
        for _ in 0..500 {
            remove(&self.path);
            if !self.path.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Groups are removed from below; their files are the kernel's.
fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}
