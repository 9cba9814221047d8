//! Every `unsafe` line of the book's program: two calls that nix lacks.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::pty::Winsize;

/// `MOUNT_ATTR_RDONLY` (mount_setattr(2)).
pub const RDONLY: u64 = 1;

const AT_RECURSIVE: libc::c_uint = 0x8000;

/// The argument of mount_setattr(2), from linux/mount.h.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// `mount_setattr(2)`: sets and clears attributes of the mount at `path`, and of all below it.
///
/// # Errors
/// As mount_setattr(2).
pub fn mount_setattr(path: &std::ffi::CStr, set: u64, clear: u64) -> Result<(), Errno> {
    let attributes = MountAttr { set, clear, propagation: 0, userns_fd: 0 };
    let (pointer, size) = (&raw const attributes, size_of::<MountAttr>());
    // SAFETY: the path is a C string; the attributes live until the call returns, and their size is told.
    let done =
        unsafe { libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, path.as_ptr(), AT_RECURSIVE, pointer, size) };
    Errno::result(done).map(drop)
}

/// `ioctl(TIOCSWINSZ)`: changes a terminal's size.
///
/// # Errors
/// As ioctl_tty(2).
pub fn resize(terminal: BorrowedFd<'_>, size: &Winsize) -> Result<(), Errno> {
    // SAFETY: the descriptor is borrowed, so open; the size is read while the reference holds.
    Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, std::ptr::from_ref(size)) }).map(drop)
}
