//! A few calls in another network namespace, and back.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use namespaces::rootless;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use process::{Child, Error, OrCall, Result};

use crate::Lease;
use crate::apart::apart;
use crate::dns::listen::Listening;

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

/// The network namespace of a child that waits for us.
///
/// # Errors
/// As open(2).
pub fn of_child(child: &Child) -> Result<OwnedFd> {
    let path = child.proc("ns/net");
    open(&path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", path.display())
}

/// What can come back from another network namespace: descriptors, or nothing.
pub trait Passed: Sized {
    /// The descriptors.
    fn into_fds(self) -> Vec<OwnedFd>;

    /// The same again from the same descriptors; none if there are too few.
    fn from_fds(fds: Vec<OwnedFd>) -> Option<Self>;
}

impl Passed for () {
    fn into_fds(self) -> Vec<OwnedFd> {
        Vec::new()
    }

    fn from_fds(_: Vec<OwnedFd>) -> Option<Self> {
        Some(())
    }
}

impl Passed for Listening {
    fn into_fds(self) -> Vec<OwnedFd> {
        vec![self.udp, self.tcp]
    }

    fn from_fds(fds: Vec<OwnedFd>) -> Option<Self> {
        let [udp, tcp] = fds.try_into().ok()?;
        Some(Self { udp, tcp })
    }
}

/// Calls `work` in the network namespace `netns`; sockets that it opens stay there, and so does what it reads and writes
/// below /proc/sys/net.
///
/// Root goes there itself (setns(2) moves one thread only). In an ordinary user's engine a [child](crate::apart) does,
/// so `work` may change files, and nothing in memory.
///
/// # Errors
/// As setns(2), or those of `work`.
pub fn within<T: Passed>(netns: BorrowedFd<'_>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    if rootless::is_rootless() {
        let fds = apart(netns, || work().map(Passed::into_fds))?;
        return T::from_fds(fds).ok_or_else(|| Error::not_found("the sockets of another network namespace"));
    }
    let ours = File::open("/proc/thread-self/ns/net").or_call("open", "/proc/thread-self/ns/net")?;
    setns(netns, CloneFlags::CLONE_NEWNET).or_call("setns", "the container's network")?;
    let done = work();
    setns(ours.as_fd(), CloneFlags::CLONE_NEWNET).or_call("setns", "back to the host's network")?;
    done
}
