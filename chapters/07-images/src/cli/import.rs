//! `import`: an image from the archive of a file system, such as `export` writes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use process::{Error, Result};
use serde_json::{Map, Value};

use super::change::Change;
use super::{save, tag};
use crate::archive::{self, Import as What};
use crate::{Platform, Reference, Store};

/// Options of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Apply an instruction of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME,
    /// WORKDIR
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    changes: Vec<Change>,
    /// A comment for the image's history
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    message: String,
    /// What the image is for, if not for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// The archive; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The image's name
    name: Option<Reference>,
}

impl Import {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        if let Some(name) = &self.name {
            tag::may_have(name)?;
        }
        if let Some(url) = self.file.to_str().filter(|text| text.starts_with("http://") || text.starts_with("https://"))
        {
            return Err(Error::unsupported("import reads a file or standard input, no URL")
                .help(format!("curl --fail --location {url} | … import - NAME")));
        }
        let mut config = Map::new();
        self.changes.iter().try_for_each(|change| change.apply(&mut config))?;
        let message = match (self.message.as_str(), self.file.as_path()) {
            ("", path) if path == Path::new("-") => "Imported from -".to_owned(),
            ("", path) => format!("Imported from {}", path.display()),
            (message, _) => message.to_owned(),
        };
        let what = What { name: self.name, platform: self.platform, message, config: Value::Object(config) };
        let loaded = archive::import(store, save::open(Some(&self.file))?, &what)?;
        println!("{}", loaded.id);
        Ok(ExitCode::SUCCESS)
    }
}
