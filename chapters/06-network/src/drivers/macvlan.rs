//! The driver `macvlan`: the parent's wire, and for each container a hardware address of its own on it.
//!
//! Whoever is on that wire sees the containers as neighbours; no bridge and no NAT lies between. Only the host itself
//! cannot talk to them: what it sends by the parent goes out on the wire, and a switch does not send it back.

use std::os::fd::BorrowedFd;

use process::Result;

use super::{choice, known_options, parent};
use crate::netlink::{MacvlanMode, Netlink};
use crate::{Endpoint, Network};

/// The option for the mode, and its values; the first is the default.
const MODE: &str = "macvlan_mode";
const MODES: [(&str, MacvlanMode); 4] = [
    ("bridge", MacvlanMode::Bridge),
    ("vepa", MacvlanMode::Vepa),
    ("private", MacvlanMode::Private),
    ("passthru", MacvlanMode::Passthru),
];

/// Refuses options that make no sense.
///
/// # Errors
/// Names the option and its values; [`Kind::NotFound`](process::Kind::NotFound) for a parent that is not there.
pub fn check(network: &Network) -> Result<()> {
    known_options(network, &[parent::PARENT, MODE])?;
    choice(network, MODE, &MODES)?;
    parent::check(network)
}

/// Makes the parent, unless it is one of the host's own.
///
/// # Errors
/// As netlink(7); that it is switched off.
pub fn make(netlink: &mut Netlink, network: &Network) -> Result<()> {
    parent::make(netlink, network)
}

/// The container's link; it appears in `netns` at once, and nothing of it here.
///
/// # Errors
/// As netlink(7): `EBUSY` if the parent serves another driver.
pub fn attach(netlink: &mut Netlink, network: &Network, endpoint: &Endpoint, netns: BorrowedFd<'_>) -> Result<()> {
    let mode = choice(network, MODE, &MODES)?;
    let child = parent::child(netlink, network, endpoint, netns)?;
    // With passthru the parent's address is the child's.
    let mac = endpoint.mac.filter(|_| mode != MacvlanMode::Passthru).map(|mac| mac.0);
    netlink.add_macvlan(&child, mac, mode).map_err(|error| parent::explain_busy(error, network))
}

/// Deletes what [`make`] made.
///
/// # Errors
/// As netlink(7).
pub fn unmake(network: &Network) -> Result<()> {
    parent::unmake(network)
}
