//! Published ports without root: a process takes what comes to the host's ports, and carries it into the container.
//!
//! | module | what it is |
//! |---|---|
//! | [`server`] | one thread, one poll(2) loop |
//! | [`stream`] | a TCP connection: two sockets, and what is on its way between them |
//! | [`datagram`] | UDP: for each caller a socket inside |
//!
//! The sockets at which it listens are the host's, opened by the engine: a socket stays in the network namespace in
//! which it was made. The process itself enters the namespace from which the container is reached, so the container sees
//! calls come from its gateway. It ends with the container's first process, of which it holds a pidfd.

mod datagram;
mod server;
mod stream;

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;
use process::sys::pidfd_open;
use process::{Error, OrCall, Result, explain};
use rootfs::dirs;

use crate::dns::server::renounce;
use crate::ground::Ground;
use crate::state::State;
use crate::{HostPort, Lease, Port, Reserved, Wanted, attend, carrier, netns, nft, state, sys};

/// The name by which the process is executed.
pub const NAME: &str = "cooper-ports";
/// The file in the container's directory that is locked while the process is there.
const LOCK: &str = "ports.lock";

/// Relays the ports that are `reserved` to the container of this `directory`, which is reached from the network
/// namespace `netns`. Without ports there is nothing to do.
///
/// # Errors
/// As listen(2), execve(2).
pub fn start(directory: &Path, netns: BorrowedFd<'_>, reserved: Reserved) -> Result<()> {
    if reserved.ports.is_empty() {
        return Ok(());
    }
    let path = directory.join(LOCK);
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).or_call("open", path.display())?;
    match lock(&file)? {
        true => serve(directory, file, netns, reserved),
        false => Ok(()), // there is one
    }
}

/// Starts the process again of a container that has lost it: killed, or for want of memory.
///
/// # Errors
/// As [`start`]; [`Kind::Conflict`](process::Kind::Conflict) if somebody else has a port by now.
pub fn mend(state: &State, lease: &Lease) -> Result<()> {
    let directory = state.container(&lease.container);
    // Whose ports are not relayed has no such file.
    let Ok(file) = OpenOptions::new().append(true).open(directory.join(LOCK)) else { return Ok(()) };
    if !lock(&file)? {
        return Ok(());
    }
    explain!(6, "nobody is at its ports: somebody else", "{}", lease.container);
    let again = |port: &Port| {
        let (protocol, host_ip, container_port) = (port.protocol, Some(port.host_ip), port.container_port);
        Wanted { protocol, host_ip, host: HostPort::FirstOf(port.host_port..=port.host_port), container_port }
    };
    let reserved = Reserved::take(&lease.ports.iter().map(again).collect::<Vec<_>>(), true, &[])?;
    if carrier::is_carried(&lease.network) {
        return serve(&directory, file, netns::of(lease)?.as_fd(), reserved);
    }
    match Ground::find(state)?.as_ref().and_then(Ground::netns) {
        Some(netns) => serve(&directory, file, netns, reserved),
        None => Ok(()),
    }
}

/// Takes the lock that is the process's for as long as it lives, with whatever descriptor; false: somebody has it.
fn lock(file: &File) -> Result<bool> {
    let (l_type, l_whence) = (libc::F_WRLCK as i16, libc::SEEK_SET as i16);
    let whole = libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&whole)) {
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        done => done.or_call("fcntl", LOCK).map(|_| true),
    }
}

fn serve(directory: &Path, lock: File, netns: BorrowedFd<'_>, reserved: Reserved) -> Result<()> {
    let mut fds = vec![lock.into(), netns.try_clone_to_owned().or_call("dup", "a network namespace")?];
    fds.extend(reserved.listen()?);
    attend::start_having(NAME, directory, fds)?;
    explain!(6, "it carries calls from the host's ports into the container", "execve(\"{NAME}\")");
    Ok(())
}

/// The process: `directory` is the container's; further arguments are descriptors: of its lock, of the network namespace,
/// and of a socket for each port.
pub fn run(directory: &Path) {
    let fds = std::env::args().skip(2).filter_map(|text| text.parse().ok()).map(sys::own);
    // There is nobody to be told of an error: a port that does not answer is noticed.
    let _ = relay(directory, fds.collect());
}

fn relay(directory: &Path, mut fds: Vec<OwnedFd>) -> Result<()> {
    let id = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let gone = || Error::not_found(format!("container {id} has just ended"));
    let lease = state::peek(&dirs().run, &id).ok_or_else(gone)?;
    let container = pidfd_open(Pid::from_raw(lease.pid)).or_call("pidfd_open", lease.pid)?;
    // Looked at after opening: had the process ended before, this would be a stranger.
    if lease.is_stale() || fds.len() != lease.ports.len() + 2 {
        return Err(gone());
    }
    let _lock = fds.remove(0);
    let netns = fds.remove(0);
    setns(netns, CloneFlags::CLONE_NEWNET).or_call("setns", "where the container is reached from")?;
    renounce()?;
    server::serve(&id, container, lease.ports.into_iter().zip(fds).collect())
}

/// Where calls to `port` go now: the container may have come to other networks meanwhile.
fn target(id: &str, port: &Port) -> Option<SocketAddr> {
    let run = &dirs().run;
    let lease = state::peek(run, id)?;
    let networks = state::peek_networks(run);
    let own = |lease: &Lease| lease.endpoints.iter().position(|endpoint| carrier::is_carried(&endpoint.network));
    let endpoint = match own(&lease) {
        Some(at) => &lease.endpoints[at],
        None => nft::entrance(&networks.iter().collect::<Vec<_>>(), &lease)?,
    };
    let mut addresses = endpoint.addresses();
    let address = addresses.find(|address| address.is_ipv4() == port.host_ip.is_ipv4())?;
    Some(SocketAddr::new(address, port.container_port))
}
