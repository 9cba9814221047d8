//! VXLAN links: Ethernet frames in UDP packets (RFC 7348). `ip link add NAME type vxlan`.

use std::net::IpAddr;

use netlink_packet_route::link::{InfoData, InfoKind, InfoVxlan, LinkAttribute};
use process::{Result, explain};

use super::{Netlink, child::info};

/// What a VXLAN link is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vxlan {
    /// Its network's number, 1 to 16777215: hosts with the same one share a network.
    pub id: u32,
    /// This host's address, from which the UDP packets come.
    pub local: IpAddr,
    /// The UDP port, of every host.
    pub port: u16,
    /// The largest frame's payload, in bytes.
    pub mtu: u32,
}

impl Netlink {
    /// `ip link add NAME mtu … type vxlan id … local … dstport … nolearning proxy`
    ///
    /// It learns nothing and asks nobody: where a hardware address is, and which one belongs to an IP address, it is
    /// told by [`put_neighbour`](Self::put_neighbour). With `proxy` it answers ARP and neighbour discovery itself, so
    /// no question crosses the wire, and nobody beyond can answer for somebody else.
    ///
    /// # Errors
    /// `EEXIST` if the name, or the number with that port, is taken; `EOPNOTSUPP` from a kernel without the driver.
    pub fn add_vxlan(&mut self, name: &str, vxlan: &Vxlan) -> Result<()> {
        let local = match vxlan.local {
            IpAddr::V4(address) => InfoVxlan::Local(address),
            IpAddr::V6(address) => InfoVxlan::Local6(address),
        };
        let data = InfoData::Vxlan(vec![
            InfoVxlan::Id(vxlan.id),
            local,
            InfoVxlan::Port(vxlan.port),
            InfoVxlan::Learning(false),
            InfoVxlan::Proxy(true),
        ]);
        let attributes =
            vec![LinkAttribute::IfName(name.into()), LinkAttribute::Mtu(vxlan.mtu), info(InfoKind::Vxlan, Some(data))];
        self.add_kind("vxlan", name, attributes)?;
        explain!(6, "frames to other hosts, in UDP packets", "netlink: link add {name} type vxlan id {}", vxlan.id);
        Ok(())
    }
}
