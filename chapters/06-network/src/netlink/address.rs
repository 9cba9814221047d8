//! Addresses of links: `ip address add`, `show`.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use process::{Result, explain};

use super::Netlink;

impl Netlink {
    /// `ip address add ADDRESS/PREFIX dev NAME`
    ///
    /// # Errors
    /// `EEXIST` if the link has it already, `ENODEV` if there is no such link.
    pub fn add_address(&mut self, name: &str, address: IpNet) -> Result<()> {
        let mut message = AddressMessage::default();
        message.header.index = self.link(name)?.index;
        message.header.prefix_len = address.prefix_len();
        message.header.family = family(address.addr());
        message.attributes = vec![AddressAttribute::Local(address.addr()), AddressAttribute::Address(address.addr())];
        match address {
            IpNet::V4(net) => message.attributes.push(AddressAttribute::Broadcast(net.broadcast())),
            // We hand each address out once; without this it could not be used until the kernel had asked around.
            IpNet::V6(_) => message.header.flags = AddressHeaderFlags::Nodad,
        }
        let object = format!("{address} to {name}");
        self.ask("address add", &object, RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)?;
        explain!(6, "an address of its own", "netlink: address add {address} dev {name}");
        Ok(())
    }

    /// The number of the link and the address with its prefix length, for every address of the namespace.
    ///
    /// # Errors
    /// As netlink(7).
    pub fn addresses(&mut self) -> Result<Vec<(u32, IpNet)>> {
        let mut found = Vec::new();
        self.dump("address list", RouteNetlinkMessage::GetAddress(AddressMessage::default()), |answer| {
            let RouteNetlinkMessage::NewAddress(message) = answer else { return };
            // On a point-to-point link `Address` is the far end and `Local` is ours; else they are equal.
            let local = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(address) => Some(*address),
                _ => None,
            });
            let any = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            });
            let address = local.or(any).and_then(|address| IpNet::new(address, message.header.prefix_len).ok());
            found.extend(address.map(|address| (message.header.index, address)));
        })?;
        Ok(found)
    }
}

/// The family that an address belongs to.
pub(super) fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}
