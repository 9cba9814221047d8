//! `save` and `load`: images as one file.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use process::{Error, OrCall, Result};

use crate::archive::{self, Format};
use crate::{Platform, Reference, Store};

/// Options of `save`.
#[derive(Debug, Args)]
pub struct Save {
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The form of the archive
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Names or IDs; a name without a tag means all tags of the repository
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl Save {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        let _hold = store.hold()?; // nobody takes the blobs away meanwhile
        let images = archive::wanted(store, &self.images)?;
        match self.output.as_deref() {
            Some(path) if path != Path::new("-") => {
                layers::cli::whole_file(path, |out| archive::save(store, &images, self.format, out).map(drop))?;
            }
            _ => {
                let out = layers::cli::no_terminal("save")?;
                let mut out = archive::save(store, &images, self.format, BufWriter::with_capacity(1 << 17, out))?;
                out.flush().or_call("write", "standard output")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Options of `load`.
#[derive(Debug, Args)]
pub struct Load {
    /// Read from this file instead of standard input
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Of an image for several platforms, load this one
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
}

impl Load {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        let input = open(self.input.as_deref())?;
        for image in archive::load(store, input, self.platform.as_ref())? {
            let names = image.names.iter().map(Reference::familiar);
            match (self.quiet, image.names.is_empty()) {
                (true, _) => {}
                (false, true) => println!("Loaded image ID: {}", image.id),
                (false, false) => names.for_each(|name| println!("Loaded image: {name}")),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The file, or standard input for none and for `-`.
///
/// # Errors
/// As open(2); a terminal, where nobody types archives.
pub fn open(path: Option<&Path>) -> Result<Box<dyn Read>> {
    match path {
        Some(path) if path != Path::new("-") => Ok(Box::new(File::open(path).or_call("open", path.display())?)),
        _ => {
            let input = io::stdin();
            if input.is_terminal() {
                return Err(Error::invalid("requested load from stdin, but stdin is empty")
                    .help("name the archive, or pipe it: … < FILE"));
            }
            Ok(Box::new(input.lock()))
        }
    }
}
