//! `port`, and what other commands say of a container's network.

use std::process::ExitCode;

use clap::Args;
use namespaces::rootless;
use network::{Lease, Port, state};
use process::{Error, Result, cli};
use rootfs::dirs;

use super::container::Kept;

/// The arguments of `port`.
#[derive(Debug, Clone, Args)]
pub struct PortArgs {
    /// The container's name or id
    #[arg(value_name = "NAME")]
    name: String,
    /// Only this port of the container: 80, 53/udp
    #[arg(value_name = "PORT[/PROTOCOL]")]
    port: Option<String>,
}

impl PortArgs {
    /// Prints which ports of the host lead to the container.
    ///
    /// # Errors
    /// No such container; a port that is not published.
    pub fn run(self) -> Result<ExitCode> {
        cli::end_with_reader()?;
        rootless::enter()?;
        let kept = Kept::find(&self.name)?;
        let ports = lease(&kept).map(|lease| lease.ports).unwrap_or_default();
        let Some(wanted) = &self.port else {
            for port in &ports {
                println!("{} -> {}", inside(port), port.host());
            }
            return Ok(ExitCode::SUCCESS);
        };
        let wanted = if wanted.contains('/') { wanted.clone() } else { format!("{wanted}/tcp") };
        let mut found = ports.iter().filter(|port| inside(port) == wanted).peekable();
        if found.peek().is_none() {
            let what = format!("no public port '{wanted}' published for {}", self.name);
            return Err(Error::not_found(what).help("ports are published when a container is made: `run -p 8080:80`"));
        }
        found.for_each(|port| println!("{}", port.host()));
        Ok(ExitCode::SUCCESS)
    }
}

/// What it holds of the network, while it runs.
pub fn lease(kept: &Kept) -> Option<Lease> {
    kept.is_alive().then(|| state::peek(&dirs().run, kept.id()))?
}

/// `80/tcp`
pub fn inside(port: &Port) -> String {
    format!("{}/{}", port.container_port, port.protocol)
}

/// `0.0.0.0:8080->80/tcp, 443/tcp`: those that are published, and those that the image only says it listens on.
pub fn summary(kept: &Kept) -> String {
    if !kept.is_alive() {
        return String::new();
    }
    let ports = lease(kept).map(|lease| lease.ports).unwrap_or_default();
    let published = ports.iter().map(ToString::to_string);
    let exposed = kept.options().map(|options| options.exposed).unwrap_or_default();
    let only_exposed = exposed.into_iter().filter(|one| !ports.iter().any(|port| inside(port) == *one));
    published.chain(only_exposed).collect::<Vec<_>>().join(", ")
}

/// The names of its networks.
pub fn networks(kept: &Kept) -> Vec<String> {
    match lease(kept) {
        Some(lease) if lease.endpoints.is_empty() => vec![lease.network],
        Some(lease) => lease.endpoints.into_iter().map(|endpoint| endpoint.network).collect(),
        None => super::networks::places(kept).unwrap_or_default().iter().map(|place| place.mode.to_string()).collect(),
    }
}
