//! What step 6 asks of the kernel for a network: netlink messages, written by hand, and nft's program.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg, OFlag, open};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use super::{Recipe, root, sys};

/// The bridge that is there for [`Recipe::Cable`], and the one that [`Recipe::Bridge`] makes; the tables of their rules.
pub const STANDING: &str = "floor-stands";
const PASSING: &str = "floor-passes";

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

/// The files of `/etc` that tell of a network.
const FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// A container's connection.
pub struct Network {
    recipe: Recipe,
    lease: PathBuf,
    lock: PathBuf,
    /// The host's end of the cable.
    veth: String,
}

impl Network {
    /// A lease and the files; for [`Recipe::Bridge`] a bridge.
    pub fn prepare(directory: &Path, id: &str, recipe: Recipe) -> io::Result<Self> {
        let lease = directory.join("containers").join(id);
        let lock = directory.join("lock");
        fs::create_dir_all(&lease)?;
        let veth = format!("floor{}", std::process::id());
        let network = Self { recipe, lease, lock, veth };
        let _held = network.hold()?;
        network.write_lease()?;
        for name in FILES {
            fs::write(network.lease.join(name), "127.0.0.1\tlocalhost\n")?;
        }
        if recipe == Recipe::Bridge {
            add_bridge(PASSING)?;
        }
        Ok(network)
    }

    fn hold(&self) -> io::Result<Flock<File>> {
        let file = File::options().create(true).append(true).open(&self.lock)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
    }

    fn write_lease(&self) -> io::Result<()> {
        fs::write(self.lease.join("lease.new"), [b'l'; 278])?;
        fs::rename(self.lease.join("lease.new"), self.lease.join("lease.json"))
    }

    /// The cable into the network namespace of the child, and for [`Recipe::Bridge`] the rules.
    pub fn connect(&self, child: Pid) -> io::Result<()> {
        let _held = self.hold()?;
        self.write_lease()?;
        let bridge = match self.recipe {
            Recipe::Cable => STANDING,
            Recipe::Bridge => PASSING,
            _ => return Ok(()),
        };
        let netns = open(format!("/proc/{child}/ns/net").as_str(), OFlag::O_CLOEXEC, Mode::empty())?;
        let netlink = Netlink::open()?;
        netlink.add_veth(&self.veth, bridge, &netns)?;
        fs::read("/proc/sys/net/ipv4/ip_forward")?;
        if self.recipe == Recipe::Bridge { nft(&rules(PASSING)) } else { Ok(()) }
    }

    /// In the child: links and addresses, and the files over those of the root.
    pub fn configure(&self, root: &Path) -> io::Result<()> {
        let netlink = Netlink::open()?;
        netlink.set_up("lo")?;
        if self.recipe != Recipe::Loopback {
            netlink.add_address("eth0", ADDRESS)?;
            netlink.set_up("eth0")?;
            netlink.add_default_route()?;
        }
        let root = open(root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        for name in FILES {
            let file = open(&self.lease.join(name), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
            let tree = sys::open_tree(std::os::fd::AsFd::as_fd(&file), false)?;
            let target = root::within(&root, &format!("etc/{name}"))?;
            sys::move_mount(std::os::fd::AsFd::as_fd(&tree), std::os::fd::AsFd::as_fd(&target))?;
        }
        Ok(())
    }

    /// The lease goes; the cable has gone, or goes, with the network namespace; the bridge is deleted.
    pub fn disconnect(self) -> io::Result<()> {
        let _held = self.hold()?;
        fs::remove_dir_all(&self.lease)?;
        if self.recipe == Recipe::Bridge {
            nft(&format!("table inet {PASSING}\ndelete table inet {PASSING}\n"))?;
            delete_link(PASSING)?;
        }
        Ok(())
    }
}

/// A bridge with the gateway's address, up.
pub fn add_bridge(name: &str) -> io::Result<()> {
    let netlink = Netlink::open()?;
    let link = [text(IFLA_IFNAME, name), nested(IFLA_LINKINFO, &[text(IFLA_INFO_KIND, "bridge")])].concat();
    netlink.call(RTM_NEWLINK, CREATE, &[&[0; 16][..], &link].concat())?;
    netlink.add_address(name, GATEWAY)?;
    netlink.set_up(name)
}

/// Deletes a link.
pub fn delete_link(name: &str) -> io::Result<()> {
    let index = if_nametoindex(name)?;
    Netlink::open()?.call(RTM_DELLINK, 0, &link_header(index, 0))
}

/// Rules as the step has them for one network and no published port.
pub fn rules(bridge: &str) -> String {
    include_str!("rules.nft").replace("BRIDGE", bridge).replace("SUBNET", "10.99.0.0/16")
}

/// One transaction by nft(8).
pub fn nft(script: &str) -> io::Result<()> {
    let program = Path::new("/usr/sbin/nft");
    let mut child = Command::new(program).args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(script.as_bytes())?;
    }
    if child.wait()?.success() { Ok(()) } else { Err(io::Error::other("nft")) }
}

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
/// NLM_F_CREATE and NLM_F_EXCL.
const CREATE: u16 = 0x600;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const VETH_INFO_PEER: u16 = 1;
const BRPORT_MODE: u16 = 4;

/// A socket of rtnetlink(7).
struct Netlink(OwnedFd);

impl Netlink {
    fn open() -> io::Result<Self> {
        let kind = SockType::Datagram;
        Ok(Self(socket(AddressFamily::Netlink, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?))
    }

    /// One request and its acknowledgement.
    fn call(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        const REQUEST_AND_ACK: u16 = 0x5;
        let mut message = Vec::with_capacity(16 + body.len());
        message.extend((16 + body.len() as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((flags | REQUEST_AND_ACK).to_ne_bytes());
        message.extend([0; 8]); // sequence and port
        message.extend(body);
        send(self.0.as_raw_fd(), &message, MsgFlags::empty())?;
        let mut answer = [0; 4096];
        recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(-error)),
        }
    }

    fn add_veth(&self, name: &str, bridge: &str, netns: &OwnedFd) -> io::Result<()> {
        let peer = [
            vec![0; 16],
            text(IFLA_IFNAME, "eth0"),
            attribute(IFLA_ADDRESS, &[2, 0x42, 10, 99, 0, 2]),
            attribute(IFLA_MTU, &1500_u32.to_ne_bytes()),
            attribute(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes()),
        ];
        let data = nested(IFLA_INFO_DATA, &[attribute(VETH_INFO_PEER, &peer.concat())]);
        let link = [
            vec![0; 16],
            text(IFLA_IFNAME, name),
            attribute(IFLA_MTU, &1500_u32.to_ne_bytes()),
            nested(IFLA_LINKINFO, &[text(IFLA_INFO_KIND, "veth"), data]),
        ];
        self.call(RTM_NEWLINK, CREATE, &link.concat())?;
        let header = link_header(if_nametoindex(name)?, 0);
        let master = attribute(IFLA_MASTER, &if_nametoindex(bridge)?.to_ne_bytes());
        self.call(RTM_NEWLINK, 0, &[header.clone(), master].concat())?;
        let hairpin = nested(IFLA_INFO_SLAVE_DATA, &[attribute(BRPORT_MODE, &[1])]);
        let port = nested(IFLA_LINKINFO, &[text(IFLA_INFO_SLAVE_KIND, "bridge"), hairpin]);
        self.call(RTM_NEWLINK, 0, &[header, port].concat())?;
        self.set_up(name)
    }

    fn set_up(&self, name: &str) -> io::Result<()> {
        self.call(RTM_NEWLINK, 0, &link_header(if_nametoindex(name)?, libc::IFF_UP as u32))
    }

    fn add_address(&self, name: &str, address: Ipv4Addr) -> io::Result<()> {
        const LOCAL: u16 = 2;
        let family = libc::AF_INET as u8;
        let index = if_nametoindex(name)?.to_ne_bytes();
        let body = [vec![family, 16, 0, 0], index.to_vec(), attribute(LOCAL, &address.octets())];
        self.call(RTM_NEWADDR, CREATE, &body.concat())
    }

    fn add_default_route(&self) -> io::Result<()> {
        const GATEWAY_OF: u16 = 5;
        const MAIN_TABLE: u8 = 254;
        const UNICAST_BY_BOOT: [u8; 4] = [MAIN_TABLE, 3, 0, 1];
        let family = libc::AF_INET as u8;
        let body =
            [vec![family, 0, 0, 0], UNICAST_BY_BOOT.to_vec(), vec![0; 4], attribute(GATEWAY_OF, &GATEWAY.octets())];
        self.call(RTM_NEWROUTE, CREATE, &body.concat())
    }
}

/// `struct ifinfomsg`: sets these flags, and changes no others.
fn link_header(index: u32, flags: u32) -> Vec<u8> {
    [[0; 4], index.to_ne_bytes(), flags.to_ne_bytes(), flags.to_ne_bytes()].concat()
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}

fn nested(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind, &attributes.concat())
}

/// `struct rtattr`: length, kind, value, and padding to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len() as u16;
    let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
