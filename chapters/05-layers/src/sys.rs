//! Every `unsafe` line of the chapter: extended attributes, which nix does not wrap (xattr(7)), and a lock's descriptor.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::Flock;

/// The largest value, and the longest list of names, that the kernel gives (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const MOST: usize = 64 << 10;

/// The descriptor of a lock, with the lock: dropping a [`Flock`] would unlock, for all who have the file open by it.
pub fn still_locked(lock: Flock<File>) -> OwnedFd {
    let fd = lock.as_raw_fd();
    std::mem::forget(lock);
    // SAFETY: the descriptor was the lock's, which is forgotten: nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn text(text: &OsStr) -> Result<CString, Errno> {
    CString::new(text.as_bytes()).map_err(|_| Errno::EINVAL)
}

/// `llistxattr(2)`: the names of the attributes of what `path` names, a symbolic link itself included.
///
/// # Errors
/// As the manual page; a file system without attributes has none, which is no error.
pub fn list(path: &Path) -> Result<Vec<OsString>, Errno> {
    let path = text(path.as_os_str())?;
    // SAFETY: with size 0 the kernel writes nothing and says how much there is.
    match Errno::result(unsafe { libc::llistxattr(path.as_ptr(), std::ptr::null_mut(), 0) }) {
        Ok(0) | Err(Errno::ENOTSUP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
        Ok(_) => {}
    }
    let mut names = vec![0_u8; MOST];
    // SAFETY: the path ends in NUL, and the kernel writes at most `names.len()` bytes into the buffer.
    let length = unsafe { libc::llistxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    names.truncate(Errno::result(length)? as usize);
    let names = names.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| OsString::from_vec(name.to_vec())).collect())
}

/// `lgetxattr(2)`: the value of an attribute, or `None` if there is none of that name.
///
/// # Errors
/// As the manual page.
pub fn get(path: &Path, name: &OsStr) -> Result<Option<Vec<u8>>, Errno> {
    let (path, name) = (text(path.as_os_str())?, text(name)?);
    // SAFETY: with size 0 the kernel writes nothing and says how much there is.
    match Errno::result(unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) }) {
        Err(Errno::ENODATA | Errno::ENOTSUP) => return Ok(None),
        Err(errno) => return Err(errno),
        Ok(_) => {}
    }
    let mut value = vec![0_u8; MOST];
    // SAFETY: both strings end in NUL, and the kernel writes at most `value.len()` bytes into the buffer.
    let length = unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    value.truncate(Errno::result(length)? as usize);
    Ok(Some(value))
}

/// `lsetxattr(2)`: sets an attribute of what `path` names, a symbolic link itself included.
///
/// # Errors
/// `EPERM` or `ENOTSUP` where the name space or the file system does not allow it, `ENOSPC` past its limits.
pub fn set(path: &Path, name: &OsStr, value: &[u8]) -> Result<(), Errno> {
    let (path, name) = (text(path.as_os_str())?, text(name)?);
    // SAFETY: both strings end in NUL, and the kernel reads `value.len()` bytes of a live slice.
    let done = unsafe { libc::lsetxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Errno::result(done).map(drop)
}
