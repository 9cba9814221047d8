//! Indexes, manifests and configurations: read strictly, kept as the bytes that they came as.

use oci_spec::image::{Descriptor, Digest, ImageConfiguration, ImageIndex, ImageManifest};
use process::{Error, Kind, Result};

use crate::media::{self, Compression, Document};
use crate::{Platform, digest};

/// The largest index, manifest or configuration that is read (the distribution specification asks for 4 MiB).
pub const LARGEST: u64 = 4 << 20;

/// More layers than overlayfs can stack (`OVL_MAX_STACK`, fs/overlayfs).
const MOST_LAYERS: usize = 500;

/// What a name or a digest leads to.
#[derive(Debug, Clone)]
pub enum Parsed {
    /// One manifest per platform.
    Index(Box<ImageIndex>),
    /// One image.
    Manifest(Box<ImageManifest>),
}

/// Reads what a registry or the store has under an image's name.
///
/// # Errors
/// [`Kind::Corrupt`] if it is no JSON of that form; see also [`media::document`].
pub fn parse(what: &str, bytes: &[u8], header: Option<&str>) -> Result<Parsed> {
    let json: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| corrupt(what, &error))?;
    Ok(match media::document(&json, header).map_err(|error| error.at(what))? {
        Document::Index => {
            Parsed::Index(Box::new(serde_json::from_value(json).map_err(|error| corrupt(what, &error))?))
        }
        Document::Manifest => {
            let manifest: ImageManifest = serde_json::from_value(json).map_err(|error| corrupt(what, &error))?;
            check(&manifest).map_err(|error| error.at(what))?;
            Parsed::Manifest(Box::new(manifest))
        }
    })
}

fn check(manifest: &ImageManifest) -> Result<()> {
    media::config(manifest.config().media_type())?;
    if manifest.config().size() > LARGEST {
        return Err(Error::unsupported(format!("the configuration is larger than {LARGEST} bytes")));
    }
    if manifest.layers().len() > MOST_LAYERS {
        let count = manifest.layers().len();
        return Err(Error::unsupported(format!("{count} layers are more than overlayfs can stack ({MOST_LAYERS})")));
    }
    for layer in manifest.layers() {
        digest::supported(layer.digest())?;
        media::layer(layer.media_type())
            .map_err(|error| error.at(format!("layer {}", digest::short(layer.digest()))))?;
    }
    digest::supported(manifest.config().digest())
}

/// The manifest of an index that suits `platform` best.
///
/// # Errors
/// [`Kind::NotFound`] naming the platforms that there are.
pub fn choose<'a>(what: &str, index: &'a ImageIndex, platform: &Platform) -> Result<&'a Descriptor> {
    let real = || index.manifests().iter().filter(|descriptor| !is_attestation(descriptor));
    // An index of one image may say nothing about its platform: then the image's configuration decides.
    let suits = |descriptor: &&Descriptor| match Platform::of_descriptor(descriptor) {
        Some(other) => platform.suits(&other),
        None => Some(u32::MAX),
    };
    let best = real().filter_map(|descriptor| Some((suits(&descriptor)?, descriptor))).min_by_key(|(rank, _)| *rank);
    best.map(|(_, descriptor)| descriptor).ok_or_else(|| {
        let mut names: Vec<_> = real().filter_map(Platform::of_descriptor).map(|other| other.to_string()).collect();
        names.dedup();
        let names = if names.is_empty() { "no platform at all".into() } else { names.join(", ") };
        Error::not_found(format!("{what} has no image for {platform}")).help(format!("it has {names}: see --platform"))
    })
}

/// buildx puts statements about an image into the index, as manifests for a platform that is none.
fn is_attestation(descriptor: &Descriptor) -> bool {
    let says = |key: &str| descriptor.annotations().as_ref().is_some_and(|all| all.contains_key(key));
    says("vnd.docker.reference.type")
        || Platform::of_descriptor(descriptor)
            .is_some_and(|other| other.os == "unknown" && other.architecture == "unknown")
}

/// Reads an image's configuration and compares it with the manifest.
///
/// # Errors
/// [`Kind::Corrupt`] if it is no configuration, or names another number of layers than the manifest.
pub fn parse_config(what: &str, bytes: &[u8], manifest: &ImageManifest) -> Result<ImageConfiguration> {
    let config: ImageConfiguration = serde_json::from_slice(bytes).map_err(|error| corrupt(what, &error))?;
    let (ids, layers) = (config.rootfs().diff_ids().len(), manifest.layers().len());
    if ids != layers {
        let what = format!("{what}: the configuration names {ids} layers, the manifest {layers}");
        return Err(Error::new(Kind::Corrupt, what).help("the image was built wrongly; nothing of it was kept"));
    }
    diff_ids(&config)?;
    Ok(config)
}

/// The digests of the unpacked layers, lowest first.
///
/// # Errors
/// An entry that is no digest.
pub fn diff_ids(config: &ImageConfiguration) -> Result<Vec<Digest>> {
    config.rootfs().diff_ids().iter().map(|id| digest::parse(id)).collect()
}

/// The names of the layers together with all below them, lowest first (image-spec config.md, "Layer ChainID").
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for id in diff_ids {
        chain.push(match chain.last() {
            Some(below) => digest::of(format!("{below} {id}").as_bytes()),
            None => id.clone(),
        });
    }
    chain
}

/// How the layer is packed; [`parse`] has checked that we know.
///
/// # Errors
/// As [`media::layer`].
pub fn compression(layer: &Descriptor) -> Result<Compression> {
    media::layer(layer.media_type())
}

fn corrupt(what: &str, error: &serde_json::Error) -> Error {
    Error::new(Kind::Corrupt, format!("{what} is malformed: {error}"))
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
