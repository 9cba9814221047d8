//! `volume`: the subcommands about volumes.

use std::process::ExitCode;

use clap::Subcommand;
use namespaces::id;
use process::{Error, Result};

use crate::Volume;
use crate::cli::quiet;

/// What can be done with volumes.
#[derive(Debug, Clone, Subcommand)]
pub enum VolumeCommand {
    /// Make a volume; a name is drawn if none is given
    Create {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// List volumes
    Ls,
    /// Show where volumes lie and who uses them
    Inspect {
        /// Their names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Remove volumes that no container refers to
    Rm {
        /// Their names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Remove all anonymous volumes that no container refers to
    Prune {
        /// Named ones too
        #[arg(short, long)]
        all: bool,
    },
}

impl VolumeCommand {
    /// Does it.
    ///
    /// # Errors
    /// A name that no volume has, or one that is in use.
    pub fn run(self) -> Result<ExitCode> {
        quiet()?;
        self.act().map(|()| ExitCode::SUCCESS)
    }

    fn act(self) -> Result<()> {
        match self {
            Self::Create { name } => {
                let name = name.map_or_else(id::random_id, Ok)?;
                println!("{}", Volume::ensure(&name)?.name);
            }
            Self::Ls => list()?,
            Self::Inspect { names } => names.iter().try_for_each(|name| inspect(name))?,
            Self::Rm { names } => {
                for name in names {
                    Volume::find(&name)?.remove()?;
                    println!("{name}");
                }
            }
            Self::Prune { all } => prune(all)?,
        }
        Ok(())
    }
}

fn list() -> Result<()> {
    println!("{:<24}  USED BY", "NAME");
    for volume in Volume::list()? {
        println!("{:<24}  {}", volume.name, volume.users()?.join(", "));
    }
    Ok(())
}

fn inspect(name: &str) -> Result<()> {
    let volume = Volume::find(name)?;
    println!("name       {}", volume.name);
    println!("mountpoint {}", volume.data().display());
    println!("anonymous  {}", volume.is_anonymous());
    volume.users()?.iter().for_each(|user| println!("used by    {user}"));
    Ok(())
}

fn prune(all: bool) -> Result<()> {
    for volume in Volume::list()?.into_iter().filter(|volume| all || volume.is_anonymous()) {
        let name = volume.name.clone();
        match volume.remove() {
            Ok(()) => println!("{name}"),
            Err(error) if error.kind() == process::Kind::Conflict => {}
            Err(error) => return Err::<(), Error>(error.at(name)),
        }
    }
    Ok(())
}
