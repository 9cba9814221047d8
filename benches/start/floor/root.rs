//! What step 3 asks of the kernel for a root: mounts, nodes, pivot_root.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, makedev, mkdirat, mknodat};
use nix::unistd::{chdir, fchdir, pivot_root, symlinkat};

use super::sys;

type Result<T = ()> = nix::Result<T>;

const RDONLY: u64 = 1;
const NOSUID: u64 = 2;
const NODEV: u64 = 4;
const NOEXEC: u64 = 8;

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// The directory bound to itself, so that it is a mount point.
pub fn bind(root: &Path) -> Result {
    let source = open(root, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let tree = sys::open_tree(source.as_fd(), true)?;
    sys::make_private(tree.as_fd())?;
    sys::move_mount(tree.as_fd(), open(root, DIRECTORY, Mode::empty())?.as_fd())
}

/// /proc, /sys and /dev with all that belongs into it.
pub fn furnish(root: &Path) -> Result {
    let root = open(root, DIRECTORY, Mode::empty())?;
    for (kind, name, attributes) in [(c"proc", "proc", 0), (c"sysfs", "sys", RDONLY)] {
        let target = within(&root, name)?;
        let mount = sys::file_system(kind, &[], NOSUID | NODEV | NOEXEC | attributes)?;
        sys::make_private(mount.as_fd())?;
        sys::move_mount(mount.as_fd(), target.as_fd())?;
    }
    let target = within(&root, "dev")?;
    let tmpfs = sys::file_system(c"tmpfs", &[(c"mode", c"755"), (c"size", c"65536k")], NOSUID | NOEXEC)?;
    sys::move_mount(tmpfs.as_fd(), target.as_fd())?;
    let dev = within(&root, "dev")?;
    let mode = Mode::from_bits_truncate(0o666);
    for (name, major, minor) in
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)]
    {
        mknodat(&dev, name, SFlag::S_IFCHR, mode, makedev(major, minor))?;
        fchmodat(&dev, name, mode, FchmodatFlags::FollowSymlink)?;
    }
    for (name, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlinkat(to, &dev, name)?;
    }
    let pts = [(c"newinstance", c""), (c"ptmxmode", c"0666"), (c"mode", c"0620"), (c"gid", c"5")];
    below_dev(&root, &dev, "pts", c"devpts", &pts, NOSUID | NOEXEC)?;
    let shm = [(c"mode", c"1777"), (c"size", c"65536k")];
    below_dev(&root, &dev, "shm", c"tmpfs", &shm, NOSUID | NODEV | NOEXEC)?;
    below_dev(&root, &dev, "mqueue", c"mqueue", &[], NOSUID | NODEV | NOEXEC)
}

fn below_dev(
    root: &OwnedFd,
    dev: &OwnedFd,
    name: &str,
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: u64,
) -> Result {
    mkdirat(dev, name, Mode::from_bits_truncate(0o755))?;
    let target = within(root, &format!("dev/{name}"))?;
    let mount = sys::file_system(kind, options, attributes)?;
    sys::move_mount(mount.as_fd(), target.as_fd())
}

/// A directory beneath the root, whatever links there are on the way.
pub fn within(root: &OwnedFd, name: &str) -> Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    openat2(root, name, OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve))
}

/// The root becomes `/`, and the old one is gone.
pub fn pivot(root: &Path) -> Result {
    let old = open("/", DIRECTORY, Mode::empty())?;
    let new = open(root, DIRECTORY, Mode::empty())?;
    fchdir(&new)?;
    pivot_root(".", ".")?;
    fchdir(&old)?;
    mount(None::<&str>, ".", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")
}
