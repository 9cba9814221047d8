//! The `unsafe` lines of the filter: seccomp(2), and what a listener needs.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::assemble::Instruction;
use nix::errno::Errno;

/// Lays a program over this thread and all that it starts (seccomp(2), `SECCOMP_SET_MODE_FILTER`). Allocates nothing.
///
/// Gives the listener's descriptor if `flags` has `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
///
/// # Errors
/// `EACCES` with neither `CAP_SYS_ADMIN` nor no_new_privs, `EINVAL` for a program or a flag that the kernel does not take.
pub fn set_filter(program: &[Instruction], flags: libc::c_ulong) -> Result<Option<OwnedFd>, Errno> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: `program` and the instructions it points to outlive the call, which reads them only; Instruction
    // has the layout of the kernel's sock_filter (both are repr(C) of the same four fields).
    let done = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    let fd = Errno::result(done)? as RawFd;
    let listens = flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0;
    // SAFETY: with that flag the result is a new descriptor; nobody else owns it.
    Ok(listens.then(|| unsafe { OwnedFd::from_raw_fd(fd) }))
}
