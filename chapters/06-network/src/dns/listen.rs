//! The sockets of the name server, in the container's network namespace.
//!
//! It listens on ports of the kernel's choosing, so that the container may have a name server of its own on port 53 of
//! every address. What goes to port 53 of 127.0.0.11 is led there by two rules that change a packet's port, and back by
//! two more; without connection tracking, which would cost all the container's packets something. The namespace is the
//! container's, so the rules end with it.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use process::{OrCall, Result, explain};

use super::ADDRESS;
use crate::nft;
use crate::wire::loopback_up;

/// The table in the container's network namespace.
const TABLE: &str = "cooper_dns";

/// Both sockets, bound.
pub struct Listening {
    /// For UDP.
    pub udp: OwnedFd,
    /// For TCP.
    pub tcp: OwnedFd,
}

/// Opens them, and leads port 53 to them. Called in the container's network namespace.
///
/// # Errors
/// As bind(2), netlink(7), nft(8).
pub fn open() -> Result<Listening> {
    loopback_up()?; // without it 127.0.0.11 is nobody's
    let udp = UdpSocket::bind((ADDRESS, 0)).or_call("bind", format!("{ADDRESS}, UDP"))?;
    let tcp = TcpListener::bind((ADDRESS, 0)).or_call("bind", format!("{ADDRESS}, TCP"))?;
    let port = |address: std::io::Result<SocketAddr>| address.map(|it| it.port()).or_call("getsockname", ADDRESS);
    let (udp_port, tcp_port) = (port(udp.local_addr())?, port(tcp.local_addr())?);
    nft::apply(TABLE, &script(udp_port, tcp_port))?;
    explain!(6, "port 53 leads to the name server", "bind({ADDRESS}:{udp_port}, UDP), bind({ADDRESS}:{tcp_port}, TCP)");
    Ok(Listening { udp: udp.into(), tcp: tcp.into() })
}

/// The rules: all of it passes the loopback link, so both ways are on their way out here. Those of a name server before
/// this one go with the table.
fn script(udp: u16, tcp: u16) -> String {
    format!(
        "table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  chain output {{
    type filter hook output priority raw; policy accept;
    ip daddr {ADDRESS} udp dport 53 udp dport set {udp}
    ip daddr {ADDRESS} tcp dport 53 tcp dport set {tcp}
    ip saddr {ADDRESS} udp sport {udp} udp sport set 53
    ip saddr {ADDRESS} tcp sport {tcp} tcp sport set 53
  }}
}}
"
    )
}
