//! Links on another link's wire: `ip link add link PARENT NAME type macvlan|ipvlan|vlan`, and a wire of its own.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_route::link::{
    InfoData, InfoIpVlan, InfoKind, InfoMacVlan, InfoVlan, IpVlanFlags, IpVlanMode, LinkAttribute, LinkInfo,
    MacVlanMode,
};
use nix::errno::Errno;
use process::{Error, Result, explain};

use super::Netlink;

/// A link that shall appear in another network namespace, on the wire of a link of this one.
pub struct Child<'a> {
    /// The parent, by number in this namespace.
    pub parent: u32,
    /// The child's name there.
    pub name: &'a str,
    /// The network namespace in which it appears.
    pub netns: BorrowedFd<'a>,
    /// The largest packet, in bytes; else the parent's.
    pub mtu: Option<u32>,
}

/// Whom a macvlan link may talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MacvlanMode {
    /// Its siblings directly, and the wire.
    #[default]
    Bridge,
    /// The wire, and siblings only if a switch out there sends their packets back.
    Vepa,
    /// The wire, and no sibling.
    Private,
    /// The wire; it is the only child, and the parent's hardware address is its own.
    Passthru,
}

/// Where an ipvlan link's packets are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpvlanMode {
    /// As on a switch: neighbours are asked for by ARP.
    #[default]
    L2,
    /// As behind a router, the parent's namespace: no broadcast at all.
    L3,
    /// The same, and its packets also pass the firewall there.
    L3s,
}

/// Whom an ipvlan link may talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpvlanFlag {
    /// Its siblings directly, and the wire.
    #[default]
    Bridge,
    /// The wire, and no sibling.
    Private,
    /// The wire, and siblings only if a switch out there sends their packets back.
    Vepa,
}

impl Netlink {
    /// `ip link add link PARENT NAME netns … address … type macvlan mode MODE`
    ///
    /// # Errors
    /// `EBUSY` if the parent has children that exclude it, `EEXIST` if the name is taken there, `EOPNOTSUPP` from a
    /// kernel without the driver.
    pub fn add_macvlan(&mut self, child: &Child<'_>, mac: Option<[u8; 6]>, mode: MacvlanMode) -> Result<()> {
        let mode = match mode {
            MacvlanMode::Bridge => MacVlanMode::Bridge,
            MacvlanMode::Vepa => MacVlanMode::Vepa,
            MacvlanMode::Private => MacVlanMode::Private,
            MacvlanMode::Passthru => MacVlanMode::Passthrough,
        };
        let mut attributes = child.attributes();
        attributes.extend(mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
        attributes.push(info(InfoKind::MacVlan, Some(InfoData::MacVlan(vec![InfoMacVlan::Mode(mode)]))));
        self.add_kind("macvlan", child.name, attributes)?;
        explain!(6, "one more address on the parent's wire", "netlink: link add {} type macvlan", child.name);
        Ok(())
    }

    /// `ip link add link PARENT NAME netns … type ipvlan mode MODE FLAG`
    ///
    /// All ipvlan children of a parent have the mode of the latest.
    ///
    /// # Errors
    /// As [`add_macvlan`](Self::add_macvlan).
    pub fn add_ipvlan(&mut self, child: &Child<'_>, mode: IpvlanMode, flag: IpvlanFlag) -> Result<()> {
        let mode = match mode {
            IpvlanMode::L2 => IpVlanMode::L2,
            IpvlanMode::L3 => IpVlanMode::L3,
            IpvlanMode::L3s => IpVlanMode::L3S,
        };
        let flags = match flag {
            IpvlanFlag::Bridge => IpVlanFlags::empty(),
            IpvlanFlag::Private => IpVlanFlags::Private,
            IpvlanFlag::Vepa => IpVlanFlags::Vepa,
        };
        let mut attributes = child.attributes();
        let data = InfoData::IpVlan(vec![InfoIpVlan::Mode(mode), InfoIpVlan::Flags(flags)]);
        attributes.push(info(InfoKind::IpVlan, Some(data)));
        self.add_kind("ipvlan", child.name, attributes)?;
        explain!(6, "the parent's wire and its address", "netlink: link add {} type ipvlan", child.name);
        Ok(())
    }

    /// `ip link add link PARENT NAME type vlan id ID`: a wire within a wire, told apart by a number in each frame.
    ///
    /// # Errors
    /// `EEXIST` if the parent has that one already.
    pub fn add_vlan(&mut self, name: &str, parent: u32, id: u16) -> Result<()> {
        let data = InfoData::Vlan(vec![InfoVlan::Id(id)]);
        let attributes =
            vec![LinkAttribute::IfName(name.into()), LinkAttribute::Link(parent), info(InfoKind::Vlan, Some(data))];
        self.add_kind("vlan", name, attributes)?;
        explain!(6, "a wire within a wire", "netlink: link add {name} type vlan id {id}");
        Ok(())
    }

    /// `ip link add NAME type dummy`: a wire that leads nowhere.
    ///
    /// # Errors
    /// `EEXIST` if the name is taken.
    pub fn add_dummy(&mut self, name: &str) -> Result<()> {
        self.add_kind("dummy", name, vec![LinkAttribute::IfName(name.into()), info(InfoKind::Dummy, None)])?;
        explain!(6, "a wire that leads nowhere", "netlink: link add {name} type dummy");
        Ok(())
    }

    /// Adds a link of a kind that a kernel may lack.
    pub(super) fn add_kind(&mut self, kind: &str, name: &str, attributes: Vec<LinkAttribute>) -> Result<()> {
        self.add(&format!("link add {kind}"), name, attributes).map_err(|error| match error.errno() {
            Some(Errno::EOPNOTSUPP) => lacking(error, kind),
            _ => error,
        })
    }
}

fn lacking(error: Error, kind: &str) -> Error {
    error.help(format!("this kernel has no driver {kind}: `modprobe {kind}`, or another kernel"))
}

impl Child<'_> {
    /// What all kinds have in common. The kernel looks for the parent in the namespace of the socket.
    fn attributes(&self) -> Vec<LinkAttribute> {
        let mut attributes = vec![
            LinkAttribute::IfName(self.name.into()),
            LinkAttribute::Link(self.parent),
            LinkAttribute::NetNsFd(self.netns.as_raw_fd()),
        ];
        attributes.extend(self.mtu.map(LinkAttribute::Mtu));
        attributes
    }
}

/// The kind of a link, and what is particular to it.
pub(super) fn info(kind: InfoKind, data: Option<InfoData>) -> LinkAttribute {
    LinkAttribute::LinkInfo([LinkInfo::Kind(kind)].into_iter().chain(data.map(LinkInfo::Data)).collect())
}
