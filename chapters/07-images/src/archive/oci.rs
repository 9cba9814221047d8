//! An OCI image layout in an archive (image-spec image-layout.md).

use oci_spec::image::{Descriptor, ImageIndex};
use process::Result;

use super::load::{Found, Incoming};
use super::spool::Spool;
use super::{IMAGE_NAME, INDEX_JSON, corrupt};
use crate::manifest::{self, Parsed};
use crate::registry::size;
use crate::store::{FROM_INDEX, REF_NAME, Store};
use crate::{Platform, Reference, digest};

/// Reads all images that `index.json` names.
///
/// # Errors
/// A document or a blob that is missing or not what it claims to be.
pub fn read(spool: &Spool, store: &Store, platform: Option<&Platform>) -> Result<Vec<Found>> {
    let bytes = spool.document(INDEX_JSON)?;
    let index: ImageIndex =
        serde_json::from_slice(&bytes).map_err(|error| corrupt(format!("{INDEX_JSON} is malformed: {error}")))?;
    let read = Read { spool, store, platform };
    let found: Vec<_> = index.manifests().iter().map(|entry| read.entry(entry)).collect::<Result<_>>()?;
    if found.is_empty() {
        return Err(corrupt(format!("{INDEX_JSON} names no image")));
    }
    Ok(found)
}

struct Read<'a> {
    spool: &'a Spool,
    store: &'a Store,
    platform: Option<&'a Platform>,
}

impl Read<'_> {
    fn entry(&self, entry: &Descriptor) -> Result<Found> {
        let name = name(entry);
        let what = name.as_ref().map_or_else(|| digest::short(entry.digest()).to_owned(), Reference::familiar);
        let bytes = self.document(&format!("the manifest of {what}"), entry)?;
        let (index, bytes, descriptor, manifest) =
            match manifest::parse(&what, &bytes, Some(entry.media_type().as_ref()))? {
                Parsed::Manifest(manifest) => (None, bytes, entry.clone(), manifest),
                Parsed::Index(list) => {
                    let here = Platform::here();
                    let chosen = manifest::choose(&what, &list, self.platform.unwrap_or(&here))?.clone();
                    let child = self.document(&format!("the manifest of {what}"), &chosen)?;
                    let Parsed::Manifest(manifest) =
                        manifest::parse(&what, &child, Some(chosen.media_type().as_ref()))?
                    else {
                        return Err(corrupt(format!("{what} is an index of indexes")));
                    };
                    (Some((entry.digest().clone(), bytes)), child, chosen, manifest)
                }
            };
        let what = format!("the configuration of {what}");
        let config_bytes = self.document(&what, manifest.config())?;
        let config = manifest::parse_config(&what, &config_bytes, &manifest)?;
        let layers = manifest.layers().iter().map(|layer| self.layer(layer)).collect::<Result<_>>()?;
        // Only what we understand of what the archive says of the image.
        let mut clean =
            Descriptor::new(descriptor.media_type().clone(), bytes.len() as u64, descriptor.digest().clone());
        clean.set_platform(descriptor.platform().clone());
        let from = index.as_ref().map(|(digest, _)| [(FROM_INDEX.to_owned(), digest.to_string())].into());
        clean.set_annotations(from);
        let (index, names) = (index.map(|(_, bytes)| bytes), name.into_iter().collect());
        Ok(Found { manifest: *manifest, bytes, descriptor: clean, config, config_bytes, layers, index, names })
    }

    /// A document of the archive, or of the store if the archive leaves it out.
    fn document(&self, what: &str, descriptor: &Descriptor) -> Result<Vec<u8>> {
        digest::supported(descriptor.digest())?;
        match self.spool.blob(descriptor.digest()) {
            Some(file) => {
                size(what, descriptor.size(), file.size)?;
                file.read(what)
            }
            None => self.store.read_blob(what, descriptor.digest()).map_err(|_| self.missing(what, descriptor)),
        }
    }

    fn layer(&self, layer: &Descriptor) -> Result<Incoming> {
        let what = format!("the layer {}", digest::short(layer.digest()));
        match self.spool.blob(layer.digest()) {
            Some(file) => {
                size(&what, layer.size(), file.size)?;
                Ok(Incoming { descriptor: layer.clone(), path: Some(file.path.clone()) })
            }
            None if self.store.has_blob(layer) => Ok(Incoming { descriptor: layer.clone(), path: None }),
            None => Err(self.missing(&what, layer)),
        }
    }

    fn missing(&self, what: &str, blob: &Descriptor) -> process::Error {
        let path = format!("blobs/sha256/{}", digest::hex(blob.digest()));
        match self.spool.get(&path) {
            Some(file) => corrupt(format!("{what}: its digest is {}, not {}", file.digest, blob.digest())),
            None => corrupt(format!("{what} is missing: {path}")),
        }
    }
}

/// The name of an entry. One word may be only a tag, as other tools write it: then the image has no name.
fn name(entry: &Descriptor) -> Option<Reference> {
    let annotation = |key: &str| entry.annotations().as_ref()?.get(key).cloned();
    let whole = annotation(IMAGE_NAME).or_else(|| annotation(REF_NAME).filter(|name| name.contains([':', '/'])));
    whole?.parse::<Reference>().ok()
}
