//! `load`: images from an archive, into the store.

use std::io::Read;
use std::path::PathBuf;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest};
use process::{OrCall, Result};

use super::spool::Spool;
use super::{INDEX_JSON, Loaded, MANIFEST_JSON, corrupt, docker, oci};
use crate::pull::{Layers, Notes, Origin, Packed};
use crate::store::{Store, Work};
use crate::{Platform, Reference, digest};

/// A layer's packed archive in a file of ours.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// What the manifest says of it.
    pub descriptor: Descriptor,
    /// Where it lies; none if it is in the store.
    pub path: Option<PathBuf>,
}

/// An image of an archive, read and verified, but for its layers' contents.
pub struct Found {
    /// Its manifest.
    pub manifest: ImageManifest,
    /// The bytes that the manifest came as, or that were made for it.
    pub bytes: Vec<u8>,
    /// What the manifest will be known as, with its annotations.
    pub descriptor: Descriptor,
    /// Its configuration.
    pub config: ImageConfiguration,
    /// The bytes of the configuration.
    pub config_bytes: Vec<u8>,
    /// Its layers.
    pub layers: Vec<Incoming>,
    /// The index that it was chosen from, whose digest is in the descriptor's annotations.
    pub index: Option<Vec<u8>>,
    /// Its names.
    pub names: Vec<Reference>,
}

/// Loads all images of an archive; of one for several platforms, that for `platform`, or else for this machine.
///
/// # Errors
/// [`Kind::Corrupt`](process::Kind::Corrupt) for an archive that is none, or whose blobs are not what they claim to
/// be. The images before the bad one stay.
pub fn load(store: &Store, archive: impl Read, platform: Option<&Platform>) -> Result<Vec<Loaded>> {
    store.cleanly(|| attempt(store, archive, platform))
}

fn attempt(store: &Store, archive: impl Read, platform: Option<&Platform>) -> Result<Vec<Loaded>> {
    let work = store.work()?;
    let spool = Spool::read(archive, work.path())?;
    // An archive that is both is read as a layout: so the manifests keep their digests.
    let found = match (spool.get(INDEX_JSON), spool.get(MANIFEST_JSON)) {
        (Some(_), _) => oci::read(&spool, store, platform)?,
        (None, Some(_)) => docker::read(&spool, store)?,
        (None, None) => return Err(corrupt("it has neither index.json nor manifest.json")),
    };
    let mut loaded: Vec<Loaded> = Vec::new();
    for image in found {
        let image = keep(store, &work, &image)?;
        // A layout has an entry for each name.
        match loaded.iter_mut().find(|other| other.id == image.id) {
            Some(other) => other.names.extend(image.names),
            None => loaded.push(image),
        }
    }
    Ok(loaded)
}

/// Takes one image in, and then gives it its names.
pub fn keep(store: &Store, work: &Work, image: &Found) -> Result<Loaded> {
    // Of an archive with several images, each has a place of its own.
    let place = work.path().join(format!("image-{}", digest::hex(image.descriptor.digest())));
    std::fs::create_dir_all(&place).or_call("mkdir", place.display())?;
    let packed = image.layers.iter().map(packed).collect();
    Layers { store, work: &place, packed, config: &image.config }.bring(&Notes)?;
    let config_type = image.manifest.config().media_type().clone();
    let id = store.write_blob(work.path(), config_type, &image.config_bytes)?.digest().clone();
    if let Some(index) = &image.index {
        store.write_blob(work.path(), oci_spec::image::MediaType::ImageIndex, index)?;
    }
    store.write_blob(work.path(), image.descriptor.media_type().clone(), &image.bytes)?;
    let mut names = image.names.clone();
    // That name is for what is made of this machine; an image of another one is not it.
    let known = store.images()?.into_iter().find(|other| other.id() == &id);
    names.retain(|name| {
        let kept = !name.is_host() || known.as_ref().is_some_and(|image| image.names.contains(name));
        if !kept {
            eprintln!("warning: the name host is kept for the image that is made from this machine: tag it as another");
        }
        kept
    });
    for name in &names {
        store.record(name, &image.descriptor)?;
    }
    if names.is_empty() {
        store.record_nameless(&image.descriptor)?;
    }
    Ok(Loaded { id, names })
}

/// The file, unless an image before this one has had it taken into the store.
fn packed(layer: &Incoming) -> Packed<'_> {
    let path = layer.path.as_deref().filter(|path| path.exists());
    Packed { blob: &layer.descriptor, origin: path.map_or(Origin::Store, Origin::File) }
}
