//! The marks that overlayfs leaves in an upper directory: whiteouts and opaque directories.
//!
//! They live in `trusted.` attributes, which only root of the machine's first user namespace may touch. In any
//! other namespace the overlay is mounted with `userxattr` and uses `user.` ones
//! (Documentation/filesystems/overlayfs.rst, "User xattr").

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::OnceLock;

use process::{OrCall, Result};

use crate::sys;

/// Is this another user namespace than the machine's first one (user_namespaces(7))?
pub fn in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The beginning of the names of the overlay's own attributes, as this process would have them.
///
/// Decided once: an ordinary user's engine is in its namespace before it looks at any layer.
fn prefix() -> &'static str {
    static PREFIX: OnceLock<&str> = OnceLock::new();
    PREFIX.get_or_init(|| if in_user_namespace() { "user.overlay." } else { "trusted.overlay." })
}

/// Is `name` an attribute of an overlay's own, whoever mounted it? Such ones mean nothing anywhere else.
pub fn is_internal(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

/// Does the directory at `path` hide what the layers below have at its place?
///
/// # Errors
/// As lgetxattr(2).
pub fn is_opaque(path: &Path) -> Result<bool> {
    let name = format!("{}opaque", prefix());
    let value = sys::get(path, OsStr::new(&name)).or_call("lgetxattr", path.display())?;
    Ok(value.as_deref() == Some(b"y"))
}

/// Does what is at `path` say "there is nothing here, whatever the layers below have"?
///
/// The usual mark is a character device 0:0. Layers made by other tools may have an empty file with an
/// attribute in its place, for file systems that know no devices.
///
/// # Errors
/// As lgetxattr(2).
pub fn is_whiteout(path: &Path, about: &Metadata) -> Result<bool> {
    if about.file_type().is_char_device() {
        return Ok(about.rdev() == 0);
    }
    if !about.is_file() || about.len() != 0 {
        return Ok(false);
    }
    let name = format!("{}whiteout", prefix());
    Ok(sys::get(path, OsStr::new(&name)).or_call("lgetxattr", path.display())?.is_some())
}
