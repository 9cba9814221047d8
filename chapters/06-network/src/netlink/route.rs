//! Routes: `ip route add default`, `show`.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use process::{Result, explain};

use super::{Netlink, address::family};

/// A route as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where it leads to; `/0` is a default route.
    pub destination: IpNet,
    /// By which link, by number, if by one only.
    pub link: Option<u32>,
}

impl Netlink {
    /// `ip route add default via GATEWAY`
    ///
    /// # Errors
    /// `ENETUNREACH` if no address of a link that is up leads to the gateway, `EEXIST` if there is one already.
    pub fn add_default_route(&mut self, gateway: IpAddr) -> Result<()> {
        let message = default_route(family(gateway), Some(gateway));
        let object = format!("default via {gateway}");
        self.ask("route add", &object, RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)?;
        explain!(6, "everything else goes by the gateway", "netlink: route add default via {gateway}");
        Ok(())
    }

    /// Has the default route lead to `gateway`, or nowhere: `ip route replace default via GATEWAY`.
    ///
    /// # Errors
    /// As [`add_default_route`](Self::add_default_route).
    pub fn turn_default_route(&mut self, ipv6: bool, gateway: Option<IpAddr>) -> Result<()> {
        let family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        // Not replaced: for IPv6 the kernel would keep the old one beside it.
        loop {
            let message = default_route(family, None);
            match self.ask("route delete", "default", RouteNetlinkMessage::DelRoute(message), 0) {
                // ESRCH: there is none, or no more.
                Err(error) if matches!(error.errno(), Some(Errno::ESRCH | Errno::ENODEV | Errno::EAFNOSUPPORT)) => {
                    break;
                }
                done => done?,
            }
        }
        gateway.map_or(Ok(()), |gateway| self.add_default_route(gateway))
    }

    /// The routes of every table, IPv4 and IPv6.
    ///
    /// # Errors
    /// As netlink(7).
    pub fn routes(&mut self) -> Result<Vec<Route>> {
        let mut found = Vec::new();
        for address_family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut query = RouteMessage::default();
            query.header.address_family = address_family;
            self.dump("route list", RouteNetlinkMessage::GetRoute(query), |answer| {
                if let RouteNetlinkMessage::NewRoute(message) = answer {
                    let link = message.attributes.iter().find_map(|attribute| match attribute {
                        RouteAttribute::Oif(index) => Some(*index),
                        _ => None,
                    });
                    found.extend(destination(&message).map(|destination| Route { destination, link }));
                }
            })?;
        }
        Ok(found)
    }
}

/// A message about the default route of the main table.
fn default_route(address_family: AddressFamily, gateway: Option<IpAddr>) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family,
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Boot,
        scope: RouteScope::Universe,
        kind: RouteType::Unicast,
        ..RouteHeader::default()
    };
    message.attributes =
        gateway.map(|gateway| RouteAttribute::Gateway(RouteAddress::from(gateway))).into_iter().collect();
    message
}

fn destination(message: &RouteMessage) -> Option<IpNet> {
    let prefix = message.header.destination_prefix_length;
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(address) => Some(address),
        _ => None,
    });
    match (address, message.header.address_family) {
        (Some(RouteAddress::Inet(address)), _) => Ipv4Net::new(*address, prefix).ok().map(IpNet::V4),
        (Some(RouteAddress::Inet6(address)), _) => Ipv6Net::new(*address, prefix).ok().map(IpNet::V6),
        (None, AddressFamily::Inet) => Some(IpNet::V4(Ipv4Net::default())),
        (None, AddressFamily::Inet6) => Some(IpNet::V6(Ipv6Net::default())),
        _ => None,
    }
}
