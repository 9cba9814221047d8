//! The embedded name server: 127.0.0.11 in each container that is in a network which somebody made.
//!
//! | module | what it is |
//! |---|---|
//! | [`message`] | a query is read, an answer is written (RFC 1035) |
//! | [`directory`] | who has which name in the asker's networks, from the leases |
//! | [`listen`] | the sockets in the container's network namespace, and port 53 without taking it |
//! | [`upstream`] | what is not ours is asked of the host's name servers, so many at once and no more |
//! | [`framed`] | messages over TCP |
//! | [`server`] | one thread, one poll(2) loop |
//!
//! How it is used:
//! 1. Before the child exists [`serves`] says whether the container gets one. [`write_upstream`] notes the host's name
//!    servers beside the container's `resolv.conf`, which then has [`ADDRESS`] alone (`Reach::Embedded`).
//! 2. When its links are there, [`start`] opens the sockets in its network namespace and executes a small process that
//!    has them as its standard input and output, as inetd did. Queries are answered from then on.
//! 3. The process ends with the container's first process, of which it holds a pidfd: nobody has to end it, and
//!    whatever is killed, it is not left behind.
//! 4. A container that got its first such network while it ran gets one by [`follow`].
//! 5. If it is killed, whoever sweeps next has it started again by [`mend`]: every start of a container in some network
//!    does, and every `network connect` and `disconnect`.
//!
//! The process reads the leases anew whenever they have changed, so `network connect` has nothing to tell it.

pub mod directory;
pub mod framed;
pub mod listen;
pub mod message;
pub mod server;
pub mod upstream;

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use process::{OrCall, Result, explain};

use crate::carrier::is_carried;
use crate::{Endpoint, Lease, Network, Resolv, attend, netns};

/// Where it answers, inside the container.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The name by which the process is executed.
pub const NAME: &str = "cooper-dns";
/// The name servers that it asks, in the format of resolv.conf(5), in the container's directory.
const UPSTREAM: &str = "upstream.conf";
/// A file in the container's directory: a name server has been started there.
const STARTED: &str = "resolver";

/// Is this one of the networks in which containers know each other by name? All but the default one, as with Docker.
fn is_named(endpoint: &Endpoint) -> bool {
    endpoint.network != Network::DEFAULT && !is_carried(&endpoint.network)
}

/// Does the container of `lease` get a name server?
pub fn serves(lease: &Lease) -> bool {
    lease.endpoints.iter().any(is_named)
}

/// Notes in the container's directory which name servers are asked for what is not ours.
///
/// # Errors
/// As write(2).
pub fn write_upstream(directory: &Path, resolv: &Resolv) -> Result<()> {
    let (path, new) = (directory.join(UPSTREAM), directory.join("upstream.new"));
    let servers = Resolv { nameservers: resolv.nameservers.clone(), ..Resolv::default() };
    // Whole or not at all: it may be all that is left of the container's own resolv.conf.
    fs::write(&new, servers.render()).or_call("write", new.display())?;
    fs::rename(&new, &path).or_call("rename", path.display())
}

/// Starts the name server of the container of `lease`, whose `directory` has [`write_upstream`]'s file.
///
/// # Errors
/// As bind(2), nft(8), execve(2).
pub fn start(directory: &Path, lease: &Lease) -> Result<()> {
    let listening = netns::within(netns::of(lease)?.as_fd(), listen::open)?;
    let started = directory.join(STARTED);
    fs::write(&started, "").or_call("write", started.display())?;
    attend::start_with(NAME, directory, listening.udp.into(), listening.tcp.into())?;
    explain!(6, "names of neighbours, and the world's", "execve(\"{NAME}\")");
    Ok(())
}

/// Starts the name server again of a container that has lost it: killed, or for want of memory.
///
/// # Errors
/// As [`start`].
pub fn mend(directory: &Path, lease: &Lease) -> Result<()> {
    if !serves(lease) || !directory.join(STARTED).exists() || is_listening(lease) {
        return Ok(());
    }
    explain!(6, "its name server is gone: another one", "{}", lease.container);
    start(directory, lease)
}

/// Does somebody listen on the address in the container's network namespace? The kernel closes what a dead one had open.
fn is_listening(lease: &Lease) -> bool {
    // `sl local_address …`, the address as a number in the machine's order (proc_pid_net(5)).
    let ours = format!(" {:08X}:", u32::from_ne_bytes(ADDRESS.octets()));
    let sockets = fs::read_to_string(format!("/proc/{}/net/udp", lease.pid));
    // What cannot be read is not there to be mended.
    sockets.map_or(true, |sockets| sockets.contains(&ours))
}

/// Has a container that runs get its name server with its first network that has names. It keeps what it has.
///
/// Whoever is killed here may be followed by another: what the container's own servers are is noted first, and that its
/// questions are led to ours comes last.
///
/// # Errors
/// As [`start`], and as write(2) of its `resolv.conf`.
pub fn follow(directory: &Path, lease: &Lease) -> Result<()> {
    let path = directory.join("resolv.conf");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    if !serves(lease) {
        return Ok(());
    }
    let mut resolv = Resolv::parse(&text);
    if resolv.nameservers == [ADDRESS.to_string()] {
        return mend(directory, lease);
    }
    if !directory.join(UPSTREAM).exists() {
        write_upstream(directory, &resolv)?;
    }
    start(directory, lease)?;
    resolv.embed();
    overwrite(&path, &resolv.render())
}

/// In place: what is mounted is the file, not its name. Whoever reads it meanwhile sees the one or the other, the new one
/// perhaps with empty lines behind it.
fn overwrite(path: &Path, text: &str) -> Result<()> {
    let file = fs::OpenOptions::new().write(true).open(path).or_call("open", path.display())?;
    let old = file.metadata().map_or(0, |about| about.len());
    let padding = usize::try_from(old).unwrap_or(0).saturating_sub(text.len());
    let whole = [text.as_bytes(), &vec![b'\n'; padding]].concat();
    file.write_all_at(&whole, 0).or_call("write", path.display())?;
    file.set_len(text.len() as u64).or_call("ftruncate", path.display())
}
