//! Who is where: `ip neigh` (an IP address's hardware address) and `bridge fdb` (a hardware address's host).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use process::{Result, explain};

use super::{Netlink, address::family, is_gone};
use crate::Mac;

/// One entry that stays until it is deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Neighbour {
    /// The frames for a hardware address go to a host: an entry of a VXLAN link's forwarding table.
    Forward(Mac, IpAddr),
    /// An IP address has this hardware address.
    Resolve(IpAddr, Mac),
}

impl Netlink {
    /// `bridge fdb replace MAC dev NAME dst HOST`, `ip neigh replace ADDRESS lladdr MAC dev NAME nud permanent`
    ///
    /// # Errors
    /// `ENODEV` if there is no such link, `EAFNOSUPPORT` for a host of another address family than the link's own.
    pub fn put_neighbour(&mut self, name: &str, neighbour: &Neighbour) -> Result<()> {
        let message = RouteNetlinkMessage::NewNeighbour(neighbour.message(self.link(name)?.index));
        self.ask("neigh replace", &neighbour.object(name), message, NLM_F_CREATE | NLM_F_REPLACE)?;
        match neighbour {
            Neighbour::Forward(mac, host) => {
                explain!(6, "frames for it go to that host", "netlink: fdb replace {mac} dev {name} dst {host}");
            }
            Neighbour::Resolve(address, mac) => {
                explain!(6, "whose address it is", "netlink: neigh replace {address} lladdr {mac} dev {name}");
            }
        }
        Ok(())
    }

    /// `bridge fdb del MAC dev NAME`, `ip neigh del ADDRESS dev NAME`. That it is gone already is no error.
    ///
    /// # Errors
    /// `ENODEV` if there is no such link.
    pub fn delete_neighbour(&mut self, name: &str, neighbour: &Neighbour) -> Result<()> {
        let message = neighbour.message(self.link(name)?.index);
        match self.ask("neigh del", &neighbour.object(name), RouteNetlinkMessage::DelNeighbour(message), 0) {
            Err(error) if is_gone(&error) => Ok(()),
            done => done,
        }
    }

    /// The permanent entries of a VXLAN link.
    ///
    /// # Errors
    /// `ENODEV` if there is no such link.
    pub fn neighbours(&mut self, name: &str) -> Result<Vec<Neighbour>> {
        let index = self.link(name)?.index;
        let mut found = Vec::new();
        for address_family in [AddressFamily::Bridge, AddressFamily::Inet, AddressFamily::Inet6] {
            let mut query = NeighbourMessage::default();
            query.header.family = address_family;
            self.dump("neigh show", RouteNetlinkMessage::GetNeighbour(query), |answer| {
                if let RouteNetlinkMessage::NewNeighbour(message) = answer
                    && message.header.ifindex == index
                    && message.header.state == NeighbourState::Permanent
                {
                    found.extend(Neighbour::of(&message));
                }
            })?;
        }
        Ok(found)
    }
}

impl Neighbour {
    fn message(&self, index: u32) -> NeighbourMessage {
        let (mut message, ip) = (NeighbourMessage::default(), NeighbourAddress::from);
        message.header.ifindex = index;
        message.header.state = NeighbourState::Permanent;
        let (destination, mac) = match self {
            Self::Forward(mac, host) => {
                message.header.family = AddressFamily::Bridge;
                message.header.flags = NeighbourFlags::Own;
                (*host, mac)
            }
            Self::Resolve(address, mac) => {
                message.header.family = family(*address);
                (*address, mac)
            }
        };
        message.attributes = vec![
            NeighbourAttribute::Destination(ip(destination)),
            NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()),
        ];
        message
    }

    /// None for what is of another kind, such as the link's own address in its bridge.
    fn of(message: &NeighbourMessage) -> Option<Self> {
        let mac = message.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => Some(Mac(bytes.as_slice().try_into().ok()?)),
            _ => None,
        })?;
        let address = message.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(address) => ip_of(address),
            _ => None,
        })?;
        match message.header.family {
            AddressFamily::Bridge => Some(Self::Forward(mac, address)),
            _ => Some(Self::Resolve(address, mac)),
        }
    }

    fn object(&self, name: &str) -> String {
        match self {
            Self::Forward(mac, host) => format!("{mac} at {host} of {name}"),
            Self::Resolve(address, mac) => format!("{address} is {mac} of {name}"),
        }
    }
}

/// In a forwarding table the address stands as bytes of whichever family.
fn ip_of(address: &NeighbourAddress) -> Option<IpAddr> {
    match address {
        NeighbourAddress::Inet(address) => Some(IpAddr::V4(*address)),
        NeighbourAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        NeighbourAddress::Other(bytes) => <[u8; 4]>::try_from(bytes.as_slice())
            .map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)))
            .or_else(|_| <[u8; 16]>::try_from(bytes.as_slice()).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))))
            .ok(),
        _ => None,
    }
}
