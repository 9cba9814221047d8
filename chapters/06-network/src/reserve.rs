//! Published ports are taken on the host for as long as the container lives.
//!
//! Packets for a published port are redirected before any socket sees them, so a program of the host
//! that listens there would starve without a word. Therefore the engine binds the port itself, without
//! going on to listen: the second to come, program or container, gets `EADDRINUSE` at once.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::ReuseAddr;
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, setsockopt, shutdown,
    socket,
};
use process::{Error, Kind, OrCall, Result, explain};

use crate::holder::holder;
use crate::{HostPort, Lease, Port, Protocol, Wanted};

/// Ports that are ours until this is dropped.
#[derive(Debug, Default)]
pub struct Reserved {
    /// What was found free.
    pub ports: Vec<Port>,
    sockets: Vec<OwnedFd>,
}

impl Reserved {
    /// Finds a free host port for each of `wanted`, other than those of `leases`, and takes it.
    ///
    /// # Errors
    /// [`Kind::Conflict`] names who has the port, as far as that can be seen.
    pub fn take(wanted: &[Wanted], leases: &[Lease]) -> Result<Self> {
        let mut reserved = Self::default();
        for one in wanted {
            reserved.take_one(one, leases)?;
        }
        Ok(reserved)
    }

    /// What holds the ports: they are taken for as long as these are open, in whichever process.
    pub fn into_sockets(self) -> Vec<OwnedFd> {
        self.sockets
    }

    fn take_one(&mut self, wanted: &Wanted, leases: &[Lease]) -> Result<()> {
        let candidates = match &wanted.host {
            HostPort::Any => 0..=0,
            HostPort::FirstOf(range) => range.clone(),
        };
        let several = candidates.len() > 1;
        let mut refused = None;
        for host_port in candidates.clone() {
            match self.try_port(wanted, host_port, leases) {
                Err(error) if several && error.kind() == Kind::Conflict => refused = Some(error),
                done => return done,
            }
        }
        let (first, last) = (candidates.start(), candidates.end());
        let why = refused.map(|error| format!(", for example: {}", error.what())).unwrap_or_default();
        Err(Error::new(Kind::Conflict, format!("no port of {first}-{last}/{} is free{why}", wanted.protocol)))
    }

    fn try_port(&mut self, wanted: &Wanted, host_port: u16, leases: &[Lease]) -> Result<()> {
        let Wanted { protocol, host_ip, container_port, .. } = *wanted;
        let mut port = Port { protocol, host_ip, host_port, container_port };
        let ours = leases.iter().find(|lease| lease.ports.iter().any(|other| other.collides(&port)));
        if let Some(lease) = ours {
            let by = format!("container {}", lease.container.get(..12).unwrap_or(&lease.container));
            return Err(taken(&port, Some(&by)));
        }
        let (socket, bound) = bind_port(&port)?;
        port.host_port = bound;
        self.ports.push(port);
        self.sockets.push(socket);
        Ok(())
    }
}

/// Binds, and says to which port: the kernel chooses if it is 0.
fn bind_port(port: &Port) -> Result<(OwnedFd, u16)> {
    let (call, socket) = match port.protocol {
        Protocol::Udp => ("bind", bound(port, SockType::Datagram)?),
        Protocol::Tcp => ("listen", hold_tcp(port)?),
    };
    let address: SockaddrIn = getsockname(socket.as_raw_fd()).or_call("getsockname", port)?;
    let Port { host_ip, protocol, .. } = port;
    explain!(6, "the host's port is taken", "{call}({host_ip}:{}/{protocol})", address.port());
    Ok((socket, address.port()))
}

fn bound(port: &Port, kind: SockType) -> Result<OwnedFd> {
    let socket = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None).or_call("socket", port.protocol)?;
    if kind == SockType::Stream {
        // As every server does: connections of an earlier one that linger (TIME_WAIT) are no obstacle.
        setsockopt(&socket, ReuseAddr, &true).or_call("setsockopt", "SO_REUSEADDR")?;
    }
    let address = SockaddrIn::from(SocketAddrV4::new(port.host_ip, port.host_port));
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
        let chosen: SockaddrIn = getsockname(socket.as_raw_fd()).or_call("getsockname", port)?;
        drop(socket);
        return hold_tcp(&Port { host_port: chosen.port(), ..port.clone() });
    }
    shutdown(socket.as_raw_fd(), Shutdown::Read).or_call("shutdown", port)?;
    setsockopt(&socket, ReuseAddr, &false).or_call("setsockopt", "SO_REUSEADDR")?;
    Ok(socket)
}

fn refused(port: &Port, errno: Errno) -> Error {
    let Port { host_ip, host_port, protocol, .. } = port;
    let error = Error::call("bind", format!("{host_ip}:{host_port}/{protocol}"), errno);
    match errno {
        Errno::EADDRINUSE => taken(port, holder(*protocol, *host_port).as_deref()),
        Errno::EADDRNOTAVAIL => error.help(format!("{host_ip} is no address of this host; `ip address` lists them")),
        Errno::EACCES => error.help(format!(
            "ports below 1024 are root's; allow them with `sysctl net.ipv4.ip_unprivileged_port_start={host_port}`, or publish a higher one"
        )),
        _ => error,
    }
}

fn taken(port: &Port, by: Option<&str>) -> Error {
    let Port { host_ip, host_port, protocol, .. } = port;
    let address = if *host_ip == Ipv4Addr::UNSPECIFIED { String::new() } else { format!("{host_ip}:") };
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    Error::new(Kind::Conflict, format!("port {address}{host_port}/{protocol} of this host is taken{by}"))
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
        let first = Reserved::take(&wanted("127.0.0.1::80"), &[]).unwrap();
        let port = first.ports[0].host_port;
        assert_ne!(port, 0);
        // std sets SO_REUSEADDR, as most servers do.
        let other = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap_err();
        assert_eq!(other.kind(), std::io::ErrorKind::AddrInUse);
        let called = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        assert_eq!(called.kind(), std::io::ErrorKind::ConnectionRefused);
        let error = Reserved::take(&wanted(&format!("127.0.0.1:{port}:80")), &[]).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        drop(first);
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        let error = Reserved::take(&wanted(&format!("127.0.0.1:{port}:80")), &[]).unwrap_err();
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
        let held = Reserved::take(&wanted(&format!("127.0.0.1:{port}:80")), &[]).unwrap();
        assert_eq!(std::net::TcpListener::bind(("127.0.0.1", port)).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        drop(held);
    }

    #[test]
    fn the_first_free_port_of_a_range_and_none() {
        let held = Reserved::take(&wanted("127.0.0.1::80/udp"), &[]).unwrap();
        let port = held.ports[0].host_port;
        let range = format!("127.0.0.1:{}-{port}:80/udp", port - 1);
        let error = Reserved::take(&wanted(&format!("127.0.0.1:{port}-{port}:80/udp")), &[]).unwrap_err();
        assert!(error.what().contains("is taken"), "{error}");
        if let Ok(next) = Reserved::take(&wanted(&range), &[]) {
            assert_eq!(next.ports[0].host_port, port - 1);
            let error = Reserved::take(&wanted(&range), &[]).unwrap_err();
            assert!(error.what().starts_with("no port of"), "{error}");
        }
    }

    #[test]
    fn a_neighbours_port_is_refused_by_name() {
        let mut lease = Lease::new("0123456789abcdef", "web", "bridge");
        let (protocol, host_ip) = (Protocol::Tcp, Ipv4Addr::UNSPECIFIED);
        lease.ports = vec![Port { protocol, host_ip, host_port: 9, container_port: 80 }];
        let error = Reserved::take(&wanted("127.0.0.1:9:9"), &[lease]).unwrap_err();
        assert_eq!(error.what(), "port 127.0.0.1:9/tcp of this host is taken by container 0123456789ab");
    }
}
