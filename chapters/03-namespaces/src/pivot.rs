//! `pivot_root`: the host's root is not hidden, as with chroot, but gone from this mount namespace.

use std::path::PathBuf;

use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, fchdir, pivot_root};
use process::{OrCall, Result, Stage, explain};

use crate::mount::{Mount, Propagation};

/// The stage that makes a plain directory a mount point, since pivot_root takes nothing else.
pub struct BindRoot {
    root: PathBuf,
}

impl BindRoot {
    /// The container's root is the directory `root`, shared with whoever else uses it.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

impl Stage for BindRoot {
    fn name(&self) -> &'static str {
        "root"
    }

    fn create_container(&mut self) -> Result<()> {
        let tree = Mount::tree_at(&self.root, true)?;
        tree.propagate(Propagation::Private, true)?;
        let target = rootfs::RootDir::open(&self.root)?;
        tree.attach(&target, &self.root.display().to_string())
    }
}

/// The stage that takes the root: after it, no path of this process leads to the host.
pub struct PivotRoot {
    root: PathBuf,
}

impl PivotRoot {
    /// `root` must be a mount point by then.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

impl Stage for PivotRoot {
    fn name(&self) -> &'static str {
        "pivot_root"
    }

    fn enter_root(&mut self) -> Result<()> {
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let old = open("/", directory, Mode::empty()).or_call("open", "/")?;
        let new = open(&self.root, directory, Mode::empty()).or_call("open", self.root.display())?;
        fchdir(&new).or_call("fchdir", self.root.display())?;
        // With "." twice the old root lands on top of the new one, so no empty directory is needed (pivot_root(2), NOTES).
        pivot_root(".", ".").or_call("pivot_root", self.root.display())?;
        explain!(3, "a new root, the old one on top of it", "pivot_root(\".\", \".\") in {}", self.root.display());
        fchdir(&old).or_call("fchdir", "the old root")?;
        // Were it still shared, the next call would unmount the host's own file systems.
        mount(None::<&str>, ".", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)
            .or_call("mount", "rslave on the old root")?;
        umount2(".", MntFlags::MNT_DETACH).or_call("umount2", "the old root")?;
        explain!(3, "the host's root is gone from here", "umount2(\".\", MNT_DETACH)");
        chdir("/").or_call("chdir", "/")
    }
}
