//! A service of the host's own 127.0.0.1: break it, then close the way.
//!
//! Many services listen on 127.0.0.1, ask for no password, and trust that only this host can call them. `localnet start
//! NETNS SUBNET HOST_PORT PORT` connects the network namespace in the file NETNS by a bridge `switch`, and publishes
//! its PORT as HOST_PORT, on 127.0.0.1 too. For that it switches `route_localnet` on.
//!
//! 1. **Break.** Write [`attack`]: a script of sh, run as root in the container's network, which prints what the host's
//!    HTTP service at 127.0.0.1:PORT answers to `/cgi-bin/who`. It may change the container's links, routes and rules
//!    as it likes; `ip`, `nft` and `busybox` are there.
//! 2. **Close.** Write [`guard`]: what is added to the rules of the host, so that nothing from the container reaches
//!    the host's 127.0.0.1. The published port must still answer on 127.0.0.1, and the container must still reach the
//!    services of the host on its other addresses.
//!
//! By hand, after `cargo build -p lab06`, in a host of your own:
//! ```text
//! unshare --map-root-user --net --mount --pid --fork --mount-proc sh
//! mount -t tmpfs none /run; ip netns add box; ip link set lo up
//! target/debug/localnet start /run/netns/box 10.9.8.0/24 8080 80
//! mkdir -p www/cgi-bin; printf '#!/bin/sh\necho; echo you are $REMOTE_ADDR\n' > www/cgi-bin/who
//! chmod +x www/cgi-bin/who
//! busybox httpd -p 127.0.0.1:7070 -h www
//! nsenter --net=/run/netns/box target/debug/localnet attack 10.9.8.1 7070
//! ```
//! Read: the book, chapter 6, "The way in: published ports" and "Break it"; `route_localnet` in ip-sysctl; nft(8),
//! "PRIORITY".

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode};

use ipnet::Ipv4Net;
use network::netlink::{Netlink, VethPeer};
use network::{Mac, netns, nft};
use process::{OrCall, Result};

fn main() -> ExitCode {
    run().map_or_else(|error| process::cli::report(&error), |()| ExitCode::SUCCESS)
}

fn run() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let port = |text: &str| text.parse().expect("a port");
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["start", netns, subnet, from, to] => {
            let netns = File::open(netns).or_call("open", netns)?;
            start(&netns, subnet.parse().expect("a subnet, as 10.9.8.0/24"), port(from), port(to))
        }
        ["attack", gateway, to] => {
            let script = attack(gateway.parse().expect("an address"), port(to));
            Command::new("sh").args(["-c", &script]).status().or_call("exec", "sh").map(drop)
        }
        _ => panic!("localnet start NETNS SUBNET HOST_PORT PORT | attack GATEWAY PORT"),
    }
}

/// A script that prints what the service at `port` of the host's 127.0.0.1 answers; `gateway` is the host.
fn attack(gateway: Ipv4Addr, port: u16) -> String {
    todo!("reach 127.0.0.1:{port} of the host, which is {gateway} for us")
}

/// Chains that stand in a table of the host, beside those of [`rules`].
fn guard() -> &'static str {
    ""
}

/// The network of the container, and the rules.
fn start(netns: &File, subnet: Ipv4Net, host_port: u16, port: u16) -> Result<()> {
    let mut addresses = subnet.hosts();
    let (gateway, address) = (addresses.next().expect("one"), addresses.next().expect("two"));
    let of_subnet = |address: Ipv4Addr| Ipv4Net::new_assert(address, subnet.prefix_len()).into();
    let mut host = Netlink::open()?;
    host.add_bridge("switch", Mac::of(gateway).0, 1500)?;
    host.add_address("switch", of_subnet(gateway))?;
    host.set_up("switch")?;
    host.add_veth("cable", 1500, &VethPeer { name: "eth0", netns: netns.as_fd(), mac: Mac::of(address).0 })?;
    host.set_master("cable", "switch")?;
    host.set_up("cable")?;
    for name in ["ip_forward", "conf/switch/route_localnet"] {
        fs::write(format!("/proc/sys/net/ipv4/{name}"), "1").or_call("write", name)?;
    }
    netns::within(netns.as_fd(), || {
        let mut inside = Netlink::open()?;
        inside.set_up("lo")?;
        inside.add_address("eth0", of_subnet(address))?;
        inside.set_up("eth0")?;
        inside.add_default_route(gateway.into())
    })?;
    let rules = rules(host_port, SocketAddrV4::new(address, port));
    nft::apply("lab", &format!("table inet lab {{\n{rules}\n{}\n}}\n", guard()))
}

/// Calls to `host_port` of this host lead to the container, those from 127.0.0.1 with another source.
fn rules(host_port: u16, to: SocketAddrV4) -> String {
    format!(
        r#"
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
        }}"#
    )
}
