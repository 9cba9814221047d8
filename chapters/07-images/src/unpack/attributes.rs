//! Owner, permissions, attributes and times, in the order in which they do not undo each other.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat};
use process::{Error, OrCall, Result};
use rootfs::fd_path;

use super::archive::Entry;
use super::corrupt;
use super::name::Name;
use super::tree::{Tree, c_name, c_path, is_overlay_mark};
use crate::sys;

/// A file that was just made, named by its directory's handle and its own name: nobody else knows it yet.
pub struct Made<'a> {
    /// The directory.
    pub parent: BorrowedFd<'a>,
    /// The name in it; `.` for the layer's root.
    pub file: &'a OsStr,
    /// The whole name, for messages.
    pub name: &'a Name,
}

impl Made<'_> {
    /// Owner first, since changing it clears setuid bits and capabilities (chown(2)); then the
    /// attributes; then the mode. Gives the number of attributes that were refused.
    pub fn describe(&self, entry: &Entry, is_link: bool) -> Result<u64> {
        self.own(id(entry.uid, self.name)?, id(entry.gid, self.name)?)?;
        let refused = self.attributes(entry)?;
        if !is_link {
            self.permit(entry.mode)?;
        }
        Ok(refused)
    }

    /// `fchownat(2)`
    pub fn own(&self, uid: u32, gid: u32) -> Result<()> {
        let (owner, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        match fchownat(self.parent, self.file, Some(owner), Some(group), flags) {
            Err(errno @ (Errno::EINVAL | Errno::EPERM)) => {
                let what = format!("{} to {uid}:{gid}", Tree::show(self.name));
                Err(Error::call("fchownat", what, errno).help(
                    "this user namespace does not know the id; give yourself a range of ids: \
                     sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER",
                ))
            }
            done => done.or_call("fchownat", Tree::show(self.name)),
        }
    }

    /// `fchmodat(2)`; never for a symbolic link, which would be followed.
    pub fn permit(&self, mode: u32) -> Result<()> {
        let mode = Mode::from_bits_truncate(mode & 0o7777);
        fchmodat(self.parent, self.file, mode, FchmodatFlags::FollowSymlink).or_call("fchmodat", Tree::show(self.name))
    }

    /// `utimensat(2)`, nanoseconds included.
    pub fn date(&self, (seconds, nanoseconds): (i64, i64)) -> Result<()> {
        let time = TimeSpec::new(seconds, nanoseconds);
        utimensat(self.parent, self.file, &time, &time, UtimensatFlags::NoFollowSymlink)
            .or_call("utimensat", Tree::show(self.name))
    }

    fn attributes(&self, entry: &Entry) -> Result<u64> {
        let mut refused = 0;
        for (name, value) in &entry.xattrs {
            let Some(name) = c_name(name).filter(|name| !is_overlay_mark(name)) else { continue };
            let path = c_path(fd_path(self.parent.as_fd()).join(self.file))?;
            match sys::lsetxattr(&path, &name, value) {
                Ok(()) => {}
                // Another security module's label, a file system without attributes: the file is still of use.
                Err(Errno::EPERM | Errno::ENOTSUP | Errno::EINVAL) => refused += 1,
                Err(errno) => {
                    let what = format!("{} of {}", name.to_string_lossy(), Tree::show(self.name));
                    return Err(Error::call("lsetxattr", what, errno));
                }
            }
        }
        Ok(refused)
    }
}

fn id(id: u64, name: &Name) -> Result<u32> {
    // The last one means "unchanged" to the kernel (chown(2)).
    let id = u32::try_from(id).ok().filter(|&id| id != u32::MAX);
    id.ok_or_else(|| corrupt(&format!("the owner of {} is out of range", Tree::show(name))))
}
