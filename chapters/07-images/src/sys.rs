//! Every `unsafe` line of the chapter: extended attributes, which nix does not wrap (xattr(7)).

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// `lsetxattr(2)`: sets an attribute of what `path` names, a symbolic link itself included.
///
/// # Errors
/// `EPERM` or `ENOTSUP` where the name space or the file system does not allow it, `ENOSPC` past its limits.
pub fn lsetxattr(path: &CStr, name: &CStr, value: &[u8]) -> Result<(), Errno> {
    // SAFETY: both strings end in NUL, and the kernel reads `value.len()` bytes of a live slice.
    let done = unsafe { libc::lsetxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Errno::result(done).map(drop)
}

/// `getxattr(2)`: the value of an attribute, or `None` if there is none of that name.
///
/// # Errors
/// As the manual page; `E2BIG` if it is larger than the kernel's own limit of 64 KiB.
pub fn getxattr(path: &CStr, name: &CStr) -> Result<Option<Vec<u8>>, Errno> {
    let mut value = vec![0_u8; 64 << 10];
    // SAFETY: both strings end in NUL, and the kernel writes at most `value.len()` bytes into it.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    match Errno::result(length) {
        Err(Errno::ENODATA | Errno::ENOTSUP) => Ok(None),
        length => {
            value.truncate(length? as usize);
            Ok(Some(value))
        }
    }
}

/// `listxattr(2)`: the names of all attributes, each with its NUL.
///
/// # Errors
/// As the manual page.
pub fn listxattr(path: &CStr) -> Result<Vec<u8>, Errno> {
    let mut names = vec![0_u8; 64 << 10];
    // SAFETY: the string ends in NUL, and the kernel writes at most `names.len()` bytes into the buffer.
    let length = unsafe { libc::listxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    match Errno::result(length) {
        Err(Errno::ENOTSUP) => Ok(Vec::new()),
        length => {
            names.truncate(length? as usize);
            Ok(names)
        }
    }
}

/// `syncfs(2)`: everything written to the file system of `fd` is on the disk.
///
/// # Errors
/// `EIO` and the like, for writes that failed.
pub fn syncfs(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: takes an open descriptor and touches no memory.
    Errno::result(unsafe { libc::syncfs(fd.as_raw_fd()) }).map(drop)
}
