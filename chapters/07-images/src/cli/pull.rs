//! `pull`

use std::process::ExitCode;

use clap::Args;
use process::{Result, explain};

use crate::pull::{for_terminal, pull};
use crate::reference::DOCKER_HUB;
use crate::{Platform, Reference, Store};

/// Options of `pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// The platform of the image, for example linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Print the name only
    #[arg(short, long)]
    quiet: bool,
    /// The image: [REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]
    image: Reference,
}

impl Pull {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        if self.image.domain() == DOCKER_HUB {
            explain!(7, "what a short name means", "{} is {}", self.image.familiar(), self.image);
        }
        let progress = for_terminal(true, self.quiet);
        let pulled = pull(store, &self.image, self.platform.as_ref(), progress.as_ref())?;
        if !self.quiet {
            let name = self.image.familiar();
            println!("Digest: {}", pulled.digest);
            match pulled.changed {
                true => println!("Status: Downloaded newer image for {name}"),
                false => println!("Status: Image is up to date for {name}"),
            }
        }
        println!("{}", self.image);
        Ok(ExitCode::SUCCESS)
    }
}
