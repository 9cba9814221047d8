//! A container that nobody reaches.
//!
//! `unreachable NETNS SUBNET` gives the network namespace in the file NETNS a network: a bridge `switch` with the first
//! address of SUBNET, a cable, the second address inside, a way out, and masquerade. No call fails. But the host does
//! not reach the container, the container does not reach the world, and the world would not know whom to answer. Find
//! the four faults, and mend them: `ip` and `nft` show you what the kernel has.
//!
//! By hand, after `cargo build -p lab06`, in a host of your own (a shell that is root in new namespaces):
//! ```text
//! unshare --map-root-user --net --mount --pid --fork --mount-proc sh
//! mount -t tmpfs none /run; ip netns add box; ip link set lo up
//! target/debug/unreachable /run/netns/box 10.9.8.0/24
//! ip -brief link; nft list ruleset; nsenter --net=/run/netns/box ip route
//! ```
//! Read: the book, chapter 6, from "A cable and a switch, by hand" to "The way out: forwarding and masquerade".

use std::fs::File;
use std::net::Ipv4Addr;
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
    let [netns, subnet] = &words[..] else { panic!("unreachable NETNS SUBNET") };
    let subnet: Ipv4Net = subnet.parse().expect("a subnet, as 10.9.8.0/24");
    let netns = File::open(netns).or_call("open", netns)?;
    connect(&netns, subnet)?;
    nft::apply("lab", &rules(subnet))
}

/// A bridge on the host, a cable from it into the namespace, and what belongs to its other end.
fn connect(netns: &File, subnet: Ipv4Net) -> Result<()> {
    let mut addresses = subnet.hosts();
    let (gateway, address) = (addresses.next().expect("one"), addresses.next().expect("two"));
    let of_subnet = |address: Ipv4Addr| Ipv4Net::new_assert(address, subnet.prefix_len()).into();
    let mut host = Netlink::open()?;
    host.add_bridge("switch", Mac::of(gateway).0, 1500)?;
    host.add_address("switch", of_subnet(gateway))?;
    host.set_up("switch")?;
    let far_end = VethPeer { name: "eth0", netns: netns.as_fd(), mac: Mac::of(address).0 };
    host.add_veth("cable", 1500, &far_end)?;
    host.set_master("cable", "switch")?;
    //@ starter
    //@ solution
    host.set_up("cable")?;
    //@ end
    netns::within(netns.as_fd(), || {
        let mut inside = Netlink::open()?;
        inside.set_up("lo")?;
        inside.add_address("eth0", of_subnet(address))?;
        //@ starter, wrong cable-only
        inside.set_up("eth0")
        //@ solution
        inside.set_up("eth0")?;
        inside.add_default_route(gateway.into())
        //@ end
        //@ starter, wrong cable-only, wrong no-router
    })
    //@ solution
    })?;
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").or_call("write", "ip_forward")
    //@ end
}

/// What leaves the host comes from the host, for all that others know.
fn rules(subnet: Ipv4Net) -> String {
    format!(
        //@ starter, wrong cable-only, wrong no-router, wrong inward
        r#"table inet lab {{
            chain postrouting {{
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr {subnet} oifname "switch" masquerade
            }}
        }}"#
        //@ solution
        r#"table inet lab {{
            chain postrouting {{
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr {subnet} oifname != "switch" masquerade
            }}
        }}"#
        //@ end
    )
}
