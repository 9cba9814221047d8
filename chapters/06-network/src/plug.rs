//! What each driver does for a network on this host, in one place.
//!
//! A driver is a module with these functions; the network and the endpoint are written down before any of them is
//! called, and each must find its own work half done without complaint, since an engine may be killed at any moment:
//!
//! | function | when | what |
//! |---|---|---|
//! | `check(&Network)` | `network create` | refuses options that make no sense, or that this host cannot serve |
//! | `make(&mut Netlink, &Network)` | before each container | makes what is missing of the links on the host |
//! | `attach(&mut Netlink, &Network, &Endpoint, netns)` | the container's namespace exists | makes `endpoint.interface` in it, with `endpoint.mac`, switched off; `endpoint.link` is the name for a host's end, if the driver has one |
//! | `unmake(&Network)` | the last container has left | deletes what `make` made; what is gone already is no error |
//!
//! Addresses and routes inside are set by [`inside`](crate::inside), the same for every driver.

use std::os::fd::BorrowedFd;

use process::{Error, Result};

use crate::drivers::{ipvlan, macvlan, vxlan};
use crate::netlink::Netlink;
use crate::{Driver, Endpoint, Network, bridge};

/// The options that a bridge knows, as Docker calls them; `mtu` is Podman's.
const BRIDGE: [&str; 5] =
    ["mtu", "com.docker.network.driver.mtu", "com.docker.network.bridge.name", Network::MASQUERADE, Network::ICC];

/// Refuses a network that its driver cannot make.
///
/// # Errors
/// As the driver's `check`.
pub fn check(network: &Network) -> Result<()> {
    match network.driver {
        Driver::Bridge => match network.options.keys().find(|key| !BRIDGE.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(Error::invalid(format!("driver bridge has no option {key}"))
                .help(format!("it has {}", BRIDGE.join(", ")))),
        },
        Driver::Macvlan => macvlan::check(network),
        Driver::Ipvlan => ipvlan::check(network),
        Driver::Vxlan => vxlan::check(network),
    }
}

/// Makes what is missing of a network's links on this host.
///
/// # Errors
/// As the driver's `make`.
pub fn make(netlink: &mut Netlink, network: &Network) -> Result<()> {
    match network.driver {
        Driver::Bridge => bridge::make(netlink, network),
        Driver::Macvlan => macvlan::make(netlink, network),
        Driver::Ipvlan => ipvlan::make(netlink, network),
        Driver::Vxlan => vxlan::make(netlink, network),
    }
}

/// Makes the container's link, as `endpoint` has it, in the network namespace `netns`.
///
/// # Errors
/// As the driver's `attach`.
pub fn attach(netlink: &mut Netlink, network: &Network, endpoint: &Endpoint, netns: BorrowedFd<'_>) -> Result<()> {
    match network.driver {
        Driver::Bridge => bridge::attach(netlink, network, endpoint, netns),
        Driver::Macvlan => macvlan::attach(netlink, network, endpoint, netns),
        Driver::Ipvlan => ipvlan::attach(netlink, network, endpoint, netns),
        Driver::Vxlan => vxlan::attach(netlink, network, endpoint, netns),
    }
}

/// Deletes a network's links on this host.
///
/// # Errors
/// As the driver's `unmake`.
pub fn unmake(network: &Network) -> Result<()> {
    match network.driver {
        Driver::Bridge => bridge::unmake(network),
        Driver::Macvlan => macvlan::unmake(network),
        Driver::Ipvlan => ipvlan::unmake(network),
        Driver::Vxlan => vxlan::unmake(network),
    }
}
