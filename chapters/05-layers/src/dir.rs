//! A directory held open: what lies in it is reached from its handle, never by a path from the top.
//!
//! A container that runs may rename and link in its upper directory while it is read. With handles and
//! `O_NOFOLLOW` the worst that comes of it is an error.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use process::{Error, OrCall, Result};
use rootfs::fd_path;

/// An open directory, and its path for messages.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    shown: PathBuf,
}

impl Dir {
    const FLAGS: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

    /// The directory at `path`, a path of the host that is trusted.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(path: &Path) -> Result<Self> {
        let flags = Self::FLAGS.difference(OFlag::O_NOFOLLOW);
        let fd = open(path, flags, Mode::empty()).or_call("open", path.display())?;
        Ok(Self { fd, shown: path.to_owned() })
    }

    /// A directory that is open already.
    pub fn from_fd(fd: OwnedFd, shown: PathBuf) -> Self {
        Self { fd, shown }
    }

    /// The directory `name` in it; a link of that name is not followed.
    ///
    /// # Errors
    /// As openat(2): `ENOTDIR` if it is something else.
    pub fn dir(&self, name: &OsStr) -> Result<Self> {
        let shown = self.shown.join(name);
        let fd =
            openat(&self.fd, name, Self::FLAGS, Mode::empty()).or_call("openat", shown.display()).map_err(too_deep)?;
        Ok(Self { fd, shown })
    }

    /// The regular file `name` in it, for reading; anything else by that name is an error.
    ///
    /// # Errors
    /// As openat(2), `ELOOP` for a link.
    pub fn file(&self, name: &OsStr) -> Result<File> {
        let shown = self.shown.join(name);
        // O_NONBLOCK: opening a pipe that took the file's place must not wait for a writer.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.fd, name, flags, Mode::empty()).or_call("openat", shown.display())?);
        if !file.metadata().or_call("fstat", shown.display())?.is_file() {
            return Err(Error::invalid(format!("{} is no regular file any more", shown.display())));
        }
        Ok(file)
    }

    /// What lies in it, sorted by bytes.
    ///
    /// # Errors
    /// As getdents64(2).
    pub fn names(&self) -> Result<Vec<OsString>> {
        names(&fd_path(&self.fd)).map_err(|error| error.at(self.shown.display()))
    }

    /// What `name` in it is, links not followed; none if it is gone.
    ///
    /// # Errors
    /// As lstat(2).
    pub fn about(&self, name: &OsStr) -> Result<Option<Metadata>> {
        about(&self.at(name)).map_err(|error| error.at(self.shown.display()))
    }

    /// What the directory itself is.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn own(&self) -> Result<Metadata> {
        fd_path(&self.fd).metadata().or_call("stat", self.shown.display())
    }

    /// A path that means `name` in this very directory, for calls that take no descriptor.
    pub fn at(&self, name: &OsStr) -> PathBuf {
        fd_path(&self.fd).join(name)
    }

    /// A path that means this very directory, also for calls that do not follow links: `/proc/self/fd/N` is one.
    pub fn path(&self) -> PathBuf {
        fd_path(&self.fd).join(".")
    }

    /// Its path, for messages.
    pub fn shown(&self) -> &Path {
        &self.shown
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What lies in the directory at `path`, sorted by bytes.
pub fn names(path: &Path) -> Result<Vec<OsString>> {
    let entries = std::fs::read_dir(path).or_call("open", path.display())?;
    let names: std::io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    let mut names = names.or_call("getdents64", path.display())?;
    names.sort();
    Ok(names)
}

/// What is at `path`, links not followed; none if there is nothing.
pub fn about(path: &Path) -> Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::ENOTDIR as i32) => Ok(None),
        found => found.or_call("lstat", path.display()).map(Some),
    }
}

/// One descriptor a level is open.
fn too_deep(error: Error) -> Error {
    match error.errno() {
        Some(Errno::EMFILE) => error.help("directories lie too deep in each other for `ulimit -n`; raise it"),
        _ => error,
    }
}
