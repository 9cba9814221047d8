//! Links: `ip link add`, `set`, `delete`, `show`.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage,
};
use nix::errno::Errno;
use process::{Error, Result, explain};

use super::Netlink;

/// A network interface as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number, unique in its namespace.
    pub index: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// The bridge it is a port of, by number.
    pub master: Option<u32>,
    /// Is it switched on?
    pub up: bool,
    /// Is it a bridge?
    pub bridge: bool,
    /// The largest packet it carries, in bytes.
    pub mtu: u32,
    /// Its hardware address, empty if it has none.
    pub mac: Vec<u8>,
}

/// The far end of a veth pair: where it appears, and as what.
pub struct VethPeer<'a> {
    /// Its name there.
    pub name: &'a str,
    /// The network namespace in which it appears.
    pub netns: BorrowedFd<'a>,
    /// Its hardware address.
    pub mac: [u8; 6],
}

impl Netlink {
    /// Every link of the namespace.
    ///
    /// # Errors
    /// As netlink(7).
    pub fn links(&mut self) -> Result<Vec<Link>> {
        let mut links = Vec::new();
        self.dump("link list", RouteNetlinkMessage::GetLink(LinkMessage::default()), |answer| {
            if let RouteNetlinkMessage::NewLink(message) = answer {
                links.push(Link::new(message));
            }
        })?;
        Ok(links)
    }

    /// The link called `name`.
    ///
    /// # Errors
    /// `ENODEV` if there is none.
    pub fn link(&mut self, name: &str) -> Result<Link> {
        let (mut query, mut found) = (LinkMessage::default(), None);
        query.attributes.push(LinkAttribute::IfName(name.into()));
        self.query("link show", name, RouteNetlinkMessage::GetLink(query), |answer| {
            if let RouteNetlinkMessage::NewLink(message) = answer {
                found = Some(Link::new(message));
            }
        })?;
        found.ok_or_else(|| Error::call("link show", name, Errno::ENODEV))
    }

    /// `ip link add NAME address … mtu MTU type bridge`
    ///
    /// Without a hardware address of its own a bridge takes its ports' lowest, and changes it as they
    /// come and go; the containers would go on writing to the old one.
    ///
    /// # Errors
    /// `EEXIST` if the name is taken, `EPERM` without `CAP_NET_ADMIN`.
    pub fn add_bridge(&mut self, name: &str, mac: [u8; 6], mtu: u32) -> Result<()> {
        let kind = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]);
        let (address, mtu) = (LinkAttribute::Address(mac.to_vec()), LinkAttribute::Mtu(mtu));
        self.add("link add bridge", name, vec![LinkAttribute::IfName(name.into()), address, mtu, kind])?;
        explain!(6, "a switch made of software", "netlink: link add {name} type bridge");
        Ok(())
    }

    /// `ip link add NAME mtu MTU type veth peer name PEER netns … address …`: a virtual cable with one
    /// end here and the other, from its first instant, in the peer's namespace and under its final name.
    ///
    /// # Errors
    /// `EEXIST` if either name is taken, `EPERM` without `CAP_NET_ADMIN` in both namespaces.
    pub fn add_veth(&mut self, name: &str, mtu: u32, peer: &VethPeer<'_>) -> Result<()> {
        let mut far = LinkMessage::default();
        far.attributes = vec![
            LinkAttribute::IfName(peer.name.into()),
            LinkAttribute::NetNsFd(peer.netns.as_raw_fd()),
            LinkAttribute::Address(peer.mac.to_vec()),
            LinkAttribute::Mtu(mtu),
        ];
        let data = InfoData::Veth(InfoVeth::Peer(far));
        let info = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(data)]);
        self.add("link add veth", name, vec![LinkAttribute::IfName(name.into()), LinkAttribute::Mtu(mtu), info])?;
        explain!(6, "a cable: one end here, one end there", "netlink: link add {name} type veth peer {}", peer.name);
        Ok(())
    }

    pub(super) fn add(&mut self, verb: &str, name: &str, attributes: Vec<LinkAttribute>) -> Result<()> {
        let mut message = LinkMessage::default();
        message.attributes = attributes;
        self.ask(verb, name, RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// `ip link set NAME up`
    ///
    /// # Errors
    /// `ENODEV` if there is no such link.
    pub fn set_up(&mut self, name: &str) -> Result<()> {
        self.set_flag("link set up", name, LinkFlags::Up)?;
        explain!(6, "switched on", "netlink: link set {name} up");
        Ok(())
    }

    /// `ip link set NAME down`
    ///
    /// # Errors
    /// `ENODEV` if there is no such link.
    pub fn set_down(&mut self, name: &str) -> Result<()> {
        self.set_flag("link set down", name, LinkFlags::empty())
    }

    fn set_flag(&mut self, verb: &str, name: &str, flags: LinkFlags) -> Result<()> {
        let mut message = self.message_of(name)?;
        message.header.flags = flags;
        message.header.change_mask = LinkFlags::Up;
        self.ask(verb, name, RouteNetlinkMessage::SetLink(message), 0)
    }

    /// `ip link set NAME master BRIDGE`: plugs the link into the bridge.
    ///
    /// # Errors
    /// `ENODEV` if either is not there.
    pub fn set_master(&mut self, name: &str, bridge: &str) -> Result<()> {
        let index = self.link(bridge)?.index;
        self.set(&format!("link set master {bridge}"), name, LinkAttribute::Controller(index))?;
        explain!(6, "plugged into the bridge", "netlink: link set {name} master {bridge}");
        Ok(())
    }

    /// `ip link set NAME mtu MTU`, in bytes.
    ///
    /// # Errors
    /// `EINVAL` if the link cannot carry packets of that size.
    pub fn set_mtu(&mut self, name: &str, mtu: u32) -> Result<()> {
        self.set(&format!("link set mtu {mtu}"), name, LinkAttribute::Mtu(mtu))
    }

    /// `ip link set NAME type bridge_slave hairpin on`: the bridge may send a frame back out of the
    /// port it came in by, as happens when a container calls a port that it publishes itself.
    ///
    /// # Errors
    /// `EOPNOTSUPP` if the link is no bridge port.
    pub fn set_hairpin(&mut self, name: &str) -> Result<()> {
        self.set_port("link set hairpin on", name, InfoBridgePort::HairpinMode(true))?;
        explain!(6, "it may also call itself", "netlink: link set {name} type bridge_slave hairpin on");
        Ok(())
    }

    /// `ip link set NAME type bridge_slave isolated on`: the bridge passes nothing from one isolated port to another.
    ///
    /// # Errors
    /// `EOPNOTSUPP` if the link is no bridge port.
    pub fn set_isolated(&mut self, name: &str) -> Result<()> {
        self.set_port("link set isolated on", name, InfoBridgePort::Isolated(true))?;
        explain!(6, "kept from its neighbours", "netlink: link set {name} type bridge_slave isolated on");
        Ok(())
    }

    fn set_port(&mut self, verb: &str, name: &str, option: InfoBridgePort) -> Result<()> {
        let port = InfoPortData::BridgePort(vec![option]);
        let info = vec![LinkInfo::PortKind(InfoPortKind::Bridge), LinkInfo::PortData(port)];
        self.set(verb, name, LinkAttribute::LinkInfo(info))
    }

    fn set(&mut self, verb: &str, name: &str, attribute: LinkAttribute) -> Result<()> {
        let mut message = self.message_of(name)?;
        message.attributes.push(attribute);
        self.ask(verb, name, RouteNetlinkMessage::NewLink(message), 0)
    }

    /// `ip link delete NAME`. The other end of a veth pair goes with it.
    ///
    /// # Errors
    /// `ENODEV` if there is no such link; see [`is_gone`](super::is_gone).
    pub fn delete_link(&mut self, name: &str) -> Result<()> {
        let message = self.message_of(name)?;
        self.ask("link delete", name, RouteNetlinkMessage::DelLink(message), 0)?;
        explain!(6, "and away with it", "netlink: link delete {name}");
        Ok(())
    }

    /// A message about the link that has this name now.
    fn message_of(&mut self, name: &str) -> Result<LinkMessage> {
        let mut message = LinkMessage::default();
        message.header.index = self.link(name)?.index;
        Ok(message)
    }
}

impl Link {
    fn new(message: LinkMessage) -> Self {
        let up = message.header.flags.contains(LinkFlags::Up);
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            master: None,
            up,
            bridge: false,
            mtu: 0,
            mac: Vec::new(),
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Controller(index) => link.master = Some(index),
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Address(mac) => link.mac = mac,
                LinkAttribute::LinkInfo(info) => link.bridge = info.contains(&LinkInfo::Kind(InfoKind::Bridge)),
                _ => {}
            }
        }
        link
    }
}
