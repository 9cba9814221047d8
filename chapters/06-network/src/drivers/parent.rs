//! The link on whose wire the containers of a macvlan or ipvlan network are: `-o parent=`.
//!
//! | option | the wire |
//! |---|---|
//! | `parent=eth0` | that of eth0 |
//! | `parent=eth0.50` | VLAN 50 on it; made with the network's first container if nobody else has made it |
//! | none | one of the network's own that leads nowhere: containers see each other and nobody else |

use std::os::fd::BorrowedFd;

use process::{Error, Kind, Result};

use crate::bridge::delete_link;
use crate::netlink::{Child, Link, Netlink, is_gone};
use crate::{Endpoint, Network};

/// The option's name.
pub const PARENT: &str = "parent";

/// What `make` has to make, under the name that the network has for it.
enum Own<'a> {
    Vlan(&'a str, u16),
    Dummy,
}

/// Is there such a parent, or can it be made?
///
/// # Errors
/// [`Kind::NotFound`] with the links that there are.
pub fn check(network: &Network) -> Result<()> {
    let mut netlink = Netlink::open()?;
    match given(&mut netlink, network)? {
        Some(_) => Ok(()),
        None => own(&mut netlink, network).map(drop),
    }
}

/// Makes what is missing of it.
///
/// # Errors
/// As netlink(7); [`Kind::Conflict`] if the parent is switched off.
pub fn make(netlink: &mut Netlink, network: &Network) -> Result<()> {
    let link = &network.link;
    let parent = match given(netlink, network)? {
        Some(parent) => parent,
        None => {
            if netlink.link(link).is_err() {
                match own(netlink, network)? {
                    Own::Vlan(of, id) => {
                        let of = netlink.link(of)?.index;
                        netlink.add_vlan(link, of, id)?;
                    }
                    Own::Dummy => netlink.add_dummy(link)?,
                }
            }
            netlink.set_up(link)?;
            netlink.link(link)?
        }
    };
    if parent.up {
        return Ok(());
    }
    let what = format!("network {}: its parent {} is switched off", network.name, parent.name);
    Err(Error::new(Kind::Conflict, what).help(format!("`ip link set {} up`", parent.name)))
}

/// The container's link on this wire, as all kinds have it.
///
/// # Errors
/// `ENODEV` if the parent is gone.
pub fn child<'a>(
    netlink: &mut Netlink,
    network: &Network,
    endpoint: &'a Endpoint,
    netns: BorrowedFd<'a>,
) -> Result<Child<'a>> {
    let parent = match given(netlink, network)? {
        Some(parent) => parent.index,
        None => netlink.link(&network.link)?.index,
    };
    Ok(Child { parent, name: &endpoint.interface, netns, mtu: network.mtu })
}

/// Deletes what [`make`] made.
///
/// # Errors
/// As netlink(7).
pub fn unmake(network: &Network) -> Result<()> {
    delete_link(&network.link)
}

/// Two drivers, or two modes, do not go together on one parent.
pub fn explain_busy(error: Error, network: &Network) -> Error {
    match error.errno() {
        Some(nix::errno::Errno::EBUSY) => error.help(format!(
            "{} is a bridge's port, or has children of another driver or mode: choose another parent",
            network.options.get(PARENT).unwrap_or(&network.link)
        )),
        _ => error,
    }
}

/// The parent, if it is there already.
fn given(netlink: &mut Netlink, network: &Network) -> Result<Option<Link>> {
    let Some(name) = network.options.get(PARENT) else { return Ok(None) };
    // The kernel would answer for a longer name that it is no valid one.
    let link = if name.len() < 16 { netlink.link(name) } else { return Err(missing(netlink, network, name)) };
    match link {
        Err(error) if is_gone(&error) => Ok(None),
        found => found.map(Some),
    }
}

fn own<'a>(netlink: &mut Netlink, network: &'a Network) -> Result<Own<'a>> {
    let Some(name) = network.options.get(PARENT) else { return Ok(Own::Dummy) };
    let vlan = name.rsplit_once('.').and_then(|(of, id)| Some((of, id.parse().ok()?)));
    match vlan {
        Some((of, id)) if (1..4095).contains(&id) && netlink.link(of).is_ok() => Ok(Own::Vlan(of, id)),
        _ => Err(missing(netlink, network, name)),
    }
}

fn missing(netlink: &mut Netlink, network: &Network, name: &str) -> Error {
    let links = netlink.links().unwrap_or_default();
    let names: Vec<_> = links.iter().map(|link| link.name.as_str()).filter(|name| *name != "lo").collect();
    Error::not_found(format!("network {}: this host has no link {name} that could be its parent", network.name))
        .help(format!("it has {}; NAME.ID is VLAN number ID of link NAME", names.join(", ")))
}
