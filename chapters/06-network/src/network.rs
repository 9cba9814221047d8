//! What a network is: a name, a driver, a link, subnets and their gateways.
//!
//! The default network is one instance, made by the first container and gone with the last. The others are made by
//! `network create` and stay until `network rm`; their links, too, are there only while a container is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::Driver;

/// A network that containers of this host share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name; `bridge` is the default network's.
    pub name: String,
    /// What it is made of.
    pub driver: Driver,
    /// The link on the host that stands for it: the bridge of a [bridged](Driver::is_bridged) network, and what a driver
    /// makes otherwise. At most 15 bytes.
    pub link: String,
    /// The addresses it hands out.
    pub subnet: Ipv4Net,
    /// The containers' way out: the bridge's own address, or that of a router on the parent's wire.
    pub gateway: Ipv4Addr,
    /// The part of the subnet from which addresses are handed out; else all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<Ipv4Net>,
    /// The IPv6 addresses it hands out, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet6: Option<Ipv6Net>,
    /// The way out for IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway6: Option<Ipv6Addr>,
    /// Addresses that others have, by their names (`--aux-address`): never handed out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<String, IpAddr>,
    /// No way out, and none in.
    #[serde(default)]
    pub internal: bool,
    /// The largest packet, in bytes; else what the host's way out carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// `-o KEY=VALUE`, as given.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// `--label KEY=VALUE`
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// When it was made, in seconds since 1970.
    #[serde(default)]
    pub created: u64,
}

impl Network {
    /// The name of the default network.
    pub const DEFAULT: &str = "bridge";
    /// The option that has packets leave with the containers' own addresses, as Docker calls it.
    pub const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";

    /// The option that keeps the containers from each other, as Docker calls it.
    pub const ICC: &str = "com.docker.network.bridge.enable_icc";

    /// The default network on `subnet`; the gateway has the subnet's first address.
    pub fn default_on(subnet: Ipv4Net, names: &Names) -> Self {
        let (name, link) = (Self::DEFAULT.to_owned(), names.bridge.clone());
        Self { link, ..Self::new(names.id(&name), name, Driver::Bridge, subnet) }
    }

    /// A network of `driver` on `subnet` and nothing more; the gateway has the subnet's first address.
    pub fn new(id: String, name: String, driver: Driver, subnet: Ipv4Net) -> Self {
        let gateway = subnet.hosts().next().unwrap_or(subnet.addr());
        // Ids are drawn at random, so two engines on one host do not meet.
        let link = format!("br-{}", id.get(..12).unwrap_or(&id));
        Self {
            id,
            name,
            driver,
            link,
            subnet,
            gateway,
            ip_range: None,
            subnet6: None,
            gateway6: None,
            reserved: BTreeMap::new(),
            internal: false,
            mtu: None,
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        }
    }

    /// May its containers call each other? They may unless an option says otherwise.
    pub fn is_open_inside(&self) -> bool {
        self.options.get(Self::ICC).is_none_or(|value| value != "false")
    }

    /// Do its packets leave with this host's address? They do unless an option says otherwise.
    pub fn masquerades(&self) -> bool {
        self.options.get(Self::MASQUERADE).is_none_or(|value| value != "false")
    }

    /// Is it the one that nobody made by name?
    pub fn is_default(&self) -> bool {
        self.name == Self::DEFAULT
    }

    /// An address of it with the length of its prefix.
    pub fn with_prefix(&self, address: Ipv4Addr) -> IpNet {
        IpNet::V4(Ipv4Net::new_assert(address, self.subnet.prefix_len()))
    }

    /// An IPv6 address of it with the length of its prefix.
    pub fn with_prefix6(&self, address: Ipv6Addr) -> IpNet {
        let length = self.subnet6.map_or(128, |subnet| subnet.prefix_len());
        IpNet::V6(Ipv6Net::new_assert(address, length))
    }

    /// Its subnets with their gateways.
    pub fn subnets(&self) -> Vec<(IpNet, IpAddr)> {
        let second = self.subnet6.zip(self.gateway6).map(|(subnet, gateway)| (subnet.into(), gateway.into()));
        [(self.subnet.into(), self.gateway.into())].into_iter().chain(second).collect()
    }
}

/// What the engine's own things are called in the host's network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The default network's bridge, at most 15 bytes.
    pub bridge: String,
    /// The nft table.
    pub table: String,
}

impl Names {
    /// The names that belong to the engine whose state lies in `run`.
    ///
    /// Two engines with state of their own (`COOPER_RUN`) must not clear away each other's links and
    /// rules, so only the system's has the plain names.
    pub fn of(run: &Path) -> Self {
        if run == Path::new("/run/cooper") {
            return Self { bridge: "cooper0".into(), table: "cooper".into() };
        }
        let hash = fnv(run.as_os_str().as_encoded_bytes());
        Self { bridge: format!("cooper-{hash:08x}"), table: format!("cooper_{hash:08x}") }
    }

    /// The id of a network that was not made by anybody, and so was not given one: always the same 64 digits.
    pub fn id(&self, name: &str) -> String {
        (0..8).map(|part| format!("{:08x}", fnv(format!("{part} {name} {}", self.table).as_bytes()))).collect()
    }
}

/// FNV-1a, short and the same in every build.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        assert_eq!(Names::of(Path::new("/run/cooper")).bridge, "cooper0");
        let (one, two) = (Names::of(Path::new("/tmp/one")), Names::of(Path::new("/tmp/two")));
        assert_ne!(one, two);
        assert!(one.bridge.len() <= 15, "IFNAMSIZ");
        assert_ne!(one.id("host"), one.id("none"));
        assert_ne!(one.id("host"), two.id("host"));
        assert_eq!(one.id("host").len(), 64);
        let blue = Network::new("f".repeat(64), "blue".into(), Driver::Bridge, "10.9.0.0/24".parse().unwrap());
        assert_eq!((blue.link.len(), blue.gateway), (15, Ipv4Addr::new(10, 9, 0, 1)));
    }
}
