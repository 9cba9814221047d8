//! The `unsafe` lines of the suite.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// Owns a descriptor that recvmsg(2) has just put into this process.
pub fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller passes a number fresh out of a control message; nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Waits for one notification of a filter and answers it with `errno`; gives who called (seccomp_unotify(2)).
pub fn refuse_one(listener: &OwnedFd, errno: i32) -> Result<u32, Errno> {
    // SECCOMP_IOCTL_NOTIF_RECV and _SEND of linux/seccomp.h.
    const RECEIVE: libc::c_ulong = nix::request_code_readwrite!(b'!', 0, size_of::<libc::seccomp_notif>());
    const SEND: libc::c_ulong = nix::request_code_readwrite!(b'!', 1, size_of::<libc::seccomp_notif_resp>());
    // SAFETY: zeroes, which the kernel wants to see, are a valid value of this struct of integers.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes a struct of this size, which outlives the call.
    Errno::result(unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE, &raw mut call) })?;
    let mut answer = libc::seccomp_notif_resp { id: call.id, val: 0, error: -errno, flags: 0 };
    // SAFETY: the kernel reads a struct of this size, which outlives the call.
    Errno::result(unsafe { libc::ioctl(listener.as_raw_fd(), SEND, &raw mut answer) })?;
    Ok(call.pid)
}
