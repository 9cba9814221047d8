//! The drivers besides `bridge`: links on a parent's wire, and a network across hosts.
//!
//! | module | driver | options (`network create -o KEY=VALUE`) |
//! |---|---|---|
//! | [`macvlan`] | each container has a hardware address of its own on the parent's wire | `parent`, `macvlan_mode` |
//! | [`ipvlan`] | each has an address of its own behind the parent's hardware address | `parent`, `ipvlan_mode`, `ipvlan_flag` |
//! | [`vxlan`] | a bridge whose wire goes on to other hosts | `peers`, `id`, `local`, `port` |
//!
//! Each has the four functions of [`plug`](crate::plug), which calls them. Besides:
//! - [`peers`]: who is where, read from a file or an HTTP address. [`peers::known`] gives the containers of other hosts
//!   to the name server, with names and addresses, without a lock and without asking anybody.
//! - [`follow`]: a process for each such network that reads the source again every two seconds, for as long as a
//!   container is in the network.

pub mod follow;
mod http;
pub mod ipvlan;
pub mod macvlan;
mod parent;
pub mod peers;
mod source;
pub mod vxlan;

use process::{Error, Result};

use crate::Network;

/// The option `key` of a network, as one of `table`; the first of it if not given.
fn choice<T: Copy>(network: &Network, key: &str, table: &[(&str, T)]) -> Result<T> {
    let Some(value) = network.options.get(key) else { return Ok(table[0].1) };
    let found = table.iter().find(|(name, _)| name == value).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
        Error::invalid(format!("option {key}={value} of network {}", network.name))
            .help(format!("{key} is {}", names.join(", ")))
    })
}

/// Refuses an option that the driver does not know: misspelt, it would do nothing.
fn known_options(network: &Network, known: &[&str]) -> Result<()> {
    // `mtu` is every driver's. Those of other engines have dots; who moves from there keeps them.
    let unknown = |key: &&String| !known.contains(&key.as_str()) && *key != "mtu" && !key.contains('.');
    match network.options.keys().find(unknown) {
        Some(key) => Err(Error::invalid(format!("driver {} has no option {key}", network.driver))
            .help(format!("its options are {}", known.join(", ")))),
        None => Ok(()),
    }
}
