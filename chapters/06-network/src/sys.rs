//! Every `unsafe` line of the chapter.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Makes a descriptor that has come as a number somebody's property: by a socket, or by execve(2).
pub fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: called once for each number that recvmsg(2) has just made, or that the program which executed this one
    // has left open for it; nobody else in this process knows it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Runs `prepare` in the child that `command` makes, right before exec(3).
pub fn before_exec(command: &mut Command, prepare: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) {
    // SAFETY: between fork and exec only what is async-signal-safe may be called in a process of several
    // threads, because a lock could be held by a thread that the child does not have. The engine has one
    // thread (process::Container checks it), so there is no such lock, and the closure may allocate.
    unsafe { command.pre_exec(prepare) };
}
