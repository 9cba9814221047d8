//! `network …`: networks that people make, and who is in them.

mod check;
mod connect;
mod create;
mod filter;
mod inspect;
mod list;
mod remove;
mod render;

use std::process::ExitCode;

use clap::Subcommand;
use namespaces::rootless;
use process::Result;
use rootfs::dirs;

pub use connect::{ConnectArgs, DisconnectArgs};
pub use create::CreateArgs;
pub use filter::Filter;
pub use inspect::{InspectArgs, describe};
pub use list::ListArgs;
pub use remove::{PruneArgs, RemoveArgs, remove};
pub use render::{Render, plain};

use crate::state::State;
use crate::sweep::sweep;
use crate::{Lease, Names, Network};

/// Commands about networks.
#[derive(Debug, Clone, Subcommand)]
pub enum NetworkCommand {
    /// Make a network
    Create(Box<CreateArgs>),
    /// List the networks
    #[command(visible_alias = "list")]
    Ls(ListArgs),
    /// Show everything about networks, as JSON
    Inspect(InspectArgs),
    /// Remove networks that nobody is in
    #[command(visible_alias = "remove")]
    Rm(RemoveArgs),
    /// Give a running container a place in a network
    Connect(ConnectArgs),
    /// Take a container out of a network
    Disconnect(DisconnectArgs),
    /// Remove all networks that nobody is in
    Prune(PruneArgs),
}

impl NetworkCommand {
    /// Does what was asked for; lists as tables and JSON.
    ///
    /// # Errors
    /// Whatever keeps it from being done.
    pub fn run(self) -> Result<ExitCode> {
        self.run_with(plain)
    }

    /// The same with another way of writing lists: a later chapter's templates.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with(self, render: Render) -> Result<ExitCode> {
        match self {
            Self::Create(args) => args.run(),
            Self::Ls(args) => args.run(render),
            Self::Inspect(args) => args.run(render),
            Self::Rm(args) => args.run(),
            Self::Connect(args) => args.run(),
            Self::Disconnect(args) => args.run(),
            Self::Prune(args) => args.run(&|_| false),
        }
    }
}

/// The networks that are there without anybody's doing.
pub const PREDEFINED: [&str; 3] = [Network::DEFAULT, "host", "none"];

/// Removes what containers have left that are gone: links, addresses, rules.
///
/// # Errors
/// As netlink(7), nft(8), unlink(2).
pub fn sweep_gone() -> Result<()> {
    open().map(drop)
}

/// The state, swept, and the leases of those who live.
fn open() -> Result<(State, Names, Vec<Lease>)> {
    // An ordinary user's links and rules are where the engine's user namespace has rights.
    rootless::enter()?;
    let (state, names) = (State::lock(&dirs().run)?, Names::of(&dirs().run));
    let leases = sweep(&state, &names)?;
    Ok((state, names, leases))
}
