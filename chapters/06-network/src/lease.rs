//! What a container holds of the network, for as long as its process lives.

use std::net::{IpAddr, Ipv4Addr};

use namespaces::id;
use namespaces::running::start_time;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Mac, Port};

/// What a container holds of the network, for as long as its process lives: one file, `lease.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The container's id.
    pub container: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its host name.
    pub hostname: String,
    /// The first `--network`: `bridge`, `pasta` or `slirp4netns`, `none`, `host`, `container:…` or the name of one.
    pub network: String,
    /// Its places in networks, in the order in which they were asked for.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// Its published ports.
    pub ports: Vec<Port>,
    /// The process that keeps the lease: the engine at first, then the container's first process.
    pub pid: i32,
    /// When that process started, in clock ticks since boot (proc_pid_stat(5), field 22).
    pub start_time: u64,
}

impl Lease {
    /// A lease of this process on behalf of `container`.
    pub fn new(container: &str, hostname: &str, network: &str) -> Self {
        let mut lease = Self {
            container: container.to_owned(),
            name: String::new(),
            hostname: hostname.to_owned(),
            network: network.to_owned(),
            endpoints: Vec::new(),
            ports: Vec::new(),
            pid: 0,
            start_time: 0,
        };
        lease.keep_with(std::process::id().cast_signed());
        lease
    }

    /// From now on the lease lives as long as process `pid`.
    pub fn keep_with(&mut self, pid: i32) {
        self.pid = pid;
        self.start_time = start_time(pid).unwrap_or_default();
    }

    /// Is its process gone?
    pub fn is_stale(&self) -> bool {
        start_time(self.pid) != Some(self.start_time)
    }

    /// The first address that it has of its own.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.endpoints.iter().find_map(|endpoint| endpoint.address)
    }

    /// The first hardware address that it has of its own.
    pub fn mac(&self) -> Option<Mac> {
        self.endpoints.iter().find_map(|endpoint| endpoint.mac)
    }

    /// Its place in the network called `name`.
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.network == name)
    }

    /// Every address.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.endpoints.iter().flat_map(Endpoint::addresses).collect()
    }

    /// The names that mean it in the network of `endpoint`: its own, its aliases there, the short id, its host name.
    /// The first is the one that an address is turned back into.
    pub fn dns_names<'a>(&'a self, endpoint: &'a Endpoint) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        let aliases = endpoint.aliases.iter().map(String::as_str);
        let own = [self.name.as_str()].into_iter().chain(aliases).chain([id::short(&self.container), &self.hostname]);
        for name in own.filter(|name| !name.is_empty()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_names_each_once() {
        let mut lease = Lease::new(&"0123456789ab".repeat(5), "0123456789ab", "blue");
        lease.name = "web".into();
        let endpoint = Endpoint { aliases: vec!["www".into(), "web".into()], ..Endpoint::default() };
        assert_eq!(lease.dns_names(&endpoint), ["web", "www", "0123456789ab"]);
    }
}
