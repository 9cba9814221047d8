//! Which of overlayfs's marks this process may set (Documentation/filesystems/overlayfs.rst, "User xattr").

use std::ffi::CStr;
use std::sync::OnceLock;

/// The attribute that makes a directory opaque.
///
/// `trusted.` attributes belong to root of the initial user namespace. In any other one the marks are
/// `user.` attributes, and the overlay is mounted with `userxattr`.
pub fn opaque() -> &'static CStr {
    if in_user_namespace() { c"user.overlay.opaque" } else { c"trusted.overlay.opaque" }
}

/// Is this process not root of the machine's first user namespace?
pub fn in_user_namespace() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| layers::in_user_namespace() || !nix::unistd::geteuid().is_root())
}
