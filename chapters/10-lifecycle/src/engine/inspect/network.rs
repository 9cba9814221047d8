//! `NetworkSettings`: what the container has of the network while it runs.

use std::path::PathBuf;

use network::Lease;
use network::state::State;
use rootfs::dirs;
use serde_json::{Map, Value, json};

use crate::engine::container::Kept;
use crate::engine::ports::{inside, lease, network};

/// Where its files of /etc lie.
pub fn files(kept: &Kept) -> PathBuf {
    dirs().run.join("network/containers").join(kept.id())
}

/// All of it; empty texts for what it does not have, as Docker does.
pub fn describe(kept: &Kept) -> Value {
    let lease = lease(kept);
    let bridge = lease.as_ref().filter(|lease| lease.address.is_some() && lease.network == "bridge");
    let subnet = bridge.and_then(|_| State::lock(&dirs().run).ok()?.network());
    let text = |value: Option<String>| value.unwrap_or_default();
    let address = text(lease.as_ref().and_then(|lease| Some(lease.address?.to_string())));
    let mac = text(lease.as_ref().and_then(|lease| Some(lease.mac?.to_string())));
    let gateway = text(subnet.as_ref().map(|network| network.gateway.to_string()));
    let prefix = subnet.as_ref().map_or(0, |network| network.subnet.prefix_len());
    let joined = json!({
        "IPAddress": address, "IPPrefixLen": prefix, "Gateway": gateway, "MacAddress": mac,
        "NetworkID": text(subnet.map(|network| network.bridge)), "EndpointID": "", "Aliases": Value::Null,
        "Links": Value::Null, "IPAMConfig": Value::Null, "DriverOpts": Value::Null,
        "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
    });
    let pid = kept.state.pid;
    json!({
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": if kept.is_alive() { format!("/proc/{pid}/ns/net") } else { String::new() },
        "Ports": ports(kept, lease.as_ref()),
        "IPAddress": address,
        "IPPrefixLen": prefix,
        "Gateway": gateway,
        "MacAddress": mac,
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPv6Gateway": "",
        "Networks": { network(kept): joined },
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
