//! `tag`

use std::process::ExitCode;

use clap::Args;
use process::{Error, Kind, Result};

use crate::{Reference, Store};

/// Options of `tag`.
#[derive(Debug, Args)]
pub struct Tag {
    /// An image that is here, by name or ID
    image: String,
    /// Its new name
    name: Reference,
}

impl Tag {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        if self.name.digest().is_some() {
            return Err(Error::invalid(format!("{} is pinned to a digest", self.name.familiar()))
                .help("a name that is given has a tag: NAME[:TAG]"));
        }
        if self.name.is_host() {
            return Err(Error::new(
                Kind::Conflict,
                "the name host is kept for the image that is made from this machine",
            )
            .help("choose another name"));
        }
        let image = store.find(&self.image)?;
        store.record(&self.name, &image.descriptor)?;
        Ok(ExitCode::SUCCESS)
    }
}
