//! Who has which name in the networks of one container.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::is_named;
use super::message::{Answer, Question};
use crate::drivers::peers;
use crate::{Lease, Network, state};

/// The leases as they were read last, each with the file that it was read from.
pub struct Directory {
    run: PathBuf,
    container: String,
    read: HashMap<PathBuf, (Stamp, Lease)>,
    turn: usize,
}

/// A file that is replaced by rename is another one: inode, and when it was changed, in seconds and nanoseconds.
type Stamp = (u64, i64, i64);

impl Directory {
    /// What the container with the id `container` may know of the engine whose state lies in `run`.
    pub fn new(run: &Path, container: &str) -> Self {
        Self { run: run.to_owned(), container: container.to_owned(), read: HashMap::new(), turn: 0 }
    }

    /// What there is to say to the question; none if it is none of ours and others have to be asked.
    pub fn answer(&mut self, question: &Question) -> Option<Answer> {
        self.refresh();
        let leases: Vec<_> = self.read.values().map(|(_, lease)| lease).collect();
        let asker = leases.iter().find(|lease| lease.container == self.container)?;
        let all = state::peek_networks(&self.run);
        let networks: Vec<_> = all.into_iter().filter(|network| shares(asker, network)).collect();
        if let Some(address) = question.address {
            let ours = networks.iter().any(|network| network.subnets().iter().any(|(net, _)| net.contains(&address)));
            let names = names_of(&leases, &networks, &self.run, address);
            return match names.is_empty() {
                false => Some(Answer::Found(question.names(names))),
                // The world knows nothing of our addresses, and need not learn that they are asked for.
                true => ours.then_some(Answer::NoName),
            };
        }
        let mut addresses = addresses_of(&leases, &networks, &self.run, &question.name);
        if addresses.is_empty() {
            return None;
        }
        // In turn, so that callers spread.
        addresses.sort_unstable();
        addresses.dedup();
        self.turn = self.turn.wrapping_add(1);
        let mut records = question.addresses(addresses);
        let first = self.turn % records.len().max(1);
        records.rotate_left(first);
        Some(Answer::Found(records))
    }

    /// May the world be asked? Not by a container that has no way out: its questions would be one.
    pub fn may_ask_others(&self) -> bool {
        let mut leases = self.read.values().map(|(_, lease)| lease);
        let asker = leases.find(|lease| lease.container == self.container);
        asker.is_some_and(|lease| lease.endpoints.iter().any(|endpoint| endpoint.gateway || endpoint.gateway6))
    }

    /// Reads what has changed.
    fn refresh(&mut self) {
        let entries = fs::read_dir(self.run.join("network/containers")).into_iter().flatten().flatten();
        let mut read = HashMap::new();
        for path in entries.map(|entry| entry.path().join("lease.json")) {
            let Ok(about) = fs::metadata(&path) else { continue };
            let stamp = (about.ino(), about.mtime(), about.mtime_nsec());
            let known = self.read.remove(&path).filter(|(known, _)| *known == stamp).map(|(_, lease)| lease);
            let lease = known.or_else(|| serde_json::from_slice(&fs::read(&path).ok()?).ok());
            read.extend(lease.map(|lease| (path, (stamp, lease))));
        }
        self.read = read;
    }
}

/// Is the container in it, and do its containers have names there?
fn shares(lease: &Lease, network: &Network) -> bool {
    lease.endpoint(&network.name).is_some_and(|endpoint| is_named(endpoint) && !endpoint.half)
}

/// The addresses behind `name`, which may be followed by the network's.
fn addresses_of(leases: &[&Lease], networks: &[Network], run: &Path, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for network in networks {
        let suffix = format!(".{}", network.name.to_ascii_lowercase());
        let plain = name.strip_suffix(&suffix).unwrap_or(name);
        let is_it = |own: &str| own.eq_ignore_ascii_case(name) || own.eq_ignore_ascii_case(plain);
        for lease in leases {
            let Some(endpoint) = lease.endpoint(&network.name).filter(|endpoint| !endpoint.half) else { continue };
            if lease.dns_names(endpoint).into_iter().any(is_it) && !lease.is_stale() {
                found.extend(endpoint.addresses());
            }
        }
        let remotes = peers::known(run, network).into_iter().filter(|remote| remote.names().any(is_it));
        found.extend(remotes.flat_map(|remote| remote.addresses().collect::<Vec<_>>()));
    }
    found
}

/// The names behind `address`, each with the network's, as Docker tells them.
fn names_of(leases: &[&Lease], networks: &[Network], run: &Path, address: IpAddr) -> Vec<String> {
    let mut found = Vec::new();
    for network in networks {
        for lease in leases {
            let Some(endpoint) = lease.endpoint(&network.name).filter(|endpoint| !endpoint.half) else { continue };
            if endpoint.addresses().any(|own| own == address) && !lease.is_stale() {
                let name = lease.dns_names(endpoint).first().map(|name| format!("{name}.{}", network.name));
                found.extend(name);
            }
        }
        let remotes = peers::known(run, network).into_iter();
        let named = remotes.filter(|remote| remote.addresses().any(|own| own == address));
        found.extend(named.map(|remote| format!("{}.{}", remote.name, network.name)));
    }
    found
}
