//! One small synchronous netlink socket, with a method per verb of ip(8).
//!
//! Every change of links, addresses and routes is one message of the `rtnetlink` family and the
//! kernel's acknowledgement of it (netlink(7), rtnetlink(7)). A socket belongs to the network
//! namespace in which it was opened, so the child opens its own.

mod address;
mod child;
mod link;
mod neighbour;
mod route;
mod vxlan;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use process::{Error, OrCall, Result};

pub use child::{Child, IpvlanFlag, IpvlanMode, MacvlanMode};
pub use link::{Link, VethPeer};
pub use neighbour::Neighbour;
pub use route::Route;
pub use vxlan::Vxlan;

/// A connection to the kernel's view of links, addresses and routes of one network namespace.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket in the network namespace of this process.
    ///
    /// # Errors
    /// As socket(2) and bind(2).
    pub fn open() -> Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE).or_call("socket", "AF_NETLINK, NETLINK_ROUTE")?;
        socket.bind_auto().or_call("bind", "a netlink socket")?;
        socket.connect(&SocketAddr::new(0, 0)).or_call("connect", "the kernel's netlink socket")?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends a request and waits for its acknowledgement. `verb` and `object` name it in the error.
    fn ask(&mut self, verb: &str, object: &str, message: RouteNetlinkMessage, flags: u16) -> Result<()> {
        self.send(message, NLM_F_REQUEST | NLM_F_ACK | flags).or_call(verb, object)?;
        self.answers(verb, object, |_| {})
    }

    /// Asks for one object, which is given to `each`.
    fn query(
        &mut self,
        verb: &str,
        object: &str,
        query: RouteNetlinkMessage,
        each: impl FnMut(RouteNetlinkMessage),
    ) -> Result<()> {
        self.send(query, NLM_F_REQUEST | NLM_F_ACK).or_call(verb, object)?;
        self.answers(verb, object, each)
    }

    /// Sends a query; gives each object of the answer to `each`.
    fn dump(&mut self, verb: &str, query: RouteNetlinkMessage, each: impl FnMut(RouteNetlinkMessage)) -> Result<()> {
        self.send(query, NLM_F_REQUEST | NLM_F_DUMP).or_call(verb, "")?;
        self.answers(verb, "", each)
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> std::io::Result<()> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map(drop)
    }

    /// Reads datagrams until the request is done or refused. One datagram holds several messages.
    fn answers(&mut self, verb: &str, object: &str, mut each: impl FnMut(RouteNetlinkMessage)) -> Result<()> {
        loop {
            let (bytes, _) = self.socket.recv_from_full().or_call(verb, object)?;
            let mut rest = bytes.as_slice();
            while let Some((one, next)) = first_message(rest) {
                rest = next;
                let header = header(one);
                if header.sequence != self.sequence {
                    continue; // an answer to a question that was given up
                }
                match header.kind {
                    libc::NLMSG_DONE => return Ok(()),
                    libc::NLMSG_ERROR => return outcome(one).or_call(verb, object),
                    _ => {}
                }
                // A newer kernel may describe an object in ways this crate cannot read: then it is
                // not one of ours, and passing it over is right.
                if let Ok(message) = NetlinkMessage::deserialize(one)
                    && let NetlinkPayload::InnerMessage(message) = message.payload
                {
                    each(message);
                }
            }
        }
    }
}

/// The fields of `struct nlmsghdr` that say how to go on (netlink(7)).
struct Header {
    length: usize,
    kind: i32,
    sequence: u32,
}

fn header(bytes: &[u8]) -> Header {
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
    let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
    Header { length: word(0) as usize, kind: i32::from(kind), sequence: word(8) }
}

/// The first message of a datagram, and what follows it. Messages begin at multiples of four.
fn first_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    const HEADER: usize = 16;
    if bytes.len() < HEADER {
        return None;
    }
    let length = header(bytes).length;
    if length < HEADER || length > bytes.len() {
        return None;
    }
    let next = length.next_multiple_of(4).min(bytes.len());
    Some((&bytes[..length], &bytes[next..]))
}

/// An `NLMSG_ERROR` carries 0 for an acknowledgement, or the negative errno.
fn outcome(message: &[u8]) -> Result<(), Errno> {
    let code = message.get(16..20).and_then(|code| code.try_into().ok()).map_or(-libc::EBADMSG, i32::from_ne_bytes);
    if code == 0 { Ok(()) } else { Err(Errno::from_raw(-code)) }
}

/// Does the error say that the object is not there? Deleting it is done then.
pub fn is_gone(error: &Error) -> bool {
    matches!(error.errno(), Some(Errno::ENODEV | Errno::ENOENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_cut_at_multiples_of_four() {
        let mut bytes = vec![0; 20 + 18];
        bytes[0] = 18;
        bytes[20] = 18;
        let (first, rest) = first_message(&bytes).unwrap();
        assert_eq!((first.len(), rest.len()), (18, 18));
        let (second, rest) = first_message(rest).unwrap();
        assert_eq!((second.len(), rest.len()), (18, 0));
        assert!(first_message(rest).is_none());
        assert!(first_message(&[200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_none(), "torn");
    }

    #[test]
    fn the_loopback_link_is_listed_without_any_right() {
        let mut netlink = Netlink::open().unwrap();
        let links = netlink.links().unwrap();
        assert!(links.iter().any(|link| link.name == "lo"));
        assert_eq!(netlink.link("no-such-link").unwrap_err().errno(), Some(Errno::ENODEV));
    }
}
