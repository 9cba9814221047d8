//! Who is where in a network across hosts.
//!
//! Whatever knows it, a key-value store or an orchestrator or a person, says so in one JSON document, the same for all
//! hosts:
//! ```json
//! {"peers": [{"host": "192.0.2.7", "containers": [
//!   {"name": "web", "address": "10.9.0.5", "aliases": ["www"], "mac": "02:42:0a:09:00:05", "address6": "fd00::5"}]}]}
//! ```
//! `host` is the address from which that host's VXLAN packets come. `mac` is only needed where the container was given
//! one of its own, `aliases` and `address6` where it has any. Other fields are for others. What `network inspect` shows
//! of a network is what a host has to add to the document.
//!
//! What was read last is kept beneath `run/network/peers`, so that names and addresses of other hosts are known without
//! asking anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use process::{Error, Kind, OrCall, Result};
use serde::{Deserialize, Serialize};

use crate::netlink::Neighbour;
use crate::{Driver, Lease, Mac, Network, attachment};

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// Each host of the network.
    pub peers: Vec<Peer>,
}

/// A host and its containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Where its VXLAN packets come from.
    pub host: IpAddr,
    /// Its containers in this network.
    #[serde(default)]
    pub containers: Vec<Remote>,
}

/// A container of another host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address6: Option<Ipv6Addr>,
    /// Its hardware address, if it is not the one that [belongs](Mac::of) to its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Its other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

impl Remote {
    /// Its names, its own first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [self.name.as_str()].into_iter().chain(self.aliases.iter().map(String::as_str))
    }

    /// Its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        [IpAddr::V4(self.address)].into_iter().chain(self.address6.map(IpAddr::V6))
    }
}

impl Peers {
    /// Reads the document of `network`.
    ///
    /// # Errors
    /// [`Kind::Corrupt`]: no such document, an address outside of the network, one that two containers have, a name
    /// that is none.
    pub fn parse(bytes: &[u8], network: &Network) -> Result<Self> {
        let corrupt = |why: String| Error::new(Kind::Corrupt, format!("peers of network {}: {why}", network.name));
        let peers: Self = serde_json::from_slice(bytes).map_err(|error| {
            corrupt(error.to_string())
                .help(r#"the form is {"peers": [{"host": IP, "containers": [{"name": NAME, "address": IP}]}]}"#)
        })?;
        let mut owners = BTreeMap::new();
        for remote in peers.remotes() {
            let Remote { name, address, address6, .. } = remote;
            remote
                .names()
                .try_for_each(|name| attachment::alias(name).map(drop))
                .map_err(|error| corrupt(error.what().into()))?;
            let outside6 = address6.filter(|address| network.subnet6.is_none_or(|subnet| !subnet.contains(address)));
            let outside = (!network.subnet.contains(address)).then_some(IpAddr::V4(*address));
            if let Some(address) = outside.or(outside6.map(IpAddr::V6)) {
                return Err(corrupt(format!("{name} has {address}, which is not one of the network")));
            }
            for address in remote.addresses() {
                if address == IpAddr::V4(network.gateway) {
                    return Err(corrupt(format!("{name} has {address}, which is the gateway's")));
                }
                if let Some(other) = owners.insert(address, name) {
                    return Err(corrupt(format!("{other} and {name} both have {address}")));
                }
            }
        }
        Ok(peers)
    }

    /// The others: all but the host with this address.
    pub fn without(mut self, local: IpAddr) -> Self {
        self.peers.retain(|peer| peer.host != local);
        self
    }

    /// What the VXLAN link has to be told.
    pub fn neighbours(&self) -> BTreeSet<Neighbour> {
        let mut all = BTreeSet::new();
        for peer in &self.peers {
            for remote in &peer.containers {
                let mac = remote.mac.unwrap_or(Mac::of(remote.address));
                all.insert(Neighbour::Forward(mac, peer.host));
                all.extend(remote.addresses().map(|address| Neighbour::Resolve(address, mac)));
            }
        }
        all
    }

    /// All containers.
    pub fn into_remotes(self) -> impl Iterator<Item = Remote> {
        self.peers.into_iter().flat_map(|peer| peer.containers)
    }

    fn remotes(&self) -> impl Iterator<Item = &Remote> {
        self.peers.iter().flat_map(|peer| &peer.containers)
    }

    /// What this host, whose address is `local`, has to tell the others of its own containers in `network`.
    pub fn own(network: &Network, leases: &[Lease], local: IpAddr) -> Self {
        let containers = leases.iter().filter_map(|lease| {
            let endpoint = lease.endpoint(&network.name)?;
            let name = if lease.name.is_empty() { &lease.hostname } else { &lease.name };
            Some(Remote {
                name: name.clone(),
                address: endpoint.address?,
                address6: endpoint.address6,
                mac: endpoint.mac,
                aliases: endpoint.aliases.clone(),
            })
        });
        Self { peers: vec![Peer { host: local, containers: containers.collect() }] }
    }
}

/// The containers of other hosts, as they were known last; none for a network of another driver.
pub fn known(run: &Path, network: &Network) -> Vec<Remote> {
    load(run, network).into_iter().flat_map(Peers::into_remotes).collect()
}

/// What was read last.
pub(super) fn load(run: &Path, network: &Network) -> Option<Peers> {
    if network.driver != Driver::Vxlan {
        return None;
    }
    serde_json::from_slice(&fs::read(file(run, network)).ok()?).ok()
}

/// Keeps it. Whoever calls has the lock of the state.
pub(super) fn keep(run: &Path, network: &Network, peers: &Peers) -> Result<()> {
    let path = file(run, network);
    let bytes = serde_json::to_vec(peers).map_err(|error| Error::invalid(error.to_string()))?;
    let temporary = path.with_extension("new");
    fs::create_dir_all(directory(run)).or_call("mkdir", directory(run).display())?;
    fs::write(&temporary, bytes).or_call("write", temporary.display())?;
    fs::rename(&temporary, &path).or_call("rename", path.display())
}

/// Forgets it.
pub(super) fn forget(run: &Path, network: &Network) -> Result<()> {
    let path = file(run, network);
    // Without the lock's file the process that follows ends.
    for path in [path.with_extension("new"), path.with_extension("lock"), path] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("unlink", path.display(), &error));
            }
            _ => {}
        }
    }
    let _ = fs::remove_dir(directory(run)); // others may have theirs in it
    Ok(())
}

pub(super) fn directory(run: &Path) -> PathBuf {
    run.join("network/peers")
}

pub(super) fn file(run: &Path, network: &Network) -> PathBuf {
    directory(run).join(format!("{}.json", network.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        Network::new("ab".repeat(32), "blue".into(), Driver::Vxlan, "10.9.0.0/24".parse().unwrap())
    }

    const DOCUMENT: &str = r#"{"version": 7, "peers": [
        {"host": "192.0.2.7", "containers": [{"name": "web", "address": "10.9.0.5", "aliases": ["www"], "image": "x"}]},
        {"host": "192.0.2.8", "containers": [{"name": "db", "address": "10.9.0.6", "mac": "02:00:00:00:00:01"}]},
        {"host": "192.0.2.9"}]}"#;

    #[test]
    fn a_document() {
        let peers = Peers::parse(DOCUMENT.as_bytes(), &network()).unwrap();
        let others = peers.clone().without("192.0.2.8".parse().unwrap());
        let mac = Mac::of([10, 9, 0, 5].into());
        let wanted = [
            Neighbour::Forward(mac, "192.0.2.7".parse().unwrap()),
            Neighbour::Resolve("10.9.0.5".parse().unwrap(), mac),
        ];
        assert_eq!(others.neighbours().into_iter().collect::<Vec<_>>(), wanted);
        let run = tempfile::tempdir().unwrap();
        keep(run.path(), &network(), &others).unwrap();
        let known = known(run.path(), &network());
        assert_eq!(known[0].names().collect::<Vec<_>>(), ["web", "www"]);
        forget(run.path(), &network()).unwrap();
        forget(run.path(), &network()).unwrap();
        assert!(!run.path().join("network/peers").exists());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("{", "EOF"),
            ("[1]", "invalid"),
            (r#"{"peers":[{"host":"h"}]}"#, "invalid IP address"),
            (r#"{"peers":[{"host":"192.0.2.7","containers":[{"name":"a b","address":"10.9.0.5"}]}]}"#, "no host name"),
            (r#"{"peers":[{"host":"192.0.2.7","containers":[{"name":"a","address":"10.8.0.5"}]}]}"#, "not one of"),
            (r#"{"peers":[{"host":"192.0.2.7","containers":[{"name":"a","address":"10.9.0.1"}]}]}"#, "the gateway's"),
            (
                r#"{"peers":[{"host":"192.0.2.7","containers":[{"name":"a","address":"10.9.0.5"},{"name":"b","address":"10.9.0.5"}]}]}"#,
                "a and b both have 10.9.0.5",
            ),
        ];
        for (text, why) in table {
            let error = Peers::parse(text.as_bytes(), &network()).unwrap_err();
            assert!(error.what().contains(why), "{text}: {error}");
        }
        let deep = "[".repeat(10_000);
        assert!(Peers::parse(deep.as_bytes(), &network()).is_err());
    }

    #[test]
    fn what_this_host_tells() {
        let mut lease = Lease::new("abc", "h", "blue");
        lease.name = "web".into();
        let address = Some([10, 9, 0, 5].into());
        lease.endpoints = vec![crate::Endpoint { network: "blue".into(), address, ..Default::default() }];
        let own = Peers::own(&network(), &[lease, Lease::new("def", "other", "red")], "192.0.2.7".parse().unwrap());
        let text = serde_json::to_string(&own).unwrap();
        assert_eq!(text, r#"{"peers":[{"host":"192.0.2.7","containers":[{"name":"web","address":"10.9.0.5"}]}]}"#);
    }
}
