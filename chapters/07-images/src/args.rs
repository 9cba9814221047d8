//! The options of this chapter: which image, for which platform, from where.

use std::ffi::OsString;

use clap::{Args, ValueEnum};
use process::{Error, Result};

use crate::pull;
use crate::store::{Image, Store};
use crate::{Platform, Reference, host};

/// Options about the image.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Image options")]
pub struct ImageArgs {
    /// Run this program instead of the image's entry point; the image's own command is dropped too
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// The platform of the image, for example linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<Platform>,
    /// When to fetch the image from its registry
    #[arg(long, value_name = "WHEN", default_value_t, value_enum)]
    pub pull: Policy,
}

/// When an image is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// Each time; what has not changed is not fetched again
    Always,
    /// If it is not here
    #[default]
    Missing,
    /// Not at all: it must be here
    Never,
}

impl ImageArgs {
    /// The image that `name` means (a reference, or an ID of one that is here), complete in the store.
    /// How it goes is told on standard error: what follows on standard output is the container's.
    ///
    /// # Errors
    /// As [`pull::pull`]; with `--pull never`, [`NotFound`](process::Kind::NotFound) if it is not here.
    pub fn obtain(&self, store: &Store, name: &str) -> Result<Image> {
        let here = match store.find(name) {
            Ok(image) => Some(image),
            Err(error) if error.kind() == process::Kind::NotFound => None,
            Err(error) => return Err(error),
        };
        let usable = here.filter(|image| self.suits(image) && image.is_complete(store));
        match (self.pull, usable) {
            (Policy::Never, Some(image)) => Ok(image),
            (Policy::Never, None) => {
                Err(Error::not_found(format!("the image {name} is not here, and --pull never forbids to fetch it"))
                    .help("leave --pull out, or `pull` it first"))
            }
            (Policy::Missing, Some(image)) if !is_outdated(&image) => {
                self.warn(&image, name);
                Ok(image)
            }
            (_, usable) => {
                let reference: Reference = match (name.parse(), usable) {
                    (Ok(reference), _) => reference,
                    (Err(_), Some(image)) => return Ok(image), // an ID has no registry to ask
                    (Err(error), None) => return Err(error),
                };
                let progress = pull::for_terminal(false, false);
                if self.pull == Policy::Missing {
                    progress.message(&format!("{}: not here yet", reference.familiar()));
                }
                Ok(pull::pull(store, &reference, self.platform.as_ref(), progress.as_ref())?.image)
            }
        }
    }

    /// As [`obtain`](Self::obtain), with the name as the first of `words`; gives the others back.
    ///
    /// # Errors
    /// As [`obtain`](Self::obtain).
    pub fn obtain_first<'a>(&self, store: &Store, words: &'a [OsString]) -> Result<(Image, &'a [OsString])> {
        let (name, command) = words.split_first().ok_or_else(|| Error::invalid("no image was named"))?;
        let text = name.to_str().ok_or_else(|| Error::invalid(format!("{} is no image reference", name.display())))?;
        Ok((self.obtain(store, text)?, command))
    }

    /// An image for another machine may still run, through binfmt_misc; if it does not, this is why.
    fn warn(&self, image: &Image, name: &str) {
        let (is, here) = (image.platform(), Platform::here());
        if self.platform.is_none() && here.suits(&is).is_none() {
            eprintln!("warning: {name} is for {is}, this machine is {here}");
        }
    }

    fn suits(&self, image: &Image) -> bool {
        self.platform.as_ref().is_none_or(|wanted| wanted.suits(&image.platform()).is_some())
    }
}

/// `host` is made anew when the recipe has changed.
fn is_outdated(image: &Image) -> bool {
    image.names.contains(&Reference::host()) && !host::is_current(image)
}
