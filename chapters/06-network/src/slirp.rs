//! slirp4netns(1): how it is asked for what we want.
//!
//! It has its own idea of who has which address in a subnet: 2 is the way out, 3 its name server, 100 the link. Ports
//! are not its business here: those are [relayed](crate::relay).

use std::net::Ipv4Addr;
use std::path::Path;

use ipnet::Ipv4Net;

use crate::carrier::Tap;

/// The largest packet, in bytes; what pasta takes.
const MTU: u32 = 65520;

fn number(subnet: Ipv4Net, number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet.network()) + number)
}

/// A small part of the subnet with the link's address and the way out.
pub fn addresses(subnet: Ipv4Net) -> (Ipv4Net, Ipv4Addr, Ipv4Addr) {
    let small = Ipv4Net::new_assert(subnet.network(), subnet.prefix_len().max(24));
    (small, number(small, 100), number(small, 2))
}

/// Where it answers for the host's own name server.
pub fn forwarder(subnet: Ipv4Net) -> Ipv4Addr {
    number(subnet, 3)
}

/// The arguments for the network namespace at `netns`.
pub fn arguments(tap: &Tap, netns: &Path) -> Vec<String> {
    let mut all = vec!["--configure".to_owned(), format!("--mtu={MTU}"), format!("--cidr={}", tap.subnet)];
    if !tap.host_gateway {
        // Otherwise whatever listens on the host's 127.0.0.1 could be called by the gateway's address.
        all.push("--disable-host-loopback".into());
    }
    all.extend(tap.mac.map(|mac| format!("--macaddress={mac}")));
    all.extend(["--netns-type=path".to_owned(), netns.display().to_string(), tap.interface.to_owned()]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_addresses() {
        let (subnet, address, gateway) = addresses("10.210.0.0/16".parse().unwrap());
        assert_eq!(subnet.to_string(), "10.210.0.0/24");
        assert_eq!(address, Ipv4Addr::new(10, 210, 0, 100));
        assert_eq!((gateway, forwarder(subnet)), (Ipv4Addr::new(10, 210, 0, 2), Ipv4Addr::new(10, 210, 0, 3)));
    }
}
