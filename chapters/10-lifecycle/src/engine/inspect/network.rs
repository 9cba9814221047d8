//! `NetworkSettings`: what the container has of the network while it runs.

use std::path::PathBuf;

use network::state::peek_networks;
use network::{Endpoint, EndpointOptions, Lease, Network};
use rootfs::dirs;
use serde_json::{Map, Value, json};

use crate::engine::container::Kept;
use crate::engine::networks;
use crate::engine::ports::{inside, lease};

/// Where its files of /etc lie.
pub fn files(kept: &Kept) -> PathBuf {
    dirs().run.join("network/containers").join(kept.id())
}

/// All of it; empty texts for what it does not have, as Docker does.
pub fn describe(kept: &Kept) -> Value {
    let lease = lease(kept);
    let networks = joined(kept, lease.as_ref());
    // Old clients look for the default network's here, and for no other.
    let empty = place(None, None, &EndpointOptions::default());
    let default = networks.get(Network::DEFAULT).unwrap_or(&empty);
    let pid = kept.state.pid;
    json!({
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": if kept.is_alive() { format!("/proc/{pid}/ns/net") } else { String::new() },
        "Ports": ports(kept, lease.as_ref()),
        "IPAddress": default["IPAddress"],
        "IPPrefixLen": default["IPPrefixLen"],
        "Gateway": default["Gateway"],
        "MacAddress": default["MacAddress"],
        "GlobalIPv6Address": default["GlobalIPv6Address"],
        "GlobalIPv6PrefixLen": default["GlobalIPv6PrefixLen"],
        "IPv6Gateway": default["IPv6Gateway"],
        "Networks": networks,
    })
}

/// Its places in networks: those that it has while it runs, or those that it will have.
fn joined(kept: &Kept, lease: Option<&Lease>) -> Map<String, Value> {
    let wanted = networks::places(kept).unwrap_or_default();
    let asked = |name: &str| {
        let found = wanted.iter().find(|place| place.mode.to_string() == name);
        found.map(|place| place.options.clone()).unwrap_or_default()
    };
    let known = peek_networks(&dirs().run);
    let mut all = Map::new();
    for endpoint in lease.map(|lease| lease.endpoints.as_slice()).unwrap_or_default() {
        let network = known.iter().find(|network| network.name == endpoint.network);
        all.insert(endpoint.network.clone(), place(network, Some(endpoint), &asked(&endpoint.network)));
    }
    if all.is_empty() {
        let names = match lease {
            Some(lease) => vec![lease.network.clone()],
            None => wanted.iter().map(|place| place.mode.to_string()).collect(),
        };
        let pairs = names.into_iter().map(|name| {
            let network = known.iter().find(|network| network.name == name);
            let asked = asked(&name);
            (name, place(network, None, &asked))
        });
        all.extend(pairs);
    }
    all
}

/// One entry of `Networks`.
fn place(network: Option<&Network>, endpoint: Option<&Endpoint>, asked: &EndpointOptions) -> Value {
    let text = |value: Option<String>| value.unwrap_or_default();
    let address = endpoint.and_then(|endpoint| endpoint.address);
    let address6 = endpoint.and_then(|endpoint| endpoint.address6);
    let with4 = network.filter(|network| address.is_some() && !network.internal);
    let with6 = network.filter(|network| address6.is_some() && !network.internal);
    let prefix = network.filter(|_| address.is_some()).map_or(0, |network| network.subnet.prefix_len());
    let prefix6 = network.filter(|_| address6.is_some()).and_then(|network| network.subnet6);
    let aliases = endpoint.map_or(&asked.aliases, |endpoint| &endpoint.aliases);
    let ip = |value: Option<String>| value.map_or(Value::Null, Value::String);
    let ipam = match (asked.ip, asked.ip6) {
        (None, None) => Value::Null,
        (ip4, ip6) => {
            json!({ "IPv4Address": ip(ip4.map(|ip| ip.to_string())), "IPv6Address": ip(ip6.map(|ip| ip.to_string())) })
        }
    };
    json!({
        "IPAMConfig": ipam,
        "Links": Value::Null,
        "Aliases": if aliases.is_empty() { Value::Null } else { json!(aliases) },
        "MacAddress": text(endpoint.and_then(|endpoint| Some(endpoint.mac?.to_string()))),
        "DriverOpts": Value::Null,
        "GwPriority": asked.gateway_priority,
        "NetworkID": text(network.map(|network| network.id.clone())),
        "EndpointID": text(endpoint.map(|endpoint| endpoint.id.clone())),
        "Gateway": text(with4.map(|network| network.gateway.to_string())),
        "IPAddress": text(address.map(|address| address.to_string())),
        "IPPrefixLen": prefix,
        "IPv6Gateway": text(with6.and_then(|network| Some(network.gateway6?.to_string()))),
        "GlobalIPv6Address": text(address6.map(|address| address.to_string())),
        "GlobalIPv6PrefixLen": prefix6.map_or(0, |subnet| subnet.prefix_len()),
    })
}

/// `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "443/tcp": null}`
fn ports(kept: &Kept, lease: Option<&Lease>) -> Value {
    let mut all: Map<String, Value> = Map::new();
    let Some(lease) = lease else { return all.into() };
    let exposed = kept.options().map(|options| options.exposed).unwrap_or_default();
    all.extend(exposed.into_iter().map(|port| (port, Value::Null)));
    for port in &lease.ports {
        let binding = json!({ "HostIp": port.host_ip.to_string(), "HostPort": port.host_port.to_string() });
        match all.entry(inside(port)).or_insert(Value::Null) {
            Value::Array(bindings) => bindings.push(binding),
            other => *other = json!([binding]),
        }
    }
    all.into()
}
