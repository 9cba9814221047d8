//! /dev: a small tmpfs with the standard nodes, terminals and shared memory of its own.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, makedev, mknodat};
use nix::unistd::symlinkat;
use process::{Error, OrCall, Result, explain};
use rootfs::RootDir;

use crate::mount::{Mount, NODEV, NOEXEC, NOSUID};

/// The nodes that the OCI runtime specification asks for (config-linux.md, "Default Devices").
const NODES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
/// And the links ("Dev symbolic links").
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Mounts a tmpfs on the handle `target` (the root's /dev) and fills it.
pub fn furnish(root: &RootDir, target: OwnedFd, own_ipc: bool) -> Result<()> {
    let options = [("mode", "755"), ("size", "65536k")];
    Mount::filesystem("tmpfs", &options, NOSUID | NOEXEC)?.attach(target, "/dev")?;
    // Opened anew: the old handle means the directory below the mount.
    let dev = root.make_dir("dev")?;
    for (name, major, minor) in NODES {
        node(root, &dev, name, major, minor)?;
    }
    for (name, to) in LINKS {
        symlinkat(to, &dev, name).or_call("symlinkat", format!("/dev/{name}"))?;
    }
    terminals(root)?;
    shared_memory(root, own_ipc)?;
    queues(root, own_ipc)
}

/// A device node or, where making one is not allowed (a user namespace), the host's own by a bind mount.
fn node(root: &RootDir, dev: &OwnedFd, name: &str, major: u64, minor: u64) -> Result<()> {
    let mode = Mode::from_bits_truncate(0o666);
    match mknodat(dev.as_fd(), name, SFlag::S_IFCHR, mode, makedev(major, minor)) {
        Ok(()) => {
            // mknod's mode went through the umask.
            fchmodat(dev.as_fd(), name, mode, FchmodatFlags::FollowSymlink).or_call("fchmodat", name)?;
            explain!(3, "a device of its own", "mknodat(/dev/{name}, {major}:{minor})");
            Ok(())
        }
        Err(Errno::EPERM) => {
            let host = Path::new("/dev").join(name);
            let place = format!("/dev/{name}");
            Mount::tree_at(&host, false)?.attach(root.make_file(&place)?, &place)
        }
        Err(errno) => Err(Error::call("mknodat", format!("/dev/{name}"), errno)),
    }
}

/// A devpts of its own: the container's /dev/pts/0 is nobody else's.
fn terminals(root: &RootDir) -> Result<()> {
    let options = [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
    let target = root.make_dir("dev/pts")?;
    // Group 5 is `tty`; a user namespace with a single id does not know it.
    let pts = Mount::filesystem("devpts", &options, NOSUID | NOEXEC)
        .or_else(|_| Mount::filesystem("devpts", &options[..3], NOSUID | NOEXEC))?;
    pts.attach(target, "/dev/pts")
}

fn shared_memory(root: &RootDir, own: bool) -> Result<()> {
    let target = root.make_dir("dev/shm")?;
    let shm = if own {
        Mount::filesystem("tmpfs", &[("mode", "1777"), ("size", "65536k")], NOSUID | NODEV | NOEXEC)?
    } else {
        Mount::tree_at("/dev/shm".as_ref(), true)?
    };
    shm.attach(target, "/dev/shm")
}

/// POSIX message queues belong to the IPC namespace; a kernel may be built without them.
fn queues(root: &RootDir, own: bool) -> Result<()> {
    let mqueue = if own {
        Mount::filesystem("mqueue", &[], NOSUID | NODEV | NOEXEC)
    } else {
        Mount::tree_at("/dev/mqueue".as_ref(), true)
    };
    match mqueue {
        Ok(mqueue) => mqueue.attach(root.make_dir("dev/mqueue")?, "/dev/mqueue"),
        Err(error) if matches!(error.errno(), Some(Errno::ENODEV | Errno::ENOENT)) => Ok(()),
        Err(error) => Err(error),
    }
}
