//! A few calls in another network namespace, and back.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use process::{Error, OrCall, Result};

use crate::Lease;

/// The network namespace of the container that holds `lease`.
///
/// # Errors
/// [`Kind::NotFound`](process::Kind::NotFound) if it has just ended; as open(2).
pub fn of(lease: &Lease) -> Result<OwnedFd> {
    let path = format!("/proc/{}/ns/net", lease.pid);
    let netns = open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
    // Looked at after opening: had the process ended before, this would be a stranger's namespace.
    match netns {
        Ok(netns) if !lease.is_stale() => Ok(netns),
        Err(errno) if !lease.is_stale() => Err(Error::call("open", path, errno)),
        _ => Err(Error::not_found(format!("container {} has just ended", lease.name))),
    }
}

/// Calls `work` with this thread in the network namespace `netns` (setns(2) moves one thread only); sockets that it opens
/// stay there, and so does what it reads and writes below /proc/sys/net.
///
/// # Errors
/// As setns(2), or those of `work`.
pub fn within<T>(netns: BorrowedFd<'_>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let ours = File::open("/proc/thread-self/ns/net").or_call("open", "/proc/thread-self/ns/net")?;
    setns(netns, CloneFlags::CLONE_NEWNET).or_call("setns", "the container's network")?;
    let done = work();
    setns(ours.as_fd(), CloneFlags::CLONE_NEWNET).or_call("setns", "back to the host's network")?;
    done
}
