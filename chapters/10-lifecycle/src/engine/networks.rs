//! `network …` where containers are kept: one that does not run is connected, too, and has its networks again at every
//! start.
//!
//! The networks that a container was made with are among its options. Once it has been connected to another one, or
//! disconnected, all that it is in now is a file of its own beside them.

use std::path::Path;
use std::process::ExitCode;

use network::commands::{ConnectArgs, DisconnectArgs};
use network::state::State;
use network::{Attachment, EndpointOptions, Mode, Network, NetworkArgs, NetworkCommand};
use process::{Error, Kind, Result};
use rootfs::dirs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::container::Kept;
use super::listing::Listing;
use crate::file;

/// The file in a container's directory.
const FILE: &str = "networks.json";

/// One network that a container is in, as it is remembered.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    network: String,
    #[serde(flatten)]
    options: EndpointOptions,
}

/// Does what chapter 6's command says, also to containers that do not run.
///
/// # Errors
/// Whatever keeps it from being done.
pub fn run(command: NetworkCommand) -> Result<ExitCode> {
    match command {
        NetworkCommand::Connect(args) => connect(&args),
        NetworkCommand::Disconnect(args) => disconnect(&args),
        NetworkCommand::Prune(args) => {
            let counted_on = Kept::all()?.iter().map(places).collect::<Result<Vec<_>>>()?.concat();
            args.run(&|network| counted_on.iter().any(|place| place.mode.network() == Some(&network.name)))
        }
        command => command.run_with(render),
    }
}

fn render(format: Option<&str>, default: &str, heads: &[(&str, &str)], rows: &[Value]) -> Result<String> {
    Listing::new(format, default)?.render(heads, rows)
}

/// The options of `args` with the networks that the container in `directory` is in now.
///
/// # Errors
/// A file that is damaged.
pub fn now(directory: &Path, args: &NetworkArgs) -> Result<NetworkArgs> {
    let Some(places) = recorded(directory)? else { return Ok(args.clone()) };
    let args = NetworkArgs {
        network: places,
        network_alias: Vec::new(),
        ip: None,
        ip6: None,
        mac_address: None,
        ..args.clone()
    };
    if args.network.is_empty() {
        // Disconnected from all of them: there is nothing that a port could lead to.
        return Ok(NetworkArgs { network: vec![Mode::None.into()], publish: Vec::new(), ..args });
    }
    Ok(args)
}

/// The networks that a container is in now.
///
/// # Errors
/// Options or a file that are damaged.
pub fn places(kept: &Kept) -> Result<Vec<Attachment>> {
    match recorded(kept.dir.path())? {
        Some(places) => Ok(places),
        None => Ok(kept.options()?.parse()?.network.attachments()),
    }
}

fn recorded(directory: &Path) -> Result<Option<Vec<Attachment>>> {
    let Some(places) = file::read::<Vec<Place>>(&directory.join(FILE))? else { return Ok(None) };
    let attachment = |place: Place| Ok(Attachment { mode: place.network.parse()?, options: place.options });
    places.into_iter().map(attachment).collect::<Result<_>>().map(Some)
}

fn record(kept: &Kept, places: &[Attachment]) -> Result<()> {
    let place = |one: &Attachment| Place { network: one.mode.to_string(), options: one.options.clone() };
    file::write(&kept.dir.path().join(FILE), &places.iter().map(place).collect::<Vec<_>>())
}

fn connect(args: &ConnectArgs) -> Result<ExitCode> {
    let kept = Kept::find(&args.container)?;
    let mut all = places(&kept)?;
    let place = Attachment { mode: named(&args.network)?, options: args.options()? };
    if kept.is_alive() {
        args.run()?;
    } else {
        check(&kept, &all, &place)?;
    }
    all.retain(|other| other.mode != Mode::None && other.mode != place.mode);
    all.push(place);
    record(&kept, &all)?;
    Ok(ExitCode::SUCCESS)
}

fn disconnect(args: &DisconnectArgs) -> Result<ExitCode> {
    let kept = match Kept::find(&args.container) {
        Err(error) if args.force && error.kind() == Kind::NotFound => return Ok(ExitCode::SUCCESS),
        found => found?,
    };
    let mut all = places(&kept)?;
    let mode = match named(&args.network) {
        // The network may be gone, and the container still want to be in it.
        Err(error) if error.kind() == Kind::NotFound => args.network.parse()?,
        found => found?,
    };
    let known = all.iter().any(|place| place.mode == mode);
    if kept.is_alive() {
        args.run()?;
    } else if !known {
        let what = format!("container {} is not connected to network {}", kept.name(), args.network);
        return Err(Error::not_found(what).help("`inspect` shows its networks"));
    }
    all.retain(|place| place.mode != mode);
    record(&kept, &all)?;
    Ok(ExitCode::SUCCESS)
}

/// The network of that name or id, as `--network` would name it.
fn named(name: &str) -> Result<Mode> {
    if name == Network::DEFAULT {
        return Ok(Mode::Bridge);
    }
    match name {
        "host" | "none" => Err(Error::new(Kind::Conflict, format!("container cannot be connected to {name} network"))
            .help(format!("make it with --network {name}"))),
        _ => State::lock(&dirs().run)?.network(name).map(|network| Mode::Named(network.name)),
    }
}

/// What chapter 6 refuses to a container that runs is refused to one that will.
fn check(kept: &Kept, all: &[Attachment], place: &Attachment) -> Result<()> {
    let fixed = all.iter().find(|other| matches!(other.mode, Mode::Host | Mode::Container(_)));
    if let Some(fixed) = fixed {
        let what = format!("container {} has the network {}, and can have no other one", kept.name(), fixed.mode);
        return Err(Error::new(Kind::Conflict, what).help("make it anew with another --network"));
    }
    if all.iter().any(|other| other.mode == place.mode) {
        let what = format!("endpoint with name {} already exists in network {}", kept.name(), place.mode);
        return Err(
            Error::new(Kind::Conflict, what).help("`network disconnect` it first, to change its address or aliases")
        );
    }
    if place.mode == Mode::Bridge && !place.options.aliases.is_empty() {
        let what = "network-scoped alias is supported only for containers in user defined networks";
        return Err(Error::new(Kind::Conflict, what).help("leave out --alias"));
    }
    Ok(())
}
