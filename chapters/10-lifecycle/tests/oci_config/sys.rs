//! The one `unsafe` line of the suite.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Owns a descriptor that recvmsg(2) has just put into this process.
pub fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller passes a number fresh out of a control message; nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
