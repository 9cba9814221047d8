//! The driver `bridge`: a switch of the engine's, and a cable from it into each container.

use std::os::fd::BorrowedFd;

use ipnet::{IpNet, Ipv4Net};
use nix::errno::Errno;
use process::{Error, Kind, Result};

use crate::netlink::{Link, Netlink, VethPeer, is_gone};
use crate::{Endpoint, Mac, Network, pool, sysctl};

/// What the kernel takes where nothing says otherwise, in bytes.
const DEFAULT_MTU: u32 = 1500;

/// The name of a container's first link.
pub const INSIDE: &str = "eth0";

/// Makes whatever is missing of the bridge: all of it for the first container, nothing for the next.
///
/// # Errors
/// [`Kind::Conflict`] if the name or the subnet is somebody else's; as netlink(7).
pub fn make(netlink: &mut Netlink, network: &Network) -> Result<()> {
    let Network { link: name, gateway, .. } = network;
    let link = match netlink.link(name) {
        Err(error) if is_gone(&error) => {
            check_free(netlink, network)?;
            let mtu = network.mtu.map_or_else(|| outward_mtu(netlink), Ok)?;
            netlink.add_bridge(name, Mac::of(*gateway).0, mtu)?;
            netlink.link(name)?
        }
        found => found?,
    };
    if !is_ours(&link, network) {
        return Err(Error::new(Kind::Conflict, format!("link {name} is there already, and not ours"))
            .help(format!("network {} needs that name: `ip link set {name} name OTHER`", network.name)));
    }
    add_address(netlink, name, network.with_prefix(*gateway))?;
    if let Some(gateway) = network.gateway6 {
        sysctl::enable_ipv6(name)?;
        add_address(netlink, name, network.with_prefix6(gateway))?;
    }
    if link.up { Ok(()) } else { netlink.set_up(name) }
}

/// A person may have chosen the name; what else is called so is neither used nor removed. Ours is known by its hardware
/// address, which it has from its first instant.
fn is_ours(link: &Link, network: &Network) -> bool {
    link.bridge && link.mac == Mac::of(network.gateway).0
}

/// A killed engine may have come as far as the address.
fn add_address(netlink: &mut Netlink, name: &str, address: IpNet) -> Result<()> {
    match netlink.add_address(name, address) {
        Err(error) if error.errno() == Some(Errno::EEXIST) => Ok(()),
        done => done,
    }
}

/// The subnet was free when the network was made; since then this host may have come to be part of another one.
fn check_free(netlink: &mut Netlink, network: &Network) -> Result<()> {
    let routes = netlink.routes()?;
    for (subnet, _) in network.subnets() {
        // What all links have in common is nobody's in particular.
        let others = routes.iter().map(|route| route.destination).filter(|other| other.prefix_len() >= 8);
        if let Some(other) = others.into_iter().find(|other| pool::overlaps(*other, subnet)) {
            let what = format!("network {}: its subnet {subnet} overlaps the route {other} of this host", network.name);
            return Err(Error::new(Kind::Conflict, what)
                .help("`network rm` it, and make it again without --subnet or with another one"));
        }
    }
    Ok(())
}

/// The size of packets that the host's own way out carries; larger ones would be cut or lost there.
fn outward_mtu(netlink: &mut Netlink) -> Result<u32> {
    let routes = netlink.routes()?;
    let index = routes.iter().find(|route| route.destination == IpNet::V4(Ipv4Net::default())).and_then(|it| it.link);
    let link = netlink.links()?.into_iter().find(|link| Some(link.index) == index);
    Ok(link.map_or(DEFAULT_MTU, |link| link.mtu))
}

/// A cable: the near end in the bridge, the far end in the network namespace `netns`, switched off and without an
/// address.
///
/// # Errors
/// As netlink(7); `EEXIST` if the namespace has a link of that name.
pub fn attach(netlink: &mut Netlink, network: &Network, endpoint: &Endpoint, netns: BorrowedFd<'_>) -> Result<()> {
    let (Some(link), Some(mac)) = (&endpoint.link, endpoint.mac) else { return Ok(()) };
    let mtu = netlink.link(&network.link)?.mtu;
    netlink.add_veth(link, mtu, &VethPeer { name: &endpoint.interface, netns, mac: mac.0 })?;
    netlink.set_master(link, &network.link)?;
    netlink.set_hairpin(link)?;
    if !network.is_open_inside() {
        netlink.set_isolated(link)?;
    }
    netlink.set_up(link)
}

/// Removes the bridge.
///
/// # Errors
/// As netlink(7); that it is gone already is no error.
pub fn unmake(network: &Network) -> Result<()> {
    match Netlink::open()?.link(&network.link) {
        Ok(link) if is_ours(&link, network) => delete_link(&network.link),
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Deletes a link; that it is gone already is no error (its other end's namespace has ended).
pub fn delete_link(name: &str) -> Result<()> {
    match Netlink::open()?.delete_link(name) {
        Err(error) if is_gone(&error) => Ok(()),
        done => done,
    }
}
