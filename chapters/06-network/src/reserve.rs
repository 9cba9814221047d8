//! Published ports are taken on the host for as long as the container lives.
//!
//! Packets for a published port are redirected before any socket sees them, so a program of the host
//! that listens there would starve without a word. Therefore the engine binds the port itself, without
//! going on to listen: the second to come, program or container, gets `EADDRINUSE` at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::{Ipv6V6Only, ReuseAddr};
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, SockaddrStorage, bind, getsockname, listen, setsockopt,
    shutdown, socket,
};
use process::{Error, Kind, OrCall, Result, explain};

use crate::holder::holder;
use crate::{HostPort, Lease, Port, Protocol, Wanted};

/// Every IPv4 address, and every IPv6 address.
const EVERY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const EVERY6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Ports that are ours until this is dropped.
#[derive(Debug, Default)]
pub struct Reserved {
    /// What was found free.
    pub ports: Vec<Port>,
    sockets: Vec<OwnedFd>,
}

impl Reserved {
    /// Finds a free host port for each of `wanted`, other than those of `leases`, and takes it; for who asked for no
    /// address in particular, on every IPv4 address, and with `ipv6` by the same number on every IPv6 address.
    ///
    /// # Errors
    /// [`Kind::Conflict`] names who has the port, as far as that can be seen. [`Kind::Invalid`] for an IPv6 address
    /// without `ipv6`.
    pub fn take(wanted: &[Wanted], ipv6: bool, leases: &[Lease]) -> Result<Self> {
        let mut reserved = Self::default();
        for one in wanted {
            reserved.take_one(one, ipv6, leases)?;
        }
        Ok(reserved)
    }

    /// What holds the ports: they are taken for as long as these are open, in whichever process.
    pub fn into_sockets(self) -> Vec<OwnedFd> {
        self.sockets
    }

    /// Listens at the TCP ports: who calls waits until somebody accepts. What holds the ports, in their order.
    ///
    /// # Errors
    /// As listen(2).
    pub fn listen(self) -> Result<Vec<OwnedFd>> {
        for (port, socket) in self.ports.iter().zip(&self.sockets).filter(|(port, _)| port.protocol == Protocol::Tcp) {
            // Connections of an earlier server that linger are no obstacle to this, either.
            setsockopt(socket, ReuseAddr, &true).or_call("setsockopt", "SO_REUSEADDR")?;
            listen(socket, Backlog::MAXALLOWABLE).map_err(|errno| refused(port, errno))?;
            explain!(6, "whoever calls the port is heard", "listen({}/{})", port.host(), port.protocol);
        }
        Ok(self.sockets)
    }

    fn take_one(&mut self, wanted: &Wanted, ipv6: bool, leases: &[Lease]) -> Result<()> {
        let addresses: &[IpAddr] = match &wanted.host_ip {
            None if ipv6 => &[EVERY, EVERY6],
            None => &[EVERY],
            Some(ip) if ip.is_ipv6() && !ipv6 => return Err(no_ipv6(*ip, wanted)),
            Some(ip) => std::slice::from_ref(ip),
        };
        let candidates: Vec<u16> = match &wanted.host {
            // What the kernel finds free in one family may be taken in the other.
            HostPort::Any => vec![0; 16],
            HostPort::FirstOf(range) => range.clone().collect(),
        };
        let mut refused = None;
        for host_port in &candidates {
            match self.try_port(wanted, addresses, *host_port, leases) {
                Err(error) if candidates.len() > 1 && error.kind() == Kind::Conflict => refused = Some(error),
                done => return done,
            }
        }
        let (first, last) = (candidates[0], candidates[candidates.len() - 1]);
        let why = refused.map(|error| format!(", for example: {}", error.what())).unwrap_or_default();
        Err(Error::new(Kind::Conflict, format!("no port of {first}-{last}/{} is free{why}", wanted.protocol)))
    }

    /// Takes the port on all of `addresses` or on none.
    fn try_port(&mut self, wanted: &Wanted, addresses: &[IpAddr], host_port: u16, leases: &[Lease]) -> Result<()> {
        let Wanted { protocol, container_port, .. } = *wanted;
        let mut found: Vec<(Port, OwnedFd)> = Vec::new();
        for &host_ip in addresses {
            // What the kernel chose for the first address is asked for on the second.
            let host_port = found.first().map_or(host_port, |(port, _)| port.host_port);
            let mut port = Port { protocol, host_ip, host_port, container_port };
            let ours = leases.iter().find(|lease| lease.ports.iter().any(|other| other.collides(&port)));
            if let Some(lease) = ours {
                let by = format!("container {}", lease.container.get(..12).unwrap_or(&lease.container));
                return Err(taken(&port, Some(&by)));
            }
            let (socket, bound) = bind_port(&port)?;
            port.host_port = bound;
            found.push((port, socket));
        }
        for (port, socket) in found {
            self.ports.push(port);
            self.sockets.push(socket);
        }
        Ok(())
    }
}

/// Binds, and says to which port: the kernel chooses if it is 0.
fn bind_port(port: &Port) -> Result<(OwnedFd, u16)> {
    let (call, socket) = match port.protocol {
        Protocol::Udp => ("bind", bound(port, SockType::Datagram)?),
        Protocol::Tcp => ("listen", hold_tcp(port)?),
    };
    let bound = Port { host_port: port_of(&socket, port)?, ..port.clone() };
    explain!(6, "the host's port is taken", "{call}({}/{})", bound.host(), port.protocol);
    Ok((socket, bound.host_port))
}

/// The port that a socket is bound to.
fn port_of(socket: &OwnedFd, port: &Port) -> Result<u16> {
    let address: SockaddrStorage = getsockname(socket.as_raw_fd()).or_call("getsockname", port)?;
    let v4 = address.as_sockaddr_in().map(|address| address.port());
    Ok(v4.or(address.as_sockaddr_in6().map(|address| address.port())).unwrap_or_default())
}

fn bound(port: &Port, kind: SockType) -> Result<OwnedFd> {
    let family = if port.host_ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None).or_call("socket", port.protocol)?;
    if family == AddressFamily::Inet6 {
        // Else `::` would take the port of IPv4, too, which is somebody else's business (ipv6(7)).
        setsockopt(&socket, Ipv6V6Only, &true).or_call("setsockopt", "IPV6_V6ONLY")?;
    }
    if kind == SockType::Stream {
        // As every server does: connections of an earlier one that linger (TIME_WAIT) are no obstacle.
        setsockopt(&socket, ReuseAddr, &true).or_call("setsockopt", "SO_REUSEADDR")?;
    }
    let address = SockaddrStorage::from(port.host());
    bind(socket.as_raw_fd(), &address).map_err(|errno| refused(port, errno))?;
    Ok(socket)
}

/// A TCP port that is held, though nobody listens: who calls it past our rules is refused, and does not hang.
///
/// To listen for an instant is the only proof that nobody else does (two sockets may be bound with
/// `SO_REUSEADDR`, but only one listens). Without that option from then on, the socket keeps others out (socket(7)).
fn hold_tcp(port: &Port) -> Result<OwnedFd> {
    let socket = bound(port, SockType::Stream)?;
    let backlog = Backlog::new(1).or_call("listen", port)?;
    listen(&socket, backlog).map_err(|errno| refused(port, errno))?;
    if port.host_port == 0 {
        // A port that the kernel chose is lost when listening ends; now that it is known, it is asked for.
        let host_port = port_of(&socket, port)?;
        drop(socket);
        return hold_tcp(&Port { host_port, ..port.clone() });
    }
    shutdown(socket.as_raw_fd(), Shutdown::Read).or_call("shutdown", port)?;
    setsockopt(&socket, ReuseAddr, &false).or_call("setsockopt", "SO_REUSEADDR")?;
    Ok(socket)
}

fn refused(port: &Port, errno: Errno) -> Error {
    let Port { host_ip, host_port, protocol, .. } = port;
    let error = Error::call("bind", format!("{}/{protocol}", port.host()), errno);
    match errno {
        Errno::EADDRINUSE => taken(port, holder(*protocol, *host_port).as_deref()),
        Errno::EADDRNOTAVAIL => error.help(format!("{host_ip} is no address of this host; `ip address` lists them")),
        Errno::EACCES => error.help(format!(
            "ports below 1024 are root's; allow them with `sysctl net.ipv4.ip_unprivileged_port_start={host_port}`, or publish a higher one"
        )),
        _ => error,
    }
}

fn no_ipv6(ip: IpAddr, wanted: &Wanted) -> Error {
    let (port, protocol) = (wanted.container_port, wanted.protocol);
    Error::invalid(format!("publish {port}/{protocol} on {ip}: the container has no IPv6 address"))
        .help("`network create --ipv6 NAME`, then --network NAME")
}

fn taken(port: &Port, by: Option<&str>) -> Error {
    let Port { host_ip, host_port, protocol, .. } = port;
    let place = if host_ip.is_unspecified() { host_port.to_string() } else { port.host().to_string() };
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    Error::new(Kind::Conflict, format!("port {place}/{protocol} of this host is taken{by}"))
        .help(format!("publish another one, or any that is free: --publish {}", port.container_port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Publish;

    fn wanted(text: &str) -> Vec<Wanted> {
        text.parse::<Publish>().unwrap().0
    }

    #[test]
    fn a_reserved_port_is_refused_to_everybody_and_the_holder_named() {
        let first = Reserved::take(&wanted("127.0.0.1::80"), false, &[]).unwrap();
        let port = first.ports[0].host_port;
        assert_ne!(port, 0);
        // std sets SO_REUSEADDR, as most servers do.
        let other = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap_err();
        assert_eq!(other.kind(), std::io::ErrorKind::AddrInUse);
        let called = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        assert_eq!(called.kind(), std::io::ErrorKind::ConnectionRefused);
        let error = Reserved::take(&wanted(&format!("127.0.0.1:{port}:80")), false, &[]).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        drop(first);
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        let error = Reserved::take(&wanted(&format!("127.0.0.1:{port}:80")), false, &[]).unwrap_err();
        assert!(error.what().contains(&format!("(pid {})", std::process::id())), "{error}");
        drop(listener);
    }

    #[test]
    fn a_connection_that_lingers_is_no_obstacle() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        drop(listener.accept().unwrap()); // the server closes first: its port is in TIME_WAIT
        drop((client, listener));
        let held = Reserved::take(&wanted(&format!("127.0.0.1:{port}:80")), false, &[]).unwrap();
        assert_eq!(std::net::TcpListener::bind(("127.0.0.1", port)).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        drop(held);
    }

    #[test]
    fn the_first_free_port_of_a_range_and_none() {
        let held = Reserved::take(&wanted("127.0.0.1::80/udp"), false, &[]).unwrap();
        let port = held.ports[0].host_port;
        let range = format!("127.0.0.1:{}-{port}:80/udp", port - 1);
        let error = Reserved::take(&wanted(&format!("127.0.0.1:{port}-{port}:80/udp")), false, &[]).unwrap_err();
        assert!(error.what().contains("is taken"), "{error}");
        if let Ok(next) = Reserved::take(&wanted(&range), false, &[]) {
            assert_eq!(next.ports[0].host_port, port - 1);
            let error = Reserved::take(&wanted(&range), false, &[]).unwrap_err();
            assert!(error.what().starts_with("no port of"), "{error}");
        }
    }

    #[test]
    fn a_neighbours_port_is_refused_by_name() {
        let mut lease = Lease::new("0123456789abcdef", "web", "bridge");
        let (protocol, host_ip) = (Protocol::Tcp, EVERY);
        lease.ports = vec![Port { protocol, host_ip, host_port: 9, container_port: 80 }];
        let error = Reserved::take(&wanted("127.0.0.1:9:9"), false, &[lease]).unwrap_err();
        assert_eq!(error.what(), "port 127.0.0.1:9/tcp of this host is taken by container 0123456789ab");
    }

    #[test]
    fn both_families_by_one_number() {
        let Ok(_) = std::net::TcpListener::bind("[::1]:0") else { return }; // a kernel without IPv6
        let both = Reserved::take(&wanted("80"), true, &[]).unwrap();
        let [four, six] = &both.ports[..] else { panic!("{:?}", both.ports) };
        assert_eq!(four.host_port, six.host_port);
        assert_eq!(six.to_string(), format!("[::]:{}->80/tcp", four.host_port));
        let error = Reserved::take(&wanted("[::1]:0:80"), false, &[]).unwrap_err();
        assert!(error.what().contains("no IPv6 address"), "{error}");
    }
}
