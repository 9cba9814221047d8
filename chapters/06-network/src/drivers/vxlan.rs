//! The driver `vxlan`: a bridge on each host, and between them the hosts' own network, which carries the frames in UDP.
//!
//! One link more than the driver [`bridge`](crate::bridge) has, a port of the bridge. It sends each frame to the host
//! that has the hardware address, and answers itself who has which IP address; it was told both, from [`Source`]. So
//! nothing is flooded, nobody is asked, and a host that lies about its containers is not heard. What goes to no host in
//! particular (broadcast, multicast) stays on this one. Each host's bridge has the gateway's address, so packets for
//! elsewhere leave by the host they are on.
//!
//! The frames are not encrypted: anybody between the hosts can read and forge them (RFC 7348, section 7).

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::path::Path;

use colored::Colorize;
use process::{Error, Result};
use rootfs::dirs;

use super::peers::{self, Peers, Remote};
use super::{follow, known_options, source::Source};
use crate::bridge::{self, delete_link};
use crate::netlink::{Netlink, Vxlan, is_gone};
use crate::{Driver, Endpoint, Network};

/// The options: the number of the network, this host's address in it, the UDP port, and where it is written who is
/// where.
const ID: &str = "id";
const LOCAL: &str = "local";
const PORT: &str = "port";
const PEERS: &str = "peers";

/// The registered port (RFC 7348, section 5).
const REGISTERED: u16 = 4789;

/// Refuses options that make no sense. The source need not be there yet.
///
/// # Errors
/// Names the option.
pub fn check(network: &Network) -> Result<()> {
    known_options(network, &[PEERS, ID, LOCAL, PORT])?;
    source(network)?;
    number(network)?;
    port(network)?;
    local(&mut Netlink::open()?, network).map(drop)
}

/// Makes whatever is missing, and tells the link what the source says now. A source that does not answer is told as a
/// warning: it may do so later, and what was known before still holds.
///
/// # Errors
/// As [`bridge::make`]; `EEXIST` if the number is taken on this host.
pub fn make(netlink: &mut Netlink, network: &Network) -> Result<()> {
    let name = link(network);
    let local = local(netlink, network)?;
    let mtu = match network.mtu {
        Some(mtu) => mtu,
        None => carrier_mtu(netlink, local)? - overhead(local),
    };
    bridge::make(netlink, &Network { mtu: Some(mtu), ..network.clone() })?;
    let mut found = netlink.link(&name);
    if found.as_ref().is_err_and(is_gone) {
        let vxlan = Vxlan { id: number(network)?, local, port: port(network)?, mtu };
        netlink.add_vxlan(&name, &vxlan).map_err(|error| explain_taken(error, network, &vxlan))?;
        found = netlink.link(&name);
    }
    let (link, bridge) = (found?, netlink.link(&network.link)?);
    if link.master != Some(bridge.index) {
        netlink.set_master(&name, &network.link)?;
    }
    if !link.up {
        netlink.set_up(&name)?;
    }
    let peers = read(network, local).unwrap_or_else(|error| {
        eprintln!("{} {error}", "warning:".yellow().bold());
        peers::load(&dirs().run, network).unwrap_or_default()
    });
    apply(netlink, network, &peers, &dirs().run)?;
    follow::start(network)
}

/// A cable into the bridge, as for any other.
///
/// # Errors
/// As [`bridge::attach`].
pub fn attach(netlink: &mut Netlink, network: &Network, endpoint: &Endpoint, netns: BorrowedFd<'_>) -> Result<()> {
    bridge::attach(netlink, network, endpoint, netns)
}

/// Deletes both links, and forgets who is where.
///
/// # Errors
/// As netlink(7), unlink(2).
pub fn unmake(network: &Network) -> Result<()> {
    let deleted = delete_link(&link(network)).and(bridge::unmake(network));
    deleted.and(peers::forget(&dirs().run, network))
}

/// The containers of other hosts, whose addresses are not to be handed out here: as they were known last, or as the
/// source says where nothing is known yet. None for a network of another driver.
pub fn others(run: &Path, network: &Network) -> Vec<Remote> {
    if network.driver == Driver::Vxlan && peers::load(run, network).is_none() {
        let read = || read(network, local(&mut Netlink::open()?, network)?);
        return read().map(|peers| peers.into_remotes().collect()).unwrap_or_default();
    }
    peers::known(run, network)
}

/// What the source says now of the other hosts.
///
/// # Errors
/// As the source; [`Kind::Corrupt`](process::Kind::Corrupt) for a document that is none.
pub(super) fn read(network: &Network, local: IpAddr) -> Result<Peers> {
    let source = source(network)?;
    let at = |error: Error| error.at(format!("network {}", network.name));
    Ok(Peers::parse(&source.read().map_err(at)?, network)?.without(local))
}

/// Has the link's entries be what `peers` says, no more and no less, and keeps that. The state is locked.
///
/// # Errors
/// As netlink(7); a host of another address family than this one's.
pub(super) fn apply(netlink: &mut Netlink, network: &Network, peers: &Peers, run: &Path) -> Result<()> {
    let (name, wanted) = (link(network), peers.neighbours());
    let present = netlink.neighbours(&name)?;
    // The new first: a container that has moved to another host is never without one.
    let missing = wanted.iter().filter(|neighbour| !present.contains(neighbour));
    missing.into_iter().try_for_each(|neighbour| netlink.put_neighbour(&name, neighbour))?;
    for neighbour in netlink.neighbours(&name)?.iter().filter(|neighbour| !wanted.contains(neighbour)) {
        netlink.delete_neighbour(&name, neighbour)?;
    }
    if peers::load(run, network).as_ref() == Some(peers) { Ok(()) } else { peers::keep(run, network, peers) }
}

/// The link's name: the bridge's, with another beginning. At most 15 bytes.
pub fn link(network: &Network) -> String {
    format!("vx-{}", network.id.get(..12).unwrap_or(&network.id))
}

/// This host's address among the hosts: the option, or the address of its way out.
///
/// # Errors
/// That there is none.
pub fn local(netlink: &mut Netlink, network: &Network) -> Result<IpAddr> {
    if let Some(given) = network.options.get(LOCAL) {
        return given.parse().map_err(|_| Error::invalid(format!("option {LOCAL}={given} is no IP address")));
    }
    let routes = netlink.routes()?;
    let out = routes.iter().find(|route| route.destination.prefix_len() == 0 && route.destination.addr().is_ipv4());
    let index = out.and_then(|route| route.link);
    let address = netlink.addresses()?.into_iter().find(|(link, net)| Some(*link) == index && net.addr().is_ipv4());
    address.map(|(_, net)| net.addr()).ok_or_else(|| {
        Error::invalid(format!("network {}: this host has no way out whose address it could be known by", network.name))
            .help(format!("-o {LOCAL}=ADDRESS"))
    })
}

/// The largest packet of the link that has this address.
fn carrier_mtu(netlink: &mut Netlink, local: IpAddr) -> Result<u32> {
    let index = netlink.addresses()?.into_iter().find(|(_, net)| net.addr() == local).map(|(index, _)| index);
    let link = netlink.links()?.into_iter().find(|link| Some(link.index) == index);
    // Of lo it is larger than what a bridge may have.
    link.map(|link| link.mtu.min(9000)).ok_or_else(|| {
        Error::not_found(format!("{local} is no address of this host"))
            .help(format!("`ip address` lists them; make the network with another -o {LOCAL}="))
    })
}

/// What goes before each frame: Ethernet, IP, UDP and VXLAN headers.
fn overhead(local: IpAddr) -> u32 {
    if local.is_ipv4() { 14 + 20 + 8 + 8 } else { 14 + 40 + 8 + 8 }
}

fn source(network: &Network) -> Result<Source> {
    let given = network.options.get(PEERS).ok_or_else(|| {
        Error::invalid(format!("network {}: driver vxlan has to know who is where", network.name))
            .help(format!("-o {PEERS}=FILE or -o {PEERS}=http://HOST:PORT/PATH"))
    })?;
    Source::parse(given)
}

/// The network's number; from its name if not given, so that it is the same on every host.
fn number(network: &Network) -> Result<u32> {
    let Some(given) = network.options.get(ID) else {
        // Of 24 bits; small numbers are left to those that people choose.
        let hash = network
            .name
            .bytes()
            .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        return Ok(0x1_0000 + hash % 0xff_0000);
    };
    let number = given.parse().ok().filter(|number| (1..1 << 24).contains(number));
    number.ok_or_else(|| {
        Error::invalid(format!("option {ID}={given}")).help("a number from 1 to 16777215, the same on every host")
    })
}

fn port(network: &Network) -> Result<u16> {
    let Some(given) = network.options.get(PORT) else { return Ok(REGISTERED) };
    let port = given.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| Error::invalid(format!("option {PORT}={given}")).help("a UDP port, the same on every host"))
}

fn explain_taken(error: Error, network: &Network, vxlan: &Vxlan) -> Error {
    match error.errno() {
        Some(nix::errno::Errno::EEXIST | nix::errno::Errno::EADDRINUSE) => error
            .at(format!("network {}: number {} on port {} is taken on this host", network.name, vxlan.id, vxlan.port))
            .help(format!("`ip -d link show type vxlan` shows by whom; -o {ID}=NUMBER, on every host")),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let mut network = Network::new("ab".repeat(32), "blue".into(), Driver::Vxlan, "10.9.0.0/24".parse().unwrap());
        assert_eq!(link(&network).len(), 15);
        assert!(check(&network).unwrap_err().way_out().unwrap().contains("peers="));
        let set = |network: &mut Network, key: &str, value: &str| network.options.insert(key.into(), value.into());
        set(&mut network, PEERS, "/no/such");
        set(&mut network, LOCAL, "192.0.2.7");
        check(&network).unwrap();
        let chosen = number(&network).unwrap();
        assert!((0x1_0000..1 << 24).contains(&chosen));
        for (key, wrong, right) in [
            (ID, "0", "7"),
            (ID, "16777216", "7"),
            (PORT, "0", "8472"),
            (LOCAL, "here", "fd00::1"),
            (PEERS, "relative", "http://a/b"),
            (PEERS, "https://a/b", "/a"),
        ] {
            set(&mut network, key, wrong);
            assert!(check(&network).is_err(), "{key}={wrong}");
            set(&mut network, key, right);
            check(&network).unwrap();
        }
        set(&mut network, "peer", "/a");
        assert!(check(&network).unwrap_err().what().contains("no option peer"));
    }
}
