//! `network ls`

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use namespaces::id;
use process::{Result, cli};
use serde_json::{Value, json};

use super::filter::{Filter, passes};
use super::inspect::timestamp;
use super::{PREDEFINED, Render, open};
use crate::state::State;
use crate::{Driver, Names, Network};

/// The arguments of `network ls`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Only networks with KEY=VALUE: dangling, driver, id, label, name, scope, type
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<Filter>,
    /// How each is written: table, json, or a template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Whole ids
    #[arg(long)]
    no_trunc: bool,
    /// Only the ids
    #[arg(short, long)]
    quiet: bool,
}

const LINE: &str = "{{.ID}}\\t{{.Name}}\\t{{.Driver}}\\t{{.Scope}}";
const HEADS: [(&str, &str); 4] = [("ID", "NETWORK ID"), ("Name", "NAME"), ("Driver", "DRIVER"), ("Scope", "SCOPE")];

impl ListArgs {
    /// Prints the list.
    ///
    /// # Errors
    /// A format that cannot be read; as [`sweep`](crate::sweep::sweep).
    pub fn run(&self, render: Render) -> Result<ExitCode> {
        cli::end_with_reader()?;
        let (state, names, leases) = open()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let all = all(&state, &names);
        let chosen = all.iter().filter(|network| passes(network, &self.filter, &leases, now));
        let rows: Vec<_> = chosen.map(|network| row(network, self.no_trunc)).collect();
        let text = match self.quiet {
            true => rows.iter().filter_map(|row| Some(format!("{}\n", row["ID"].as_str()?))).collect(),
            false => render(self.format.as_deref(), LINE, &HEADS, &rows)?,
        };
        print!("{text}");
        Ok(ExitCode::SUCCESS)
    }
}

/// Every network by name; those that nobody made are there, too, whether or not they stand.
pub fn all(state: &State, names: &Names) -> Vec<Network> {
    let mut all = state.networks();
    for name in PREDEFINED {
        let standing = (name == Network::DEFAULT).then(|| state.default_network()).flatten();
        all.push(standing.unwrap_or_else(|| not_standing(name, names)));
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// What there is to say of a predefined network that has no subnet now.
pub fn not_standing(name: &str, names: &Names) -> Network {
    let link = if name == Network::DEFAULT { names.bridge.clone() } else { String::new() };
    let network = Network::new(names.id(name), name.to_owned(), Driver::Bridge, ipnet::Ipv4Net::default());
    Network { link, created: 0, ..network }
}

/// Its driver; `host` and `none` have ones of their own, which Docker calls so.
pub fn driver(network: &Network) -> String {
    match network.name.as_str() {
        "host" => "host".to_owned(),
        "none" => "null".to_owned(),
        _ => network.driver.to_string(),
    }
}

fn row(network: &Network, whole: bool) -> Value {
    let id = if whole { network.id.as_str() } else { id::short(&network.id) };
    let labels: Vec<_> = network.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    json!({
        "CreatedAt": timestamp(network.created),
        "Driver": driver(network),
        "ID": id,
        "IPv4": "true",
        "IPv6": network.subnet6.is_some().to_string(),
        "Internal": network.internal.to_string(),
        "Labels": labels.join(","),
        "Name": network.name,
        "Scope": "local",
    })
}
