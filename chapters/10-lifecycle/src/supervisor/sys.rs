//! Every `unsafe` line of the supervisor.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// Owns a descriptor that was inherited under this number, or that recvmsg(2) has just put into this process.
pub fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the callers pass numbers out of the handover or fresh out of a control message, each once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// How many bytes can be read at once (`FIONREAD`, pipe(7) and ioctl_tty(2)).
pub fn readable(fd: BorrowedFd<'_>) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: the kernel writes one int through the pointer, which is valid for the call.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    Errno::result(done).map_or(0, |_| usize::try_from(count).unwrap_or_default())
}

/// Where the first `byte` stands (memchr(3)): many times faster than a loop, above all in a debug build.
pub fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    let start = bytes.as_ptr();
    // SAFETY: the pointer and the length are those of one slice; an empty one is not read.
    let found = unsafe { libc::memchr(start.cast(), byte.into(), bytes.len()) };
    if found.is_null() { None } else { Some(found as usize - start as usize) }
}

/// `close_range(2)`: closes every descriptor but `fd`. For a process that owns none of the others any more.
pub fn close_all_but(fd: BorrowedFd<'_>) {
    let fd = fd.as_raw_fd().cast_unsigned();
    // SAFETY: called by a child that from here on uses `fd` alone and ends with _exit(2), so that nothing which believes
    // to own one of the others runs any more.
    unsafe {
        if fd > 0 {
            libc::close_range(0, fd - 1, 0);
        }
        libc::close_range(fd + 1, u32::MAX, 0);
    }
}

/// `kill(2)` with any number, real-time signals too.
///
/// # Errors
/// `EINVAL` if there is no such signal, `ESRCH` if the process is gone.
pub fn kill(pid: nix::unistd::Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: two integers.
    Errno::result(unsafe { libc::kill(pid.as_raw(), signal) }).map(drop)
}

/// Standard input, which stays open for the whole life of the process.
pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: nothing in the engine closes descriptor 0; it is only ever replaced (dup2) in a child.
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// `madvise(MADV_DONTNEED)` on a mapping of a file that was never changed in memory.
pub fn forget(start: usize, end: usize) {
    // SAFETY: the caller has found in /proc/self/smaps that the range is a private mapping of a file without a page of
    // its own (`Anonymous: 0 kB`) and not writable, so every page comes back from the file as it was (madvise(2)).
    unsafe { libc::madvise(std::ptr::without_provenance_mut(start), end - start, libc::MADV_DONTNEED) };
}
