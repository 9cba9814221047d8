//! `network connect` and `network disconnect`, on containers that run.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;

use clap::Args;
use namespaces::running;
use process::{Error, Kind, Result};

use super::open;
use crate::{EndpointOptions, Mac, Network, attachment, connect};

/// The arguments of `network connect`.
#[derive(Debug, Clone, Args)]
pub struct ConnectArgs {
    /// Be known by this name, too, in the network
    #[arg(long, value_name = "NAME", value_parser = attachment::alias)]
    pub alias: Vec<String>,
    /// Take this address of the network
    #[arg(long, value_name = "IPV4")]
    pub ip: Option<Ipv4Addr>,
    /// Take this IPv6 address of the network
    #[arg(long, value_name = "IPV6")]
    pub ip6: Option<Ipv6Addr>,
    /// Take this hardware address
    #[arg(long, value_name = "MAC")]
    pub mac_address: Option<Mac>,
    /// Of several networks the one with the highest is the way out
    #[arg(long, value_name = "NUMBER", default_value_t = 0, allow_negative_numbers = true)]
    pub gw_priority: i64,
    #[arg(long, hide = true, value_name = "IP")]
    #[allow(missing_docs)] // it is there to be refused with a reason
    pub link_local_ip: Vec<IpAddr>,
    /// The network, by name or id
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// The arguments of `network disconnect`.
#[derive(Debug, Clone, Args)]
pub struct DisconnectArgs {
    /// That the container is gone already is no error
    #[arg(short, long)]
    pub force: bool,
    /// The network, by name or id
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

impl ConnectArgs {
    /// What is asked of the place in the network.
    ///
    /// # Errors
    /// What cannot be asked for.
    pub fn options(&self) -> Result<EndpointOptions> {
        if !self.link_local_ip.is_empty() {
            return Err(attachment::link_local());
        }
        Ok(EndpointOptions {
            aliases: self.alias.clone(),
            ip: self.ip,
            ip6: self.ip6,
            mac: self.mac_address,
            interface: None,
            gateway_priority: self.gw_priority,
        })
    }

    /// Does it.
    ///
    /// # Errors
    /// As [`connect::connect`]; no such container or network.
    pub fn run(&self) -> Result<ExitCode> {
        let options = self.options()?;
        let container = running::find(&self.container)?;
        let (state, names, _) = open()?;
        let network = match (state.network(&self.network), self.network.as_str()) {
            (Err(_), "host" | "none") => return Err(not_for_connecting(&self.network)),
            (Err(error), Network::DEFAULT) if error.kind() == Kind::NotFound => {
                crate::wired::default_network(&state, &names)?
            }
            (found, _) => found?,
        };
        connect::connect(&state, &names, &container.id, &network, &options)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl DisconnectArgs {
    /// Does it.
    ///
    /// # Errors
    /// As [`connect::disconnect`]; no such container or network.
    pub fn run(&self) -> Result<ExitCode> {
        let container = match running::find(&self.container) {
            Err(error) if self.force && error.kind() == Kind::NotFound => return Ok(ExitCode::SUCCESS),
            found => found?,
        };
        let (state, names, _) = open()?;
        let network = state.network(&self.network)?;
        connect::disconnect(&state, &names, &container.id, &network)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn not_for_connecting(name: &str) -> Error {
    let what = match name {
        "host" => "container cannot be connected to host network - it must be created in host network",
        _ => "container cannot be connected to the none network - it must be created with --network none",
    };
    Error::new(Kind::Conflict, what).help(format!("run --network {name}"))
}
