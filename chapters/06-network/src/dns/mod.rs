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
//!
//! The process reads the leases anew whenever they have changed, so `network connect` has nothing to tell it.

pub mod directory;
pub mod framed;
pub mod listen;
pub mod message;
pub mod server;
pub mod upstream;

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;

use process::{OrCall, Result, explain};

use crate::{Endpoint, Lease, Network, Resolv, attend, netns};

/// Where it answers, inside the container.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The name by which the process is executed.
pub const NAME: &str = "cooper-dns";
/// The name servers that it asks, in the format of resolv.conf(5), in the container's directory.
const UPSTREAM: &str = "upstream.conf";

/// Is this one of the networks in which containers know each other by name? All but the default one, as with Docker.
fn is_named(endpoint: &Endpoint) -> bool {
    endpoint.network != Network::DEFAULT && endpoint.network != "pasta"
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
    let path = directory.join(UPSTREAM);
    let servers = Resolv { nameservers: resolv.nameservers.clone(), ..Resolv::default() };
    fs::write(&path, servers.render()).or_call("write", path.display())
}

/// Starts the name server of the container of `lease`, whose `directory` has [`write_upstream`]'s file.
///
/// # Errors
/// As bind(2), nft(8), execve(2).
pub fn start(directory: &Path, lease: &Lease) -> Result<()> {
    let listening = netns::within(netns::of(lease)?.as_fd(), listen::open)?;
    attend::start_with(NAME, directory, listening.udp.into(), listening.tcp.into())?;
    explain!(6, "names of neighbours, and the world's", "execve(\"{NAME}\")");
    Ok(())
}

/// Has a container that runs get its name server with its first network that has names. It keeps what it has.
///
/// # Errors
/// As [`start`], and as write(2) of its `resolv.conf`.
pub fn follow(directory: &Path, lease: &Lease) -> Result<()> {
    let path = directory.join("resolv.conf");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    if !serves(lease) || directory.join(UPSTREAM).exists() {
        return Ok(());
    }
    let mut resolv = Resolv::parse(&text);
    write_upstream(directory, &resolv)?;
    start(directory, lease)?;
    resolv.embed();
    // In place: what is mounted is the file, not its name.
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(&path).or_call("open", path.display())?;
    file.write_all(resolv.render().as_bytes()).or_call("write", path.display())
}
