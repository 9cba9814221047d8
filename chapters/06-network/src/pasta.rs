//! pasta(1): how it is asked for what we want.
//!
//! Known of the version in Debian 12 (2023-03-09): a UDP port that is published under another number does
//! not answer calls from 127.0.0.1, though it does all others.

use std::net::Ipv4Addr;
use std::path::Path;

use ipnet::Ipv4Net;

use crate::carrier::Tap;
use crate::{Mac, Port, Protocol};

/// Where pasta answers for the host's own name server.
pub const FORWARDER: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The subnet with the link's address and the way out.
pub fn addresses(subnet: Ipv4Net) -> (Ipv4Net, Ipv4Addr, Ipv4Addr) {
    let mut hosts = subnet.hosts();
    let gateway = hosts.next().unwrap_or(subnet.addr());
    (subnet, hosts.next().unwrap_or(gateway), gateway)
}

/// The arguments for the network namespace at `netns`: nothing is forwarded that was not asked for, in neither direction.
pub fn arguments(tap: &Tap, netns: &Path) -> Vec<String> {
    let text = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let mut all = text(&["--config-net", "--foreground", "--quiet", "--ns-ifname", tap.interface]);
    let (address, prefix) = (tap.address.to_string(), tap.subnet.prefix_len().to_string());
    all.extend(text(&["--address", &address, "--netmask", &prefix, "--gateway", &tap.gateway.to_string()]));
    all.extend(text(&["--dns-forward", &FORWARDER.to_string(), "--tcp-ns", "none", "--udp-ns", "none"]));
    if !tap.ipv6 {
        all.push("--ipv4-only".into());
    }
    if let Some(mac) = tap.mac {
        all.extend(text(&["--ns-mac-addr", &mac.to_string()]));
    }
    // Older versions take the outward link's, and refuse to start where that has none, such as a VPN's.
    all.extend(text(&["--mac-addr", &Mac::of(tap.gateway).to_string()]));
    if tap.offline {
        // They also want a link that leads outward; without one there is still the host itself.
        all.extend(text(&["--interface", "lo"]));
    }
    if !tap.host_gateway {
        // Otherwise whatever listens on the host's 127.0.0.1 could be called by the gateway's address.
        all.push("--no-map-gw".into());
    }
    for (option, protocol) in [("--tcp-ports", Protocol::Tcp), ("--udp-ports", Protocol::Udp)] {
        let ports: Vec<_> = tap.ports.iter().filter(|port| port.protocol == protocol).map(port_option).collect();
        let ports = if ports.is_empty() { vec!["none".to_owned()] } else { ports };
        all.extend(ports.into_iter().flat_map(|port| [option.to_owned(), port]));
    }
    all.extend(["--netns".to_owned(), netns.display().to_string()]);
    all
}

/// `127.0.0.1/8080:80`
fn port_option(port: &Port) -> String {
    let address = if port.host_ip.is_unspecified() { String::new() } else { format!("{}/", port.host_ip) };
    format!("{address}{}:{}", port.host_port, port.container_port)
}
