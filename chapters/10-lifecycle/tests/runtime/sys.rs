//! The tests' only `unsafe` line.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Owns a descriptor that the kernel has just made for us.
pub fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: recvmsg(2) has returned it as a new descriptor; nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
