//! The driver `ipvlan`: the parent's wire and its hardware address; the IP address tells the containers apart.
//!
//! For wires on which a port may have one hardware address only, as many clouds and wireless networks have them. The
//! host cannot talk to the containers by the parent itself, as with macvlan.

use std::os::fd::BorrowedFd;

use process::Result;

use super::{choice, known_options, parent};
use crate::netlink::{IpvlanFlag, IpvlanMode, Netlink};
use crate::{Endpoint, Network};

/// The options and their values; the first is the default.
const MODE: &str = "ipvlan_mode";
const MODES: [(&str, IpvlanMode); 3] = [("l2", IpvlanMode::L2), ("l3", IpvlanMode::L3), ("l3s", IpvlanMode::L3s)];
const FLAG: &str = "ipvlan_flag";
const FLAGS: [(&str, IpvlanFlag); 3] =
    [("bridge", IpvlanFlag::Bridge), ("private", IpvlanFlag::Private), ("vepa", IpvlanFlag::Vepa)];

/// Refuses options that make no sense.
///
/// # Errors
/// Names the option and its values; [`Kind::NotFound`](process::Kind::NotFound) for a parent that is not there.
pub fn check(network: &Network) -> Result<()> {
    known_options(network, &[parent::PARENT, MODE, FLAG])?;
    choice(network, MODE, &MODES)?;
    choice(network, FLAG, &FLAGS)?;
    parent::check(network)
}

/// Makes the parent, unless it is one of the host's own.
///
/// # Errors
/// As netlink(7); that it is switched off.
pub fn make(netlink: &mut Netlink, network: &Network) -> Result<()> {
    parent::make(netlink, network)
}

/// The container's link; it appears in `netns` at once, and nothing of it here. It has no hardware address of its own.
///
/// # Errors
/// As netlink(7): `EBUSY` if the parent serves another driver.
pub fn attach(netlink: &mut Netlink, network: &Network, endpoint: &Endpoint, netns: BorrowedFd<'_>) -> Result<()> {
    let (mode, flag) = (choice(network, MODE, &MODES)?, choice(network, FLAG, &FLAGS)?);
    let child = parent::child(netlink, network, endpoint, netns)?;
    netlink.add_ipvlan(&child, mode, flag).map_err(|error| parent::explain_busy(error, network))
}

/// Deletes what [`make`] made.
///
/// # Errors
/// As netlink(7).
pub fn unmake(network: &Network) -> Result<()> {
    parent::unmake(network)
}
