//! The number of the firewall's state: the kernel counts every transaction of everybody (`NFT_MSG_GETGEN`,
//! linux/netfilter/nf_tables.h), and nft itself asks for it to see that nobody else has changed anything meanwhile.

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

/// `NFNL_SUBSYS_NFTABLES`, and its two messages.
const TABLES: u16 = 10 << 8;
const NEW: u16 = TABLES | 15;
const GET: u16 = TABLES | 16;
/// `NFTA_GEN_ID`
const ID: u16 = 1;
/// `struct nlmsghdr` and `struct nfgenmsg`, in bytes.
const HEADER: usize = 16;
const FAMILY: usize = 4;

/// The number as it is now, in the network namespace of this thread; none if the kernel does not say.
pub fn current() -> Option<u32> {
    let mut socket = Socket::new(NETLINK_NETFILTER).ok()?;
    socket.bind_auto().ok()?;
    socket.connect(&SocketAddr::new(0, 0)).ok()?;
    socket.send(&request(), 0).ok()?;
    let (answer, _) = socket.recv_from_full().ok()?;
    parse(&answer)
}

fn request() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + FAMILY);
    bytes.extend(((HEADER + FAMILY) as u32).to_ne_bytes());
    bytes.extend(GET.to_ne_bytes());
    bytes.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    bytes.extend([0; 8 + FAMILY]); // sequence and port; any family, version 0
    bytes
}

fn parse(bytes: &[u8]) -> Option<u32> {
    let short = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    if short(4)? != NEW {
        return None;
    }
    let mut at = HEADER + FAMILY;
    loop {
        // `struct nlattr`: its length, itself included, then its kind; each begins at a multiple of four.
        let length = usize::from(short(at)?);
        if short(at + 2)? == ID {
            return Some(u32::from_be_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?));
        }
        at += length.max(4).next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_a_torn_one_is_none() {
        let mut answer = request();
        answer[4..6].copy_from_slice(&NEW.to_ne_bytes());
        for (kind, value) in [(2_u16, 77_u32), (ID, 4242)] {
            answer.extend(8_u16.to_ne_bytes());
            answer.extend(kind.to_ne_bytes());
            answer.extend(value.to_be_bytes());
        }
        assert_eq!(parse(&answer), Some(4242));
        assert_eq!(parse(&answer[..answer.len() - 1]), None);
        assert_eq!(parse(&request()), None);
        assert_eq!(parse(&[]), None);
    }
}
