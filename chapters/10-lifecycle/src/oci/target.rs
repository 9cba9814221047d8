//! The place of a mount in the root: found by handle, and made where it is missing.
//!
//! Where the path leads through links of the image, they count inside the root, also those that lead to nothing yet:
//! an `/etc/resolv.conf` that is a link into an empty `/run` is common.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use process::{Error, OrCall, Result};
use rootfs::{RootDir, fd_path};

/// As many links as the kernel follows in one path (path_resolution(7)).
const LINKS: usize = 40;
/// What may be mounted over in a /proc: single files that tools like LXCFS replace (runc, libcontainer/rootfs_linux.go).
const REPLACEABLE: [&str; 11] = [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
    "net/dev",
];

/// What is to be mounted there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

/// A handle of `path` in `root`, made as `shape` says if there is nothing; true if there was.
///
/// # Errors
/// As openat2(2) and mkdirat(2).
pub fn make(root: &RootDir, path: &Path, shape: Shape) -> Result<(OwnedFd, bool)> {
    match root.resolve(path) {
        Ok(found) => Ok((found, true)),
        Err(error) if error.errno() == Some(Errno::ENOENT) => match quickly(root, path, shape) {
            Some(made) => Ok((made, false)),
            None => Ok((create(root, path, shape)?, false)),
        },
        Err(error) => Err(error),
    }
}

/// A directory at the root's top that is a directory: as a link it would lead a mount elsewhere (CVE-2019-19921).
///
/// # Errors
/// `ELOOP` or `ENOTDIR` if it is anything else.
pub fn plain(root: &RootDir, path: &Path) -> Result<(OwnedFd, bool)> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    match root.open_at(path, flags) {
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok((root.make_dir(path)?, false)),
        Err(error) => Err(error.help(format!("{} in the root must be a plain directory, not a link", path.display()))),
        Ok(found) => Ok((found, true)),
    }
}

/// Refuses places in a /proc that is the container's: whoever could cover its files could lie to the engine about
/// itself (CVE-2019-16884, CVE-2025-52881).
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid) unless it is one of those that are commonly replaced.
pub fn not_in_proc(root: &RootDir, target: &OwnedFd, path: &Path) -> Result<()> {
    if fstatfs(target).or_call("fstatfs", path.display())?.filesystem_type() != PROC_SUPER_MAGIC {
        return Ok(());
    }
    // What the kernel says where it is, whatever links led there.
    let real = std::fs::read_link(fd_path(target)).or_call("readlink", path.display())?;
    let top = std::fs::read_link(fd_path(root)).or_call("readlink", root.path().display())?;
    let inside = real.strip_prefix(&top).unwrap_or(&real);
    match inside.strip_prefix("proc") {
        Ok(file) if REPLACEABLE.iter().any(|known| file == Path::new(known)) => Ok(()),
        _ => Err(Error::invalid(format!("{} cannot be mounted because it is inside /proc", path.display()))
            .help(format!("only these can: {}", REPLACEABLE.join(", ")))),
    }
}

/// Where only the last name is missing, and no link stands there: the common case, in three calls.
fn quickly(root: &RootDir, path: &Path, shape: Shape) -> Option<OwnedFd> {
    let (parent, name) = (root.resolve(path.parent()?).ok()?, path.file_name()?);
    one(&parent, name, shape).ok()?;
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let made = openat(&parent, name, flags, Mode::empty()).ok()?;
    let kind = SFlag::from_bits_truncate(fstat(&made).ok()?.st_mode) & SFlag::S_IFMT;
    (kind != SFlag::S_IFLNK).then_some(made)
}

/// Goes the way name by name, makes what is missing, and follows links as if the root were `/`.
fn create(root: &RootDir, path: &Path, shape: Shape) -> Result<OwnedFd> {
    let mut rest = names(path);
    let (mut here, mut links) = (PathBuf::from("/"), 0);
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let directory = root.resolve(&here)?;
        let next = here.join(&name);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let found = match openat(&directory, name.as_os_str(), flags, Mode::empty()) {
            Err(Errno::ENOENT) => {
                let shape = if rest.is_empty() { shape } else { Shape::Directory };
                one(&directory, &name, shape).or_call("create", next.display())?;
                here = next;
                continue;
            }
            found => found.or_call("openat", next.display())?,
        };
        let kind = SFlag::from_bits_truncate(fstat(&found).or_call("fstat", next.display())?.st_mode) & SFlag::S_IFMT;
        if kind != SFlag::S_IFLNK {
            here = next;
            continue;
        }
        links += 1;
        if links > LINKS {
            return Err(Error::call("openat", path.display(), Errno::ELOOP));
        }
        let to = PathBuf::from(readlinkat(found.as_fd(), "").or_call("readlinkat", next.display())?);
        if to.is_absolute() {
            here = PathBuf::from("/");
        }
        names(&to).into_iter().rev().for_each(|name| rest.push_front(name));
    }
    root.resolve(&here)
}

fn one(directory: &OwnedFd, name: &OsStr, shape: Shape) -> Result<(), Errno> {
    let made = match shape {
        Shape::Directory => mkdirat(directory, name, Mode::from_bits_truncate(0o755)),
        Shape::File => {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            openat(directory, name, flags, Mode::from_bits_truncate(0o644)).map(drop)
        }
    };
    // Another container of the same root may have been faster.
    if made == Err(Errno::EEXIST) { Ok(()) } else { made }
}

fn names(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    parts.map(|part| OsStr::from_bytes(part.as_os_str().as_bytes()).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn missing_places_are_made_also_where_links_lead_to_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = RootDir::open(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        symlink("../run/deep/resolv.conf", dir.path().join("etc/resolv.conf")).unwrap();
        symlink("/srv/data", dir.path().join("data")).unwrap();
        symlink("../../../../../../outside", dir.path().join("up")).unwrap();
        assert!(!make(&root, Path::new("/etc/resolv.conf"), Shape::File).unwrap().1);
        assert!(dir.path().join("run/deep/resolv.conf").is_file());
        make(&root, Path::new("/data/x"), Shape::Directory).unwrap();
        assert!(dir.path().join("srv/data/x").is_dir());
        make(&root, Path::new("/up/x"), Shape::Directory).unwrap();
        assert!(dir.path().join("outside/x").is_dir());
        assert!(make(&root, Path::new("/data/x"), Shape::Directory).unwrap().1);
    }

    #[test]
    fn a_ring_of_links_ends() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        let root = RootDir::open(dir.path()).unwrap();
        let error = make(&root, Path::new("/a/x"), Shape::Directory).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ELOOP));
    }

    #[test]
    fn proc_must_be_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        symlink("real", dir.path().join("proc")).unwrap();
        let root = RootDir::open(dir.path()).unwrap();
        assert!(plain(&root, Path::new("/proc")).is_err());
        assert!(!plain(&root, Path::new("/sys")).unwrap().1);
    }
}
