//! The kernel's own /proc, and nothing that stands in its place.
//!
//! Who writes a label or a setting to a file of /proc has to know that the file is the one that it looks like. With a
//! mount in the way, the write goes elsewhere and nobody notices: the label is not set, or something else is
//! (CVE-2019-16884, CVE-2025-52881). So: the root of /proc is recognised by its file system and its inode, and no
//! path below it may cross a mount or a magic link.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use process::{Error, OrCall, Result};

/// The inode of the root of every procfs (`PROC_ROOT_INO`, linux/proc_ns.h).
const ROOT_INODE: u64 = 1;

/// A handle of the root of a procfs.
#[derive(Debug)]
pub struct Procfs(OwnedFd);

impl Procfs {
    /// What is mounted on /proc, if it is a procfs.
    ///
    /// # Errors
    /// As open(2); [`Kind::Unsupported`](process::Kind::Unsupported) if it is something else.
    pub fn open() -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Self::verify(open("/proc", flags, Mode::empty()).or_call("open", "/proc")?)
    }

    /// The handle `root`, if it is of a procfs's root.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn verify(root: OwnedFd) -> Result<Self> {
        let inode = fstat(&root).or_call("fstat", "/proc")?.st_ino;
        if !is_procfs(&root)? || inode != ROOT_INODE {
            return Err(Error::unsupported("what is on /proc is not the kernel's procfs")
                .help("something was mounted over it; what is written there would go elsewhere"));
        }
        Ok(Self(root))
    }

    /// Opens a file of it, by a path relative to its root: `sys/kernel/domainname`, `thread-self/attr/exec`.
    ///
    /// # Errors
    /// As openat2(2): `EXDEV` if anything is mounted on the way or on the file itself.
    pub fn file(&self, path: impl AsRef<Path>, flags: OFlag) -> Result<OwnedFd> {
        let path = path.as_ref();
        let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY).resolve(resolve);
        let shown = || format!("/proc/{}", path.display());
        let file = loop {
            match openat2(&self.0, path, how) {
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(Errno::EXDEV) => {
                    return Err(Error::call("openat2", shown(), Errno::EXDEV)
                        .help("something is mounted over it; what is written there would go elsewhere"));
                }
                found => break found.or_call("openat2", shown())?,
            }
        };
        if !is_procfs(&file)? {
            return Err(Error::unsupported(format!("{} is not the kernel's own file", shown())));
        }
        Ok(file)
    }

    /// Writes a file of it, in one call as the kernel wants it.
    ///
    /// # Errors
    /// As [`file`](Self::file) and write(2).
    pub fn write(&self, path: impl AsRef<Path>, value: &str) -> Result<()> {
        let path = path.as_ref();
        let mut file = File::from(self.file(path, OFlag::O_WRONLY)?);
        file.write_all(value.as_bytes()).or_call("write", format!("{value:?} to /proc/{}", path.display()))
    }
}

/// Is what the handle means part of a procfs?
///
/// # Errors
/// As fstatfs(2).
pub fn is_procfs(fd: impl AsFd) -> Result<bool> {
    Ok(fstatfs(fd).or_call("fstatfs", "a file of /proc")?.filesystem_type() == PROC_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_true_proc_is_known_and_nothing_else() {
        let proc = Procfs::open().unwrap();
        assert!(proc.file("thread-self/attr/exec", OFlag::O_WRONLY).is_ok());
        assert!(proc.file("sys/kernel/ostype", OFlag::O_RDONLY).is_ok());
        let directory = |path: &str| open(path, OFlag::O_PATH, Mode::empty()).unwrap();
        for other in ["/tmp", "/proc/self", "/proc/sys", "/sys"] {
            assert!(Procfs::verify(directory(other)).is_err(), "{other}");
        }
    }

    #[test]
    fn no_path_leads_out_of_it() {
        let proc = Procfs::open().unwrap();
        for path in ["self/root/etc/passwd", "self/cwd", "../etc/passwd", "/etc/passwd", "self/exe"] {
            assert!(proc.file(path, OFlag::O_RDONLY).is_err(), "{path}");
        }
    }
}
