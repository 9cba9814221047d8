//! /proc, /sys and /dev: the kernel's own file systems, each an instance that fits the namespaces.

use std::path::PathBuf;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use process::{Error, Result, Stage};
use rootfs::RootDir;

use crate::dev;
use crate::mount::{Mount, NODEV, NOEXEC, NOSUID, Propagation, RDONLY};

/// The stage that mounts what every Linux program expects beneath the container's root.
pub struct SystemMounts {
    root: PathBuf,
    new: CloneFlags,
}

impl SystemMounts {
    /// Beneath `root`; `new` are the namespaces that are the container's own.
    pub fn new(root: PathBuf, new: CloneFlags) -> Self {
        Self { root, new }
    }

    /// A fresh /proc shows the processes of the PID namespace that mounts it, and only those.
    fn proc(&self, root: &RootDir) -> Result<()> {
        let target = plain_dir(root, "proc")?;
        let proc = if self.new.contains(CloneFlags::CLONE_NEWPID) {
            Mount::filesystem("proc", &[], NOSUID | NODEV | NOEXEC).map_err(too_revealing)?
        } else {
            Mount::tree_at("/proc".as_ref(), true)?
        };
        proc.propagate(Propagation::Private, true)?;
        proc.attach(target, "/proc")
    }

    /// A fresh /sys shows the devices of the network namespace; read-only, since most of it is the host's.
    fn sys(&self, root: &RootDir) -> Result<()> {
        let target = plain_dir(root, "sys")?;
        let attributes = NOSUID | NODEV | NOEXEC | RDONLY;
        let fresh = self.new.contains(CloneFlags::CLONE_NEWNET).then(|| Mount::filesystem("sysfs", &[], attributes));
        let sys = match fresh {
            Some(Ok(fresh)) => fresh,
            // The network is not ours, so the kernel gives us no sysfs of our own: the host's, and nothing writable in it.
            None | Some(Err(_)) => {
                let host = Mount::tree_at("/sys".as_ref(), true)?;
                host.set(attributes, true)?;
                host
            }
        };
        sys.propagate(Propagation::Private, true)?;
        sys.attach(target, "/sys")
    }
}

impl Stage for SystemMounts {
    fn name(&self) -> &'static str {
        "system mounts"
    }

    fn create_container(&mut self) -> Result<()> {
        let root = RootDir::open(&self.root)?;
        self.proc(&root)?;
        self.sys(&root)?;
        let own_ipc = self.new.contains(CloneFlags::CLONE_NEWIPC);
        dev::furnish(&root, plain_dir(&root, "dev")?, own_ipc)
    }
}

/// A directory at the root's top that is a directory: as a link it would lead a mount elsewhere (CVE-2019-19921).
fn plain_dir(root: &RootDir, name: &str) -> Result<std::os::fd::OwnedFd> {
    use nix::fcntl::OFlag;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    match root.open_at(name, flags) {
        Err(error) if error.errno() == Some(Errno::ENOENT) => root.make_dir(name),
        Err(error) => Err(error.help(format!("/{name} in the root must be a plain directory, not a link"))),
        found => found,
    }
}

/// The kernel gives a user namespace no /proc that shows more than the one it already sees (mount_too_revealing).
fn too_revealing(error: Error) -> Error {
    match error.errno() {
        Some(Errno::EPERM) => {
            error.help("parts of /proc are masked here, as inside another container: use `--share pid`")
        }
        _ => error,
    }
}
