//! `Mounts`: what is mounted into the container.

use std::path::{Path, PathBuf};

use layers::{Source, Volume};
use namespaces::mount::Propagation;
use process::Result;
use serde::Serialize;

use crate::engine::container::Kept;

/// One mount. The fields stand in Docker's order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MountPoint {
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    source: PathBuf,
    destination: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<&'static str>,
    mode: String,
    #[serde(rename = "RW")]
    rw: bool,
    propagation: &'static str,
}

impl MountPoint {
    /// What `ps` shows of it: the volume's name, or the host's path.
    pub fn shown(&self) -> &str {
        self.name.as_deref().or(self.source.to_str()).unwrap_or_default()
    }

    /// Is it the volume of this name, or mounted from or on this path?
    pub fn is(&self, text: &str) -> bool {
        self.name.as_deref() == Some(text) || self.source == Path::new(text) || self.destination == Path::new(text)
    }
}

/// The mounts that were asked for, by a person or by the image.
///
/// # Errors
/// Options that cannot be read, or of a container that an earlier step made.
pub fn mounts(kept: &Kept) -> Result<Vec<MountPoint>> {
    let options = kept.options()?;
    let specs = options.mounts(&options.parse()?.mounts)?;
    Ok(specs
        .into_iter()
        .map(|spec| {
            let mut point = MountPoint {
                kind: "tmpfs",
                name: None,
                source: PathBuf::new(),
                destination: spec.target,
                driver: None,
                mode: if spec.read_only { "ro".to_owned() } else { String::new() },
                rw: !spec.read_only,
                propagation: "",
            };
            match spec.source {
                Source::Bind(bind) => {
                    point.kind = "bind";
                    point.source = bind.path;
                    point.propagation = propagation(bind.propagation, bind.recursive);
                }
                Source::Volume { name, .. } => {
                    point.kind = "volume";
                    let volume = name.as_deref().and_then(|name| Volume::find(name).ok());
                    point.source = volume.map(|volume| volume.data()).unwrap_or_default();
                    (point.name, point.driver) = (name, Some("local"));
                }
                Source::Tmpfs(_) => {}
            }
            point
        })
        .collect())
}

fn propagation(propagation: Propagation, recursive: bool) -> &'static str {
    match (propagation, recursive) {
        (Propagation::Private, true) => "rprivate",
        (Propagation::Private, false) => "private",
        (Propagation::Slave, true) => "rslave",
        (Propagation::Slave, false) => "slave",
        (Propagation::Shared, true) => "rshared",
        (Propagation::Shared, false) => "shared",
    }
}
