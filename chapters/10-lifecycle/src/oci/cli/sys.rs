//! The `unsafe` lines of the command line.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// `pidfd_send_signal(2)` with any signal: drivers stop systemd with a real-time one, which nix has no name for.
///
/// # Errors
/// `ESRCH` if the process is gone, `EPERM` if it is another user's, `EINVAL` if there is no such signal.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed and means "as kill(2) does"; the descriptor is borrowed, so open.
    let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) };
    Errno::result(done).map(drop)
}
