//! The cable and the rules of a published port.
//!
//! `publish NETNS SUBNET HOST_PORT PORT` does what an engine does for `--publish HOST_PORT:PORT`. The container is the
//! network namespace in the file NETNS. The bridge `switch` is made for you, with the first address of SUBNET, and the
//! kernel's switches are set. Two things are missing:
//!
//! - [`cable`]: a veth pair from the bridge into the namespace, where its end has the second address of SUBNET, is up,
//!   and has a default route;
//! - [`rules`]: what nft(8) shall have, so that a call to HOST_PORT of this host leads to PORT of the container: from
//!   outside, from the host itself (by its address and by 127.0.0.1), and from the container itself. The container sees
//!   who calls from outside. Nothing else is changed: neither calls of the host to others nor calls to other ports.
//!
//! By hand, after `cargo build -p lab06`, in a host of your own, with a neighbour `world`:
//! ```text
//! unshare --map-root-user --net --mount --pid --fork --mount-proc sh
//! mount -t tmpfs none /run; ip link set lo up; ip netns add box; ip netns add world
//! ip link add uplink type veth peer name wire netns world; ip link set uplink up
//! ip address add 192.0.2.2/24 dev uplink; inside="nsenter --net=/run/netns/"
//! ${inside}world ip address add 192.0.2.1/24 dev wire; ${inside}world ip link set wire up
//! target/debug/publish /run/netns/box 10.9.8.0/24 8080 80
//! ${inside}box busybox httpd -p 80 -h /etc; ${inside}world busybox wget -qO- http://192.0.2.2:8080/hostname
//! ```
//! Read: the book, chapter 6, "The way in: published ports"; nft(8).

//@ starter
#![allow(unused, reason = "until the gap is filled")]

//@ solution
//@ end
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::process::ExitCode;

use ipnet::Ipv4Net;
use network::netlink::{Netlink, VethPeer};
use network::{Mac, netns, nft};
use process::{OrCall, Result};

fn main() -> ExitCode {
    run().map_or_else(|error| process::cli::report(&error), |()| ExitCode::SUCCESS)
}

fn run() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [netns, subnet, host_port, port] = &words[..] else { panic!("publish NETNS SUBNET HOST_PORT PORT") };
    let number = |text: &str| text.parse().expect("a port");
    let netns = File::open(netns).or_call("open", netns)?;
    let place = Place::new(subnet.parse().expect("a subnet, as 10.9.8.0/24"));
    let mut host = Netlink::open()?;
    switch(&mut host, &place)?;
    cable(&mut host, &netns, &place)?;
    nft::apply("lab", &rules(&place, number(host_port), SocketAddrV4::new(place.address, number(port))))
}

/// The addresses of a container's network.
struct Place {
    subnet: Ipv4Net,
    /// The bridge's.
    gateway: Ipv4Addr,
    /// The container's.
    address: Ipv4Addr,
}

impl Place {
    fn new(subnet: Ipv4Net) -> Self {
        let mut hosts = subnet.hosts();
        let mut next = || hosts.next().expect("a subnet of four addresses or more");
        Self { subnet, gateway: next(), address: next() }
    }

    /// An address with the length of the subnet, as `Netlink::add_address` wants it.
    fn with_length(&self, address: Ipv4Addr) -> ipnet::IpNet {
        Ipv4Net::new_assert(address, self.subnet.prefix_len()).into()
    }
}

/// The bridge, and the kernel's switches: the host is a router, and 127.0.0.1 may leave by the bridge.
fn switch(host: &mut Netlink, place: &Place) -> Result<()> {
    host.add_bridge("switch", Mac::of(place.gateway).0, 1500)?;
    host.add_address("switch", place.with_length(place.gateway))?;
    host.set_up("switch")?;
    for name in ["ip_forward", "conf/switch/route_localnet"] {
        fs::write(format!("/proc/sys/net/ipv4/{name}"), "1").or_call("write", name)?;
    }
    Ok(())
}

/// A cable from the bridge to `eth0` in the namespace, ready for use at both ends.
fn cable(host: &mut Netlink, netns: &File, place: &Place) -> Result<()> {
    //@ starter
    todo!("on this side with `host`, on the other in netns::within(netns.as_fd(), || …) with a Netlink of its own")
    //@ solution
    host.add_veth("cable", 1500, &VethPeer { name: "eth0", netns: netns.as_fd(), mac: Mac::of(place.address).0 })?;
    host.set_master("cable", "switch")?;
    host.set_hairpin("cable")?;
    host.set_up("cable")?;
    netns::within(netns.as_fd(), || {
        let mut inside = Netlink::open()?;
        inside.set_up("lo")?;
        inside.add_address("eth0", place.with_length(place.address))?;
        inside.set_up("eth0")?;
        inside.add_default_route(place.gateway.into())
    })
    //@ wrong no-hairpin
    host.add_veth("cable", 1500, &VethPeer { name: "eth0", netns: netns.as_fd(), mac: Mac::of(place.address).0 })?;
    host.set_master("cable", "switch")?;
    host.set_up("cable")?;
    netns::within(netns.as_fd(), || {
        let mut inside = Netlink::open()?;
        inside.set_up("lo")?;
        inside.add_address("eth0", place.with_length(place.address))?;
        inside.set_up("eth0")?;
        inside.add_default_route(place.gateway.into())
    })
    //@ end
}

/// A script for nft: calls to `host_port` of this host go to the container, `to`.
fn rules(place: &Place, host_port: u16, to: SocketAddrV4) -> String {
    //@ starter
    todo!("table inet lab: calls to port {host_port} of this host lead to {to}, in {}", place.subnet)
    //@ solution, wrong no-hairpin
    let subnet = place.subnet;
    format!(
        r#"table inet lab {{
            chain published {{
                fib daddr type local tcp dport {host_port} dnat ip to {to}
            }}
            chain prerouting {{
                type nat hook prerouting priority dstnat; policy accept;
                meta nfproto ipv4 jump published
            }}
            chain output {{
                type nat hook output priority -100; policy accept;
                meta nfproto ipv4 jump published
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr 127.0.0.0/8 oifname "switch" masquerade
                ip saddr {subnet} ip daddr {subnet} ct status dnat masquerade
            }}
        }}"#
    )
    //@ wrong no-output
    let subnet = place.subnet;
    format!(
        r#"table ip lab {{
            chain prerouting {{
                type nat hook prerouting priority dstnat; policy accept;
                fib daddr type local tcp dport {host_port} dnat to {to}
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr {subnet} ip daddr {subnet} ct status dnat masquerade
            }}
        }}"#
    )
    //@ wrong every-destination
    let subnet = place.subnet;
    format!(
        r#"table ip lab {{
            chain prerouting {{
                type nat hook prerouting priority dstnat; policy accept;
                tcp dport {host_port} dnat to {to}
            }}
            chain output {{
                type nat hook output priority -100; policy accept;
                tcp dport {host_port} dnat to {to}
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr 127.0.0.0/8 oifname "switch" masquerade
                ip saddr {subnet} ip daddr {subnet} ct status dnat masquerade
            }}
        }}"#
    )
    //@ wrong masquerade-all
    format!(
        r#"table ip lab {{
            chain prerouting {{
                type nat hook prerouting priority dstnat; policy accept;
                fib daddr type local tcp dport {host_port} dnat to {to}
            }}
            chain output {{
                type nat hook output priority -100; policy accept;
                fib daddr type local tcp dport {host_port} dnat to {to}
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat; policy accept;
                masquerade
            }}
        }}"#
    )
    //@ wrong no-loopback
    let subnet = place.subnet;
    format!(
        r#"table ip lab {{
            chain prerouting {{
                type nat hook prerouting priority dstnat; policy accept;
                fib daddr type local tcp dport {host_port} dnat to {to}
            }}
            chain output {{
                type nat hook output priority -100; policy accept;
                fib daddr type local tcp dport {host_port} dnat to {to}
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr {subnet} ip daddr {subnet} ct status dnat masquerade
            }}
        }}"#
    )
    //@ end
}
