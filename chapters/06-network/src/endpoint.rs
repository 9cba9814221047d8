//! Where a container and a network meet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::Mac;

/// A container's place in one network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Endpoint {
    /// The network's name; that of a [carrier](crate::carrier) where an ordinary user's container has one to itself.
    pub network: String,
    /// 64 hexadecimal digits.
    #[serde(default)]
    pub id: String,
    /// The host's end of its cable, if it has one: deleted with the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The link inside the container: `eth0`, `eth1` …
    pub interface: String,
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// Its IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address6: Option<Ipv6Addr>,
    /// Its hardware address, if it has one of its own.
    pub mac: Option<Mac>,
    /// Other names by which it is known in this network.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The container's packets to the world go this way: at most one endpoint of a container has this.
    #[serde(default)]
    pub gateway: bool,
    /// The same for IPv6.
    #[serde(default)]
    pub gateway6: bool,
    /// Of several endpoints the one with the highest is the way out; of equals the first.
    #[serde(default)]
    pub gateway_priority: i64,
    /// Somebody who holds the lock is making it, or taking it away (see [`connect`](crate::connect)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub half: bool,
}

impl Endpoint {
    /// Its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.address.map(IpAddr::V4).into_iter().chain(self.address6.map(IpAddr::V6))
    }
}

/// What a person may ask of an endpoint: `--ip`, `--alias` and the long form of `--network`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointOptions {
    /// Other names by which the container is known in the network.
    pub aliases: Vec<String>,
    /// This address.
    pub ip: Option<Ipv4Addr>,
    /// This IPv6 address.
    pub ip6: Option<Ipv6Addr>,
    /// This hardware address.
    pub mac: Option<Mac>,
    /// The link's name inside.
    pub interface: Option<String>,
    /// Of several networks the one with the highest is the way out; of equals the first.
    pub gateway_priority: i64,
}
