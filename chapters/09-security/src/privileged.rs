//! `--privileged`: the kernel's own file systems become writable, as Docker has them then.

use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use process::{Error, Result, Stage, explain};
use rootfs::{RootDir, fd_path};

/// What chapters 3 and 4 mount read-only.
const READONLY: [&str; 2] = ["/sys", "/sys/fs/cgroup"];

/// The stage that makes /sys and the control groups writable. It follows the stages that mount them.
pub struct Writable {
    root: PathBuf,
}

impl Writable {
    /// Those beneath `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

impl Stage for Writable {
    fn name(&self) -> &'static str {
        "privileged"
    }

    fn create_container(&mut self) -> Result<()> {
        let root = RootDir::open(&self.root)?;
        for path in READONLY {
            let target = root.open_at(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW)?;
            // Of the mount, not of the file system: with the flags that it had, but for one.
            let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
            let kept = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            match mount(None::<&str>, &fd_path(&target), None::<&str>, flags | kept, None::<&str>) {
                Ok(()) => explain!(9, "writable, as it was asked for", "mount({path}, MS_REMOUNT|MS_BIND)"),
                // Locked: the host's own /sys in a user namespace (mount_namespaces(7)). Or not mounted at all here.
                Err(Errno::EPERM | Errno::EINVAL) => {}
                Err(errno) => return Err(Error::call("mount", format!("{path}, MS_REMOUNT"), errno)),
            }
        }
        Ok(())
    }
}
