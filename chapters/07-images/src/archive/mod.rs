//! Images as one file: `save`, `load` and `import`.
//!
//! Two forms are in use, both tar archives. An *OCI archive* holds an OCI image layout (`oci-layout`, `index.json`,
//! `blobs/`). A *Docker archive* holds a `manifest.json` that names, for each image, its configuration, its layers
//! and its tags. Docker writes archives that are both at once since version 25, and so do we: any tool reads them.

mod docker;
mod import;
mod load;
mod oci;
mod save;
mod spool;

use oci_spec::image::Digest;
use process::{Error, Kind};

use crate::Reference;

pub use import::{Import, import};
pub use load::load;
pub use save::{Format, save, wanted};

/// What Docker's archives have beside the OCI's annotation: the whole name of an image.
const IMAGE_NAME: &str = "io.containerd.image.name";
/// The file that names the images of a Docker archive.
const MANIFEST_JSON: &str = "manifest.json";
/// The file that names the images of an OCI layout.
const INDEX_JSON: &str = "index.json";

/// An image that has been loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its ID.
    pub id: Digest,
    /// The names that it has been given.
    pub names: Vec<Reference>,
}

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::new(Kind::Corrupt, format!("the archive of images is bad: {what}"))
        .help("nothing of it was kept; `save`, `skopeo copy` and `docker save` write archives that can be loaded")
}
