//! The `unsafe` lines of `cp`: extended attributes, which nix does not wrap (xattr(7)).
//!
//! Paths are `/proc/self/fd/N` only, which are followed to what the handle is of.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;

/// The largest value, and the longest list of names, that the kernel gives (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const MOST: usize = 64 << 10;

fn text(text: &OsStr) -> Result<CString, Errno> {
    CString::new(text.as_bytes()).map_err(|_| Errno::EINVAL)
}

/// `listxattr(2)`: the names of the attributes. A file system without them has none, which is no error.
pub fn list(path: &Path) -> Result<Vec<OsString>, Errno> {
    let path = text(path.as_os_str())?;
    let mut names = vec![0_u8; MOST];
    // SAFETY: the path ends in NUL, and the kernel writes at most `names.len()` bytes into the buffer.
    let length = unsafe { libc::listxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    match Errno::result(length) {
        Err(Errno::ENOTSUP) => return Ok(Vec::new()),
        length => names.truncate(length? as usize),
    }
    let names = names.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| OsString::from_vec(name.to_vec())).collect())
}

/// `getxattr(2)`: a value; none if it is gone by now.
pub fn get(path: &Path, name: &OsStr) -> Result<Option<Vec<u8>>, Errno> {
    let (path, name) = (text(path.as_os_str())?, text(name)?);
    let mut value = vec![0_u8; MOST];
    // SAFETY: both strings end in NUL, and the kernel writes at most `value.len()` bytes into the buffer.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    match Errno::result(length) {
        Err(Errno::ENODATA | Errno::ENOTSUP) => Ok(None),
        length => {
            value.truncate(length? as usize);
            Ok(Some(value))
        }
    }
}

/// `setxattr(2)`
pub fn set(path: &Path, name: &OsStr, value: &[u8]) -> Result<(), Errno> {
    let (path, name) = (text(path.as_os_str())?, text(name)?);
    // SAFETY: both strings end in NUL, and the kernel reads `value.len()` bytes of a live slice.
    let done = unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Errno::result(done).map(drop)
}
