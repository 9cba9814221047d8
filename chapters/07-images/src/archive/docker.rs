//! A Docker archive: `manifest.json` and what it names (moby, image/spec/spec.md, "Combined Image JSON").

use oci_spec::image::{Descriptor, ImageManifestBuilder, MediaType};
use process::{Error, Result};
use serde::{Deserialize, Serialize};

use super::load::{Found, Incoming};
use super::spool::{Spool, Spooled};
use super::{MANIFEST_JSON, corrupt};
use crate::media::Compression;
use crate::store::Store;
use crate::{Reference, digest, manifest};

/// One image of `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Item {
    /// The path of its configuration.
    pub config: String,
    /// Its names; `null` for none.
    pub repo_tags: Option<Vec<String>>,
    /// The paths of its layers, the lowest first.
    pub layers: Vec<String>,
}

/// Reads all images of `manifest.json`. A manifest is made for each: the archive has none.
///
/// # Errors
/// A file that is missing or malformed.
pub fn read(spool: &Spool, store: &Store) -> Result<Vec<Found>> {
    let bytes = spool.document(MANIFEST_JSON)?;
    let items: Vec<Item> =
        serde_json::from_slice(&bytes).map_err(|error| corrupt(format!("{MANIFEST_JSON} is malformed: {error}")))?;
    if items.is_empty() {
        return Err(corrupt(format!("{MANIFEST_JSON} names no image")));
    }
    items.iter().map(|item| image(spool, store, item)).collect()
}

fn image(spool: &Spool, store: &Store, item: &Item) -> Result<Found> {
    let names: Vec<Reference> = item
        .repo_tags
        .iter()
        .flatten()
        .map(|name| name.parse().map_err(|error: Error| error.at(MANIFEST_JSON)))
        .collect::<Result<_>>()?;
    let config_bytes = spool.document(&item.config)?;
    let config = Descriptor::new(MediaType::ImageConfig, config_bytes.len() as u64, digest::of(&config_bytes));
    let what = names.first().map_or_else(|| digest::short(config.digest()).to_owned(), Reference::familiar);
    let layers = item.layers.iter().map(|name| layer(spool, name)).collect::<Result<Vec<_>>>()?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(layers.iter().map(|layer| layer.descriptor.clone()).collect::<Vec<_>>())
        .build()
        .map_err(|error| corrupt(format!("{what}: {error}")))?;
    let config = manifest::parse_config(&format!("the configuration of {what}"), &config_bytes, &manifest)?;
    let bytes = serde_json::to_vec(&manifest).map_err(corrupt)?;
    // An image that is here under its own manifest keeps that: the same ID stays the same image.
    let known = store.images()?.into_iter().find(|known| known.id() == manifest.config().digest());
    if let Some(known) = known.filter(|known| known.is_complete(store)) {
        let bytes = store.read_blob(&format!("the manifest of {what}"), known.descriptor.digest())?;
        let layers = known.manifest.layers().iter().map(|blob| Incoming { descriptor: blob.clone(), path: None });
        let layers = layers.collect();
        return Ok(Found {
            manifest: known.manifest,
            bytes,
            descriptor: known.descriptor,
            config,
            config_bytes,
            layers,
            index: None,
            names,
        });
    }
    let descriptor = Descriptor::new(MediaType::ImageManifest, bytes.len() as u64, digest::of(&bytes));
    Ok(Found { manifest, bytes, descriptor, config, config_bytes, layers, index: None, names })
}

fn layer(spool: &Spool, name: &str) -> Result<Incoming> {
    let file = spool.get(name).ok_or_else(|| corrupt(format!("the layer {name} is missing")))?;
    describe(file)
}

/// A layer's descriptor, from the file alone.
///
/// # Errors
/// As read(2); a packing that we do not know.
pub fn describe(file: &Spooled) -> Result<Incoming> {
    let media_type = match file.compression()? {
        Compression::None => MediaType::ImageLayer,
        Compression::Gzip => MediaType::ImageLayerGzip,
        Compression::Zstd => MediaType::ImageLayerZstd,
    };
    let descriptor = Descriptor::new(media_type, file.size, file.digest.clone());
    Ok(Incoming { descriptor, path: Some(file.path.clone()) })
}
