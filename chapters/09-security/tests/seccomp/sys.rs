//! The `unsafe` lines of the test: bare system calls, and a listener's answers.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

/// Any system call, by number.
pub fn call(number: i64, args: [u64; 6]) -> Result<i64, Errno> {
    let [a, b, c, d, e, f] = args;
    // SAFETY: the callers give numbers and null pointers only, which the kernel checks.
    Errno::result(unsafe { libc::syscall(number, a, b, c, d, e, f) })
}

/// Copies this process with clone(2) and `flags`; the copy ends at once.
pub fn clone(flags: libc::c_int) -> Result<(), Errno> {
    let flags = (flags | libc::SIGCHLD) as u64;
    // SAFETY: without CLONE_VM the copy has memory of its own, on which it does nothing but end.
    match Errno::result(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })? {
        // SAFETY: never returns and touches no memory.
        0 => unsafe { libc::_exit(0) },
        child => nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child as i32), None).map(drop),
    }
}

/// Receives text and one descriptor.
pub fn receive(socket: BorrowedFd<'_>) -> Result<(String, OwnedFd), Errno> {
    let mut text = vec![0; 65536];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let mut slices = [IoSliceMut::new(&mut text)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let rights = message.cmsgs()?.find_map(|one| match one {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    let (length, fd) = (message.bytes, rights.ok_or(Errno::EBADMSG)?);
    text.truncate(length);
    // SAFETY: the descriptor came with this very message; nobody else owns it.
    Ok((String::from_utf8_lossy(&text).into_owned(), unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Waits for one call that was put to the listener, and lets it fail with `errno`. Gives the call's number.
pub fn refuse_next(listener: BorrowedFd<'_>, errno: Errno) -> Result<i32, Errno> {
    // SAFETY: both are plain data for which all zeroes is a valid value.
    let (mut question, mut answer): (libc::seccomp_notif, libc::seccomp_notif_resp) = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one seccomp_notif through the pointer, which is valid for the call.
    Errno::result(unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE as _, &raw mut question) })?;
    answer.id = question.id;
    answer.error = -(errno as i32);
    // SAFETY: the kernel reads one seccomp_notif_resp through the pointer, which is valid for the call.
    Errno::result(unsafe { libc::ioctl(listener.as_raw_fd(), SEND as _, &raw mut answer) })?;
    Ok(question.data.nr)
}

/// `SECCOMP_IOCTL_NOTIF_RECV` and `_SEND` (linux/seccomp.h): `SECCOMP_IOWR(0, struct seccomp_notif)`, and 1.
const RECEIVE: u32 = 0xc000_2100 | (size_of::<libc::seccomp_notif>() as u32) << 16;
const SEND: u32 = 0xc000_2101 | (size_of::<libc::seccomp_notif_resp>() as u32) << 16;
