//! The commands about images, in Docker's words and with Docker's output.

mod history;
mod inspect;
mod list;
mod pull;
mod remove;
mod tag;
mod text;

use std::process::ExitCode;

use clap::Subcommand;
use process::Result;

use crate::Store;

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
            Self::Pull(command) => command.run(&store),
            Self::Images(command) => command.run(&store),
            Self::Rmi(command) => command.run(&store),
            Self::Tag(command) => command.run(&store),
            Self::Inspect(command) => command.run(&store),
            Self::History(command) => command.run(&store),
        }
    }
}
