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
        may_have(&self.name)?;
        let _hold = store.hold()?; // it is not removed between the two
        let image = store.find(&self.image)?;
        store.record(&self.name, &image.descriptor)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// May a person give an image this name?
///
/// # Errors
/// A digest, which is not given but computed; the name of the image that is made from this machine.
pub fn may_have(name: &Reference) -> Result<()> {
    if name.digest().is_some() {
        return Err(Error::invalid(format!("{} is pinned to a digest", name.familiar()))
            .help("a name that is given has a tag: NAME[:TAG]"));
    }
    if name.is_host() {
        return Err(Error::new(Kind::Conflict, "the name host is kept for the image that is made from this machine")
            .help("choose another name"));
    }
    Ok(())
}
