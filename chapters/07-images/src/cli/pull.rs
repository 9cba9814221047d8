//! `pull`

use std::process::ExitCode;

use clap::Args;
use process::{Error, Result, explain};

use crate::pull::{for_terminal, pull};
use crate::reference::DOCKER_HUB;
use crate::registry::Registry;
use crate::{Platform, Reference, Store};

/// Options of `pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// All tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// The platform of the image, for example linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Print the name only
    #[arg(short, long)]
    quiet: bool,
    /// The image: [REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]
    #[arg(value_name = "IMAGE")]
    image: String,
}

impl Pull {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        let reference: Reference = self.image.parse()?;
        if reference.domain() == DOCKER_HUB {
            explain!(7, "what a short name means", "{} is {reference}", reference.familiar());
        }
        if !self.all_tags {
            self.one(store, &reference)?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.image.rsplit('/').next().is_some_and(|last| last.contains([':', '@'])) {
            return Err(Error::invalid("tag can't be used with --all-tags/-a")
                .help(format!("name the repository alone: {}", reference.familiar_name())));
        }
        if reference.is_host() {
            return Err(Error::invalid("the image host is made from this machine, and has one tag")
                .help("leave --all-tags out"));
        }
        for tag in Registry::of(&reference)?.tags()? {
            self.one(store, &format!("{}:{tag}", reference.name()).parse()?)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn one(&self, store: &Store, reference: &Reference) -> Result<()> {
        let progress = for_terminal(true, self.quiet);
        let pulled = pull(store, reference, self.platform.as_ref(), progress.as_ref())?;
        if !self.quiet {
            let name = reference.familiar();
            println!("Digest: {}", pulled.digest);
            match pulled.changed {
                true => println!("Status: Downloaded newer image for {name}"),
                false => println!("Status: Image is up to date for {name}"),
            }
        }
        println!("{reference}");
        Ok(())
    }
}
