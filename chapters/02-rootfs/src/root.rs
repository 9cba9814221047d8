//! Paths inside a root, resolved by handle: no link and no `..` of an image leads out of it.
//!
//! openat2(2) with `RESOLVE_IN_ROOT` treats the directory as `/` for the whole walk, in one call, so
//! nothing can be swapped between a check and its use. Every path that comes from an image, a layer or
//! a request goes through here.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, mkdirat};
use process::{Error, OrCall, Result};

/// A directory that serves as the root for every path given to its methods.
#[derive(Debug)]
pub struct RootDir {
    fd: OwnedFd,
    path: PathBuf,
}

impl RootDir {
    /// Opens the directory at `path`, a path of the host that is trusted.
    ///
    /// # Errors
    /// As open(2) with `O_DIRECTORY`.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = nix::fcntl::open(&path, flags, Mode::empty()).or_call("open", path.display())?;
        Ok(Self { fd, path })
    }

    /// Where it lies on the host, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens what `path` means inside the root, links followed inside it too.
    ///
    /// # Errors
    /// As openat2(2); `EXDEV` and `ELOOP` for paths that try to leave through a magic link.
    pub fn open_at(&self, path: impl AsRef<Path>, flags: OFlag) -> Result<OwnedFd> {
        self.create_at(path, flags, Mode::empty())
    }

    /// As [`open_at`](Self::open_at), with the mode of a file that `O_CREAT` makes.
    ///
    /// # Errors
    /// As openat2(2).
    pub fn create_at(&self, path: impl AsRef<Path>, flags: OFlag, mode: Mode) -> Result<OwnedFd> {
        let path = path.as_ref();
        self.raw(path, flags, mode).or_call("openat2", self.show(path))
    }

    /// A handle (`O_PATH`) of what `path` means inside the root.
    ///
    /// # Errors
    /// As openat2(2).
    pub fn resolve(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.open_at(path, OFlag::O_PATH)
    }

    /// Is there anything at `path`?
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.raw(path.as_ref(), OFlag::O_PATH, Mode::empty()).is_ok()
    }

    /// The directory at `path`, made with its parents where it is missing (mode 0755).
    ///
    /// # Errors
    /// `ENOTDIR` if something else is in the way; as mkdirat(2) otherwise.
    pub fn make_dir(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        let path = path.as_ref();
        let mut so_far = PathBuf::from("/");
        let mut here = self.fd.try_clone().or_call("dup", self.path.display())?;
        for name in names(path) {
            so_far.push(name);
            let directory = OFlag::O_PATH | OFlag::O_DIRECTORY;
            here = match self.raw(&so_far, directory, Mode::empty()) {
                Err(Errno::ENOENT) => {
                    let mode = Mode::from_bits_truncate(0o755);
                    match mkdirat(here.as_fd(), name, mode) {
                        // A dangling link stands where the directory should be, or somebody was faster.
                        Ok(()) | Err(Errno::EEXIST) => {}
                        Err(errno) => return Err(Error::call("mkdirat", self.show(&so_far), errno)),
                    }
                    self.raw(&so_far, directory, Mode::empty())
                }
                found => found,
            }
            .or_call("openat2", self.show(&so_far))?;
        }
        Ok(here)
    }

    /// The empty file at `path`, made with its parents if it is missing: a place to mount a file on.
    ///
    /// # Errors
    /// As [`make_dir`](Self::make_dir) and openat2(2).
    pub fn make_file(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        let path = path.as_ref();
        if let Ok(fd) = self.raw(path, OFlag::O_PATH, Mode::empty()) {
            return Ok(fd);
        }
        if let Some(parent) = path.parent() {
            self.make_dir(parent)?;
        }
        self.create_at(path, OFlag::O_CREAT | OFlag::O_WRONLY, Mode::from_bits_truncate(0o644))?;
        self.resolve(path)
    }

    fn raw(&self, path: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .mode(mode)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        loop {
            match openat2(&self.fd, path, how) {
                // EAGAIN: something was renamed during the walk (openat2(2)); the walk starts again.
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                done => return done,
            }
        }
    }

    fn show(&self, path: &Path) -> String {
        format!("{} in the root {}", path.display(), self.path.display())
    }
}

impl AsFd for RootDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `/proc/self/fd/N`: a path that means exactly this handle, for calls that take no descriptor.
pub fn fd_path(fd: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

/// The plain names of a path; `..` is dropped, since the kernel's own walk decides what it means.
fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_and_no_dots_lead_out() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "").unwrap();
        let inside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), inside.path().join("absolute")).unwrap();
        std::os::unix::fs::symlink("../../../../..", inside.path().join("up")).unwrap();
        let root = RootDir::open(inside.path()).unwrap();
        assert!(!root.exists("absolute/secret"));
        assert!(!root.exists(outside.path().join("secret")));
        assert!(root.exists("up/up/../.."), "the root's own parent is the root");
        assert_eq!(root.resolve("absolute").unwrap_err().errno(), Some(Errno::ENOENT));
    }

    #[test]
    fn directories_are_made_inside_also_through_links() {
        let inside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/real", inside.path().join("link")).unwrap();
        std::fs::create_dir(inside.path().join("real")).unwrap();
        let root = RootDir::open(inside.path()).unwrap();
        root.make_dir("/link/a/b").unwrap();
        root.make_file("/link/c/file").unwrap();
        assert!(inside.path().join("real/a/b").is_dir());
        assert!(inside.path().join("real/c/file").is_file());
        assert_eq!(root.make_dir("/real/c/file/x").unwrap_err().errno(), Some(Errno::ENOTDIR));
    }
}
