//! UDP that is relayed: for each caller a socket inside, so that answers find their way.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt};
use process::{OrCall, Result};

/// How long a caller is remembered who says nothing, as by Docker's proxy.
const IDLE: Duration = Duration::from_secs(90);
/// How many callers of one port are remembered; beyond that the one who was silent longest is forgotten.
const MOST_CALLERS: usize = 256;
/// How many datagrams are passed on before others have their turn.
const BATCH: usize = 64;
/// The largest datagram, in bytes.
const LARGEST: usize = 65535;

/// A port of the host, and who has called it.
pub struct Datagrams {
    socket: OwnedFd,
    ipv6: bool,
    callers: BTreeMap<Caller, Inside>,
}

/// Who calls, and at which of the host's addresses: the answer has to come from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    address: SocketAddr,
    at: IpAddr,
    link: i64,
}

struct Inside {
    socket: UdpSocket,
    used: Instant,
}

impl Datagrams {
    /// The port at which `socket` is.
    ///
    /// # Errors
    /// As setsockopt(2).
    pub fn new(socket: OwnedFd, ipv6: bool) -> Result<Self> {
        match ipv6 {
            true => setsockopt(&socket, Ipv6RecvPacketInfo, &true),
            false => setsockopt(&socket, Ipv4PacketInfo, &true),
        }
        .or_call("setsockopt", "IP_PKTINFO")?;
        Ok(Self { socket, ipv6, callers: BTreeMap::new() })
    }

    /// The host's socket.
    pub fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// The callers' sockets.
    pub fn callers(&self) -> impl Iterator<Item = (Caller, &UdpSocket)> {
        self.callers.iter().map(|(caller, inside)| (*caller, &inside.socket))
    }

    /// Passes on what callers say; `target` is where it goes.
    pub fn receive(&mut self, target: impl Fn() -> Option<SocketAddr>) {
        let mut buffer = vec![0; LARGEST];
        for _ in 0..BATCH {
            match receive(&self.socket, &mut buffer) {
                Err(Errno::EINTR) | Ok((None, _)) => {}
                Err(_) => return,
                Ok((Some(caller), length)) => {
                    if let Some(inside) = self.inside(caller, &target) {
                        let _ = inside.send(&buffer[..length]); // nobody may be there: as with UDP
                    }
                }
            }
        }
    }

    fn inside(&mut self, caller: Caller, target: impl Fn() -> Option<SocketAddr>) -> Option<&UdpSocket> {
        if !self.callers.contains_key(&caller) {
            let target = target()?;
            let any: IpAddr =
                if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let socket = UdpSocket::bind((any, 0)).ok()?;
            socket.set_nonblocking(true).ok()?;
            socket.connect(target).ok()?;
            if self.callers.len() >= MOST_CALLERS {
                let silent = self.callers.iter().min_by_key(|(_, inside)| inside.used).map(|(caller, _)| *caller);
                silent.map(|caller| self.callers.remove(&caller));
            }
            self.callers.insert(caller, Inside { socket, used: Instant::now() });
        }
        let inside = self.callers.get_mut(&caller)?;
        inside.used = Instant::now();
        Some(&inside.socket)
    }

    /// Passes on what the container says to `caller`.
    pub fn answer(&mut self, caller: Caller) {
        let mut buffer = vec![0; LARGEST];
        for _ in 0..BATCH {
            let Some(inside) = self.callers.get_mut(&caller) else { return };
            // An error is the news that nobody was there; it is of no use to a caller who has heard nothing.
            let Ok(length) = inside.socket.recv(&mut buffer) else { return };
            inside.used = Instant::now();
            let _ = send(&self.socket, self.ipv6, caller, &buffer[..length]);
        }
    }

    /// Forgets who has been silent for long; when to look again.
    pub fn expire(&mut self) -> Option<Instant> {
        let now = Instant::now();
        self.callers.retain(|_, inside| inside.used + IDLE > now);
        self.callers.values().map(|inside| inside.used + IDLE).min()
    }
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> nix::Result<(Option<Caller>, usize)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let mut control = cmsg_space!(libc::in6_pktinfo);
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let address = message.address.as_ref().and_then(socket_address);
    let at = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some((Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into(), 0))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            // An address that is no other link's needs none said.
            let link = if address.is_unicast_link_local() { info.ipi6_ifindex.into() } else { 0 };
            Some((address.into(), link))
        }
        _ => None,
    });
    Ok((address.zip(at).map(|(address, (at, link))| Caller { address, at, link }), message.bytes))
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|it| SocketAddr::new(it.ip().into(), it.port()));
    v4.or_else(|| address.as_sockaddr_in6().map(|it| (*it).into()))
}

fn send(socket: &OwnedFd, ipv6: bool, caller: Caller, message: &[u8]) -> nix::Result<()> {
    let parts = [IoSlice::new(message)];
    let to = SockaddrStorage::from(caller.address);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let sent = match caller.at {
        IpAddr::V4(at) if !ipv6 => {
            let source = libc::in_addr { s_addr: u32::from(at).to_be() };
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: source };
            sendmsg(socket.as_raw_fd(), &parts, &[ControlMessage::Ipv4PacketInfo(&info)], flags, Some(&to))
        }
        IpAddr::V6(at) if ipv6 => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: at.octets() },
                ipi6_ifindex: caller.link as _,
            };
            sendmsg(socket.as_raw_fd(), &parts, &[ControlMessage::Ipv6PacketInfo(&info)], flags, Some(&to))
        }
        _ => sendmsg(socket.as_raw_fd(), &parts, &[], flags, Some(&to)),
    };
    sent.map(drop)
}
