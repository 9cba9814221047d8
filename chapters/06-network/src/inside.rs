//! The container's side of an endpoint: addresses, switched on, the way out. Called in its network namespace.

use process::Result;

use crate::netlink::Netlink;
use crate::{Endpoint, Network, sysctl};

/// Gives the link of `endpoint` its addresses and switches it on; and the way out, if it is that.
///
/// # Errors
/// As netlink(7).
pub fn configure(netlink: &mut Netlink, network: &Network, endpoint: &Endpoint) -> Result<()> {
    let name = &endpoint.interface;
    if let Some(address) = endpoint.address {
        netlink.add_address(name, network.with_prefix(address))?;
    }
    if let Some(address) = endpoint.address6 {
        sysctl::enable_ipv6(name)?;
        netlink.add_address(name, network.with_prefix6(address))?;
    }
    netlink.set_up(name)?;
    if endpoint.gateway {
        netlink.add_default_route(network.gateway.into())?;
    }
    if endpoint.gateway6
        && let Some(gateway) = network.gateway6
    {
        netlink.add_default_route(gateway.into())?;
    }
    Ok(())
}
