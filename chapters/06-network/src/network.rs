//! What a network is: a name, a bridge, a subnet and its gateway.
//!
//! The default network is one instance. Networks that the user defines will be others: everything
//! that takes a [`Network`] or a list of them is written for that.

use std::net::Ipv4Addr;
use std::path::Path;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// A network that containers of this host share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name; `bridge` is the default network's.
    pub name: String,
    /// The bridge link that is its switch.
    pub bridge: String,
    /// The addresses it hands out.
    pub subnet: Ipv4Net,
    /// The bridge's own address: the containers' way out.
    pub gateway: Ipv4Addr,
}

impl Network {
    /// The name of the default network.
    pub const DEFAULT: &str = "bridge";

    /// The default network on `subnet`; the gateway has the subnet's first address.
    pub fn default_on(subnet: Ipv4Net, names: &Names) -> Self {
        let gateway = subnet.hosts().next().unwrap_or(subnet.addr());
        Self { name: Self::DEFAULT.into(), bridge: names.bridge.clone(), subnet, gateway }
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
        // FNV-1a, short and the same in every build.
        let hash = run
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        Self { bridge: format!("cooper-{hash:08x}"), table: format!("cooper_{hash:08x}") }
    }
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
    }
}
