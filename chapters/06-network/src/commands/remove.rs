//! `network rm` and `network prune`

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use process::{Error, Kind, Result, cli, explain};

use super::filter::{Filter, passes};
use super::inspect::find;
use super::{PREDEFINED, open};
use crate::state::State;
use crate::sweep::{is_used, settle};
use crate::{Lease, Names, Network};

/// The arguments of `network rm`.
#[derive(Debug, Clone, Args)]
pub struct RemoveArgs {
    /// That a network is not there is no error
    #[arg(short, long)]
    force: bool,
    /// The networks, by name or id
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

/// The arguments of `network prune`.
#[derive(Debug, Clone, Args)]
pub struct PruneArgs {
    /// Only networks with KEY=VALUE: label, label!, until
    #[arg(long, value_name = "FILTER")]
    filter: Vec<Filter>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl RemoveArgs {
    /// Removes them, and prints the name of each.
    ///
    /// # Errors
    /// As reading the state; what keeps one of them is told, and the others are removed.
    pub fn run(&self) -> Result<ExitCode> {
        let (state, names, leases) = open()?;
        let mut code = ExitCode::SUCCESS;
        for name in &self.networks {
            match find(&state, &names, name).and_then(|network| remove(&state, &names, &network, &leases)) {
                Ok(()) => println!("{name}"),
                Err(error) if self.force && error.kind() == Kind::NotFound => {}
                Err(error) => {
                    cli::report(&error);
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    }
}

/// Removes a network that none of `leases` is in.
///
/// # Errors
/// [`Kind::Conflict`] names who is in it; as unlink(2) and netlink(7).
pub fn remove(state: &State, names: &Names, network: &Network, leases: &[Lease]) -> Result<()> {
    let name = &network.name;
    if PREDEFINED.contains(&name.as_str()) {
        return Err(Error::new(Kind::Conflict, format!("{name} is a pre-defined network and cannot be removed"))
            .help("its link goes when the last container has left"));
    }
    let inside: Vec<_> = leases.iter().filter(|lease| lease.endpoint(name).is_some()).collect();
    if !inside.is_empty() {
        let who = inside.iter().map(|lease| format!("name:{:?} id:\"{:.12}\"", lease.name, lease.container));
        let what = format!("network {name} has active endpoints ({})", who.collect::<Vec<_>>().join(", "));
        return Err(Error::new(Kind::Conflict, what).help(format!("end them, or `network disconnect {name} NAME`")));
    }
    // Its links first: while they are there, the network is.
    settle(state, names)?;
    state.remove_network(&network.id)?;
    explain!(6, "nobody can be given a place in it any more", "unlink(\"networks/{}.json\")", network.id);
    Ok(())
}

impl PruneArgs {
    /// Removes all networks that nobody is in, but those of which `keeps` says that somebody counts on them.
    ///
    /// # Errors
    /// As [`remove`]; standard input that is no terminal, without `--force`.
    pub fn run(&self, keeps: &dyn Fn(&Network) -> bool) -> Result<ExitCode> {
        if !self.force && !confirmed()? {
            return Ok(ExitCode::SUCCESS);
        }
        let (state, names, leases) = open()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (mut removed, mut code) = (Vec::new(), ExitCode::SUCCESS);
        let unused = state.networks().into_iter().filter(|network| !is_used(network, &leases) && !keeps(network));
        for network in unused.filter(|network| passes(network, &self.filter, &leases, now)) {
            match remove(&state, &names, &network, &leases) {
                Ok(()) => removed.push(network.name),
                Err(error) => {
                    cli::report(&error);
                    code = ExitCode::FAILURE;
                }
            }
        }
        if !removed.is_empty() {
            println!("Deleted Networks:\n{}\n", removed.join("\n"));
        }
        Ok(code)
    }
}

fn confirmed() -> Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Error::invalid("prune removes all networks that nobody is in, and nobody is there to be asked")
            .help("add --force if that is meant"));
    }
    println!("WARNING! This will remove all custom networks not used by at least one container.");
    print!("Are you sure you want to continue? [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = stdin.lock().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
