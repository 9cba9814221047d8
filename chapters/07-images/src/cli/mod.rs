//! The commands about images, in Docker's words and with Docker's output.

mod change;
mod filter;
mod history;
mod import;
mod inspect;
mod list;
mod prune;
mod pull;
mod remove;
mod save;
mod tag;
mod text;

use std::process::ExitCode;

use clap::Subcommand;
use process::Result;

use crate::Store;

pub use inspect::{Shown, describe};

/// What can be done with images, besides running them.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Fetch an image from its registry
    Pull(pull::Pull),
    /// List the images that are here
    Images(list::List),
    /// Remove a name of an image, and the image with its last name
    Rmi(remove::Remove),
    /// Give an image another name
    Tag(tag::Tag),
    /// Show everything about an image, as JSON
    Inspect(inspect::Inspect),
    /// Show how an image was built, the newest step first
    History(history::History),
    /// Write images to an archive
    Save(save::Save),
    /// Take the images of an archive in
    Load(save::Load),
    /// Make an image of the archive of a file system
    Import(import::Import),
    /// Manage images
    #[command(subcommand)]
    Image(Management),
}

/// The same, under `image`.
#[derive(Debug, Subcommand)]
pub enum Management {
    /// Show how an image was built, the newest step first
    History(history::History),
    /// Make an image of the archive of a file system
    Import(import::Import),
    /// Show everything about an image, as JSON
    Inspect(inspect::Inspect),
    /// Take the images of an archive in
    Load(save::Load),
    /// List the images that are here
    #[command(visible_alias = "list")]
    Ls(list::List),
    /// Remove images that nobody needs
    Prune(prune::Prune),
    /// Fetch an image from its registry
    Pull(pull::Pull),
    /// Remove a name of an image, and the image with its last name
    #[command(visible_alias = "remove")]
    Rm(remove::Remove),
    /// Write images to an archive
    Save(save::Save),
    /// Give an image another name
    Tag(tag::Tag),
}

impl ImageCommand {
    /// Does it. An ordinary user's process enters its user namespace first: there it may own the layers' files.
    ///
    /// # Errors
    /// Whatever the command reports.
    pub fn run(self) -> Result<ExitCode> {
        namespaces::rootless::enter()?;
        let store = Store::open()?;
        match self {
            Self::Pull(command) | Self::Image(Management::Pull(command)) => command.run(&store),
            Self::Images(command) | Self::Image(Management::Ls(command)) => command.run(&store),
            Self::Rmi(command) | Self::Image(Management::Rm(command)) => command.run(&store),
            Self::Tag(command) | Self::Image(Management::Tag(command)) => command.run(&store),
            Self::Inspect(command) | Self::Image(Management::Inspect(command)) => command.run(&store),
            Self::History(command) | Self::Image(Management::History(command)) => command.run(&store),
            Self::Save(command) | Self::Image(Management::Save(command)) => command.run(&store),
            Self::Load(command) | Self::Image(Management::Load(command)) => command.run(&store),
            Self::Import(command) | Self::Image(Management::Import(command)) => command.run(&store),
            Self::Image(Management::Prune(command)) => command.run(&store),
        }
    }
}
