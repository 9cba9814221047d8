//! `network inspect`: Docker's fields.

use std::process::ExitCode;

use clap::Args;
use process::{Error, Result, cli};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{PREDEFINED, Render, list, open};
use crate::state::State;
use crate::{Endpoint, Lease, Names, Network, carrier};

/// The arguments of `network inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// How each is written: json, or a template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// As Docker; there is nothing more to tell
    #[arg(short, long)]
    verbose: bool,
    /// The networks, by name or id
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

impl InspectArgs {
    /// Prints what is known of them; of one that is not there an error, after the others.
    ///
    /// # Errors
    /// A format that cannot be read; as [`sweep`](crate::sweep::sweep).
    pub fn run(&self, render: Render) -> Result<ExitCode> {
        cli::end_with_reader()?;
        let (state, names, leases) = open()?;
        let (mut found, mut code) = (Vec::new(), ExitCode::SUCCESS);
        for name in &self.networks {
            match find(&state, &names, name) {
                Ok(network) => found.push(describe(&network, &leases)),
                Err(error) => {
                    cli::report(&error);
                    code = ExitCode::FAILURE;
                }
            }
        }
        let text = match self.format.as_deref() {
            None | Some("") => pretty(&found)?,
            Some(format) => render(Some(format), "", &[], &found)?,
        };
        print!("{text}");
        Ok(code)
    }
}

/// The network called `name`, also one that nobody made and that does not stand.
///
/// # Errors
/// As [`State::network`].
pub fn find(state: &State, names: &Names, name: &str) -> Result<Network> {
    state.network(name).or_else(|error| {
        let predefined = PREDEFINED.iter().find(|known| **known == name || names.id(known).starts_with(name));
        predefined.filter(|_| !name.is_empty()).map(|known| list::not_standing(known, names)).ok_or(error)
    })
}

/// Everything about a network and those of `leases` that are in it.
pub fn describe(network: &Network, leases: &[Lease]) -> Value {
    let stands = network.subnet.prefix_len() > 0;
    let mut options: Map<String, Value> =
        network.options.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    if network.is_default() {
        options.insert("com.docker.network.bridge.name".into(), network.link.clone().into());
    }
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": timestamp(network.created),
        "Scope": "local",
        "Driver": list::driver(network),
        "EnableIPv4": true,
        "EnableIPv6": network.subnet6.is_some(),
        "IPAM": { "Driver": "default", "Options": {}, "Config": if stands { pools(network) } else { Vec::new() } },
        "Internal": network.internal,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": containers(network, leases),
        "Options": options,
        "Labels": network.labels,
    })
}

fn pools(network: &Network) -> Vec<Value> {
    let pool = |(subnet, gateway): (ipnet::IpNet, std::net::IpAddr)| {
        let mut pool = json!({ "Subnet": subnet.to_string(), "Gateway": gateway.to_string() });
        if let Some(range) = network.ip_range.filter(|_| gateway.is_ipv4()) {
            pool["IPRange"] = range.to_string().into();
        }
        let aux: Map<_, _> = network
            .reserved
            .iter()
            .filter(|(_, address)| address.is_ipv4() == gateway.is_ipv4())
            .map(|(name, address)| (name.clone(), address.to_string().into()))
            .collect();
        if !aux.is_empty() {
            pool["AuxiliaryAddresses"] = aux.into();
        }
        pool
    };
    network.subnets().into_iter().map(pool).collect()
}

/// By id; an ordinary user's default network is a container's own.
fn containers(network: &Network, leases: &[Lease]) -> Map<String, Value> {
    let of = |lease: &Lease| {
        let is_carried = |endpoint: &&Endpoint| network.is_default() && carrier::is_carried(&endpoint.network);
        let carried = || lease.endpoints.iter().find(is_carried);
        let endpoint = lease.endpoint(&network.name).or_else(carried)?.clone();
        let text = |value: Option<String>| value.unwrap_or_default();
        let described = json!({
            "Name": lease.name,
            "EndpointID": endpoint.id,
            "MacAddress": text(endpoint.mac.map(|mac| mac.to_string())),
            "IPv4Address": text(endpoint.address.map(|address| network.with_prefix(address).to_string())),
            "IPv6Address": text(endpoint.address6.map(|address| network.with_prefix6(address).to_string())),
        });
        Some((lease.container.clone(), described))
    };
    leases.iter().filter_map(of).collect()
}

/// As RFC 3339 has it.
pub fn timestamp(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

fn pretty(found: &[Value]) -> Result<String> {
    let mut text = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, indent);
    serde::Serialize::serialize(found, &mut serializer)
        .map_err(|error| Error::invalid(format!("network inspect: {error}")))?;
    Ok(String::from_utf8_lossy(&text).into_owned() + "\n")
}
