//! The session keyring: keys that a program inherits from whoever started it (keyrings(7)).
//!
//! Keys are not in a namespace. Without a keyring of its own a container would have the engine's, and with it what
//! the user's session keeps there: Kerberos tickets, keys of encrypted directories.

use std::ffi::CString;

use nix::errno::Errno;
use process::{Error, OrCall, Result, explain};

use crate::sys;

/// `KEY_USR_SEARCH`: who has the container's user id may find it, as runc has it (`keyctl_setperm(3)`).
const USER_MAY_SEARCH: u32 = 0x0008_0000;

/// Begins an empty session keyring, named after the container.
///
/// A kernel without keys, or a filter around us that forbids them, has none to inherit either: that is no error.
///
/// # Errors
/// As keyctl(2): `EDQUOT` past the user's quota.
pub fn join(container: &str) -> Result<()> {
    let Ok(name) = CString::new(format!("_ses.{container}")) else {
        return Err(Error::invalid(format!("a NUL byte in the name {container:?}")));
    };
    let serial = match sys::join_session_keyring(&name) {
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EACCES) => return Ok(()),
        joined => joined.or_call("keyctl", format!("JOIN_SESSION_KEYRING {name:?}")).map_err(|error| {
            error.help("the user has too many keys: raise kernel.keys.maxkeys, or have the container keep the engine's keyring")
        })?,
    };
    explain!(9, "an empty keyring instead of ours", "keyctl(JOIN_SESSION_KEYRING, {name:?}) = {serial}");
    // What we have as its possessor stays; others of our user id may find it, no more.
    let possessor = 0x3f00_0000;
    sys::set_key_permissions(serial, possessor | USER_MAY_SEARCH).or_call("keyctl", format!("SETPERM {serial}"))
}
