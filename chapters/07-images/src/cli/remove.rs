//! `rmi`

use std::process::ExitCode;

use clap::Args;
use process::{Result, cli};

use crate::Store;
use crate::store::Removed;

/// Options of `rmi`.
#[derive(Debug, Args)]
pub struct Remove {
    /// Also if it has several names, or a container stands on it (whose layers stay)
    #[arg(short, long)]
    force: bool,
    /// Names or IDs
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl Remove {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        let mut code = ExitCode::SUCCESS;
        for image in &self.images {
            match store.remove(image, self.force) {
                Ok(removed) => removed.iter().for_each(|one| match one {
                    Removed::Untagged(name) => println!("Untagged: {name}"),
                    Removed::Deleted(id) => println!("Deleted: {id}"),
                }),
                // The others are still removed.
                Err(error) => {
                    cli::report(&error);
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    }
}
