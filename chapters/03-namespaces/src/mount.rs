//! Mounts by handle: made detached, given their attributes, then attached to a descriptor.
//!
//! The old mount(2) takes paths, and a path can be swapped for a link between a check and its use.
//! Here neither end is a path: the mount is a descriptor, and so is the place it goes to.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use process::{Error, OrCall, Result, explain};

use crate::sys;
pub use crate::sys::{Change, NODEV, NOEXEC, NOSUID, RDONLY, mount_setattr};

/// How mounts made on one side show up on the other (mount_namespaces(7), "SHARED SUBTREES").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Not at all.
    Private,
    /// From the host into the container, not back.
    Slave,
    /// Both ways.
    Shared,
}

impl Propagation {
    fn flag(self) -> u64 {
        match self {
            Self::Private => libc::MS_PRIVATE,
            Self::Slave => libc::MS_SLAVE,
            Self::Shared => libc::MS_SHARED,
        }
    }
}

/// A mount that is not attached anywhere yet. Dropped, it is gone.
#[derive(Debug)]
pub struct Mount {
    fd: OwnedFd,
    what: String,
}

impl Mount {
    /// A new instance of a file system, with options (an empty value makes a flag) and attributes.
    ///
    /// # Errors
    /// As fsopen(2), fsconfig(2) and fsmount(2): `EPERM` without CAP_SYS_ADMIN in the namespace that owns
    /// it, `ENODEV` if the kernel does not have it, `EINVAL` for an option that it does not know.
    pub fn filesystem(fstype: &str, options: &[(&str, &str)], attributes: u64) -> Result<Self> {
        let text = |text: &str| CString::new(text).map_err(|_| Error::invalid(format!("a NUL byte in {text:?}")));
        let fs = sys::fsopen(&text(fstype)?).or_call("fsopen", fstype)?;
        // What the mount table shows as the source.
        sys::fsconfig_set(fs.as_fd(), c"source", Some(&text(fstype)?))
            .or_call("fsconfig", format!("{fstype}, source"))?;
        for (key, value) in options {
            let value = if value.is_empty() { None } else { Some(text(value)?) };
            sys::fsconfig_set(fs.as_fd(), &text(key)?, value.as_deref())
                .or_call("fsconfig", format!("{fstype}, option {key}"))?;
        }
        let fd = sys::fsmount(fs.as_fd(), attributes).or_call("fsmount", fstype)?;
        Ok(Self { fd, what: fstype.to_owned() })
    }

    /// A copy of what is mounted at (and, if `recursive`, below) the handle `source`: a bind mount to be.
    ///
    /// # Errors
    /// As open_tree(2): `EINVAL` if a mount below is locked and `recursive` is false (user_namespaces(7)).
    pub fn tree(source: impl AsFd, what: impl Into<String>, recursive: bool) -> Result<Self> {
        let what = what.into();
        let fd = sys::open_tree(source.as_fd(), recursive).or_call("open_tree", &what)?;
        Ok(Self { fd, what })
    }

    /// As [`tree`](Self::tree), of a trusted path of the host.
    ///
    /// # Errors
    /// As open(2) and open_tree(2).
    pub fn tree_at(path: &Path, recursive: bool) -> Result<Self> {
        let source =
            nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", path.display())?;
        Self::tree(source, path.display().to_string(), recursive)
    }

    /// Sets attributes ([`RDONLY`] and so on). Locked ones of the source are kept, whatever is asked for.
    ///
    /// # Errors
    /// As mount_setattr(2).
    pub fn set(&self, attributes: u64, recursive: bool) -> Result<()> {
        mount_setattr(self.fd.as_fd(), Change::attributes(attributes), recursive).or_call("mount_setattr", &self.what)
    }

    /// Sets the propagation type.
    ///
    /// # Errors
    /// As mount_setattr(2).
    pub fn propagate(&self, propagation: Propagation, recursive: bool) -> Result<()> {
        mount_setattr(self.fd.as_fd(), Change::propagation(propagation.flag()), recursive)
            .or_call("mount_setattr", &self.what)
    }

    /// Attaches it on what `target` is a handle of; `place` is for messages.
    ///
    /// # Errors
    /// As move_mount(2): `ENOTDIR` if one is a directory and the other is not.
    pub fn attach(self, target: impl AsFd, place: &str) -> Result<()> {
        sys::move_mount(self.fd.as_fd(), target.as_fd()).or_call("move_mount", format!("{} on {place}", self.what))?;
        explain!(3, "visible in this mount namespace only", "move_mount({}, {place})", self.what);
        Ok(())
    }
}

impl AsFd for Mount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Changes attributes of a mount that is attached already, for example to read-only.
///
/// # Errors
/// As mount_setattr(2).
pub fn set_attached(mount: impl AsFd, place: &str, attributes: u64, recursive: bool) -> Result<()> {
    mount_setattr(mount.as_fd(), Change::attributes(attributes), recursive).or_call("mount_setattr", place)
}
