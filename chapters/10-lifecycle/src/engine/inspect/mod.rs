//! `inspect`: everything that is known of a container, an image or a volume, in Docker's shape.

mod container;
mod host_config;
mod mounts;
mod network;
mod others;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use images::Store;
use layers::Volume;
use namespaces::rootless;
use process::{Error, Kind, Result, cli};
use serde::Serialize;
use serde_json::Value;

use super::container::Kept;
use super::template::Template;

pub use mounts::{MountPoint, mounts};

/// The arguments of `inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// Names or ids
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// `json`, or a template such as '{{.State.Status}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only things of this kind [default: a container, else an image, else a volume]
    #[arg(long = "type", value_name = "KIND", value_enum)]
    kind: Option<What>,
    /// Count what the containers have written
    #[arg(short, long)]
    size: bool,
}

/// A kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// A container
    Container,
    /// An image
    Image,
    /// A volume
    Volume,
}

/// One thing, its fields in the order in which Docker writes them.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Found {
    Container(Box<container::Shown>),
    Image(Box<images::cli::Shown>),
    Other(Value),
}

impl InspectArgs {
    /// Prints it.
    ///
    /// # Errors
    /// A template that is none. What is not there is told, and exits with 1.
    pub fn run(self) -> Result<ExitCode> {
        cli::end_with_reader()?;
        rootless::enter()?;
        let template = match self.format.as_deref() {
            None | Some("json") => None,
            Some(text) => Some(Template::parse(text)?),
        };
        let (mut found, mut code) = (Vec::new(), ExitCode::SUCCESS);
        for name in &self.names {
            let shown = self.find(name).and_then(|one| match &template {
                Some(template) => {
                    println!("{}", template.render(&serde_json::to_value(&one).map_err(malformed)?)?);
                    Ok(())
                }
                None => {
                    found.push(one);
                    Ok(())
                }
            });
            if let Err(error) = shown {
                cli::report(&error);
                code = ExitCode::FAILURE;
            }
        }
        match (&template, self.format.as_deref()) {
            (Some(_), _) => {}
            (None, Some(_)) => println!("{}", serde_json::to_string(&found).map_err(malformed)?),
            (None, None) => println!("{}", pretty(&found)?),
        }
        Ok(code)
    }

    /// The thing of this name, of the kind that was asked for.
    fn find(&self, name: &str) -> Result<Found> {
        let kinds = self.kind.map_or(vec![What::Container, What::Image, What::Volume], |kind| vec![kind]);
        for &kind in &kinds {
            let found = match kind {
                What::Container => Kept::find(name)
                    .and_then(|kept| container::describe(&kept, self.size))
                    .map(|shown| Found::Container(Box::new(shown))),
                What::Image => {
                    let shown = Store::open().and_then(|store| images::cli::describe(&store, &store.find(name)?));
                    shown.map(|shown| Found::Image(Box::new(shown)))
                }
                What::Volume => Volume::find(name).map(|volume| Found::Other(others::volume(&volume))),
            };
            match found {
                Err(error) if is_absent(&error) && kinds.len() > 1 => {}
                found => return found,
            }
        }
        Err(Error::not_found(format!("no such object: {name}"))
            .help("`ps -a`, `images` and `volume ls` list what there is"))
    }
}

/// A name that no thing of a kind can have is no error if it may be another kind's.
fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), Kind::NotFound | Kind::Invalid)
}

fn malformed(error: serde_json::Error) -> Error {
    Error::new(Kind::Corrupt, format!("JSON: {error}"))
}

/// With four spaces for each level, as Docker does.
fn pretty(found: &[Found]) -> Result<String> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    found.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter)).map_err(malformed)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
