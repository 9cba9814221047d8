//! `network ls` and `network inspect`: what the recorded state says.

use std::process::ExitCode;

use clap::Subcommand;
use process::{Error, Result};
use rootfs::dirs;

use crate::bridge::sweep;
use crate::state::{Lease, State};
use crate::{Mode, Names, Network};

/// Commands about networks.
#[derive(Debug, Clone, Subcommand)]
pub enum NetworkCommand {
    /// List the networks, and how many containers each has
    Ls,
    /// Show a network's subnet, its containers, their addresses and ports, as JSON
    Inspect {
        /// bridge, none or host
        #[arg(default_value = Network::DEFAULT)]
        network: Mode,
    },
}

/// Removes what containers have left that are gone: links, addresses, rules.
///
/// # Errors
/// As netlink(7), nft(8), unlink(2).
pub fn sweep_gone() -> Result<()> {
    let names = Names::of(&dirs().run);
    sweep(&State::lock(&dirs().run)?, &names).map(drop)
}

impl NetworkCommand {
    /// Prints what was asked for.
    ///
    /// # Errors
    /// As reading the state.
    pub fn run(&self) -> Result<ExitCode> {
        let state = State::lock(&dirs().run)?;
        let leases = sweep(&state, &Names::of(&dirs().run))?;
        match self {
            Self::Ls => list(state.network().as_ref(), &leases),
            Self::Inspect { network } => inspect(network, state.network().as_ref(), &leases)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The leases that belong to the network called `name`; an ordinary user's bridge is pasta.
fn of<'a>(name: &'a str, leases: &'a [Lease]) -> impl Iterator<Item = &'a Lease> {
    leases.iter().filter(move |lease| lease.network == name || (name == Network::DEFAULT && lease.network == "pasta"))
}

fn list(network: Option<&Network>, leases: &[Lease]) {
    println!("{:<10} {:<18} {:<16} CONTAINERS", "NAME", "SUBNET", "LINK");
    for name in [Network::DEFAULT, "host", "none"] {
        let network = network.filter(|network| network.name == name);
        let subnet = network.map_or("-".to_owned(), |network| network.subnet.to_string());
        let link = network.map_or("-", |network| network.bridge.as_str());
        println!("{name:<10} {subnet:<18} {link:<16} {}", of(name, leases).count());
    }
}

fn inspect(mode: &Mode, network: Option<&Network>, leases: &[Lease]) -> Result<()> {
    let name = mode.to_string();
    let value = serde_json::json!({
        "name": name,
        "network": network.filter(|network| network.name == name),
        "containers": of(&name, leases).collect::<Vec<_>>(),
    });
    let text =
        serde_json::to_string_pretty(&value).map_err(|error| Error::invalid(format!("network {name}: {error}")))?;
    println!("{text}");
    Ok(())
}
