//! Pulling: manifest, configuration, layers; verified, unpacked, then made visible in one go.

mod decompress;
mod find;
mod layer;
mod layers;
mod pipe;
mod progress;

use oci_spec::image::{Digest, MediaType};
use process::{Error, Kind, Result};

pub(crate) use decompress::decompress;
pub use layers::{Layers, Origin, Packed};
pub use progress::{Bars, Lines, Notes, Progress, Silent, State, for_terminal};

use crate::registry::Registry;
use crate::store::{Image, Store, Work};
use crate::{Platform, Reference, host};

use find::{Finding, Found, check_platform};

/// What a pull has brought.
#[derive(Debug)]
pub struct Pulled {
    /// The image, complete in the store.
    pub image: Image,
    /// The digest of what the registry has under the name: of the index, if there is one.
    pub digest: Digest,
    /// Did the name mean something else here before?
    pub changed: bool,
}

/// Fetches the image that `reference` means for `platform`; without one, for this machine.
///
/// What is here already is not fetched again. The layers' threads have ended when this returns.
///
/// # Errors
/// See [`Registry::resolve`]; [`Kind::Corrupt`] for blobs that are not what they claim to be, naming
/// the blob, what was expected and what came. Nothing of it is in the store then.
pub fn pull(
    store: &Store,
    reference: &Reference,
    platform: Option<&Platform>,
    progress: &dyn Progress,
) -> Result<Pulled> {
    if reference.is_host() {
        let here = Platform::here();
        if let Some(other) = platform.filter(|wanted| wanted.suits(&here).is_none()) {
            return Err(Error::invalid(format!(
                "the image host is made of this machine's programs: {here}, not {other}"
            ))
            .help("leave --platform out, or take an image from a registry"));
        }
        return host::build(store, reference, progress);
    }
    store.cleanly(|| attempt(store, reference, platform, progress))
}

fn attempt(
    store: &Store,
    reference: &Reference,
    platform: Option<&Platform>,
    progress: &dyn Progress,
) -> Result<Pulled> {
    let work = store.work()?;
    let before = store.find_reference(reference)?;
    progress.message(&format!("{}: Pulling from {}", reference.wanted(), reference.path()));
    let registry = Registry::of(reference)?;
    let finding = Finding { store, registry: &registry, reference };
    let found = finding.find(before.is_some(), platform)?;
    let (config_bytes, config) = finding.configuration(&found.manifest)?;
    check_platform(reference, platform, &config, progress)?;
    let packed = |blob| Packed { blob, origin: Origin::Registry(&registry) };
    let packed = found.manifest.layers().iter().map(packed).collect();
    Layers { store, work: work.path(), packed, config: &config }.bring(progress)?;
    let image = commit(store, &work, reference, &found, &config_bytes)?;
    let changed = before.is_none_or(|before| before.descriptor.digest() != image.descriptor.digest());
    Ok(Pulled { image, digest: found.top, changed })
}

/// Writes the documents, as the bytes that they came as, and gives the image its name: the last step.
fn commit(store: &Store, work: &Work, reference: &Reference, found: &Found, config: &[u8]) -> Result<Image> {
    let config_type = found.manifest.config().media_type().clone();
    store.write_blob(work.path(), config_type, config)?;
    if let Some(index) = &found.index {
        store.write_blob(work.path(), MediaType::ImageIndex, &index.bytes)?;
    }
    let media_type = match (found.manifest.media_type(), &found.document.media_type) {
        (Some(own), _) => own.clone(),
        (None, Some(header)) => MediaType::from(header.as_str()),
        (None, None) => MediaType::ImageManifest,
    };
    let mut descriptor = store.write_blob(work.path(), media_type, &found.document.bytes)?;
    if let Some(chosen) = &found.descriptor {
        descriptor.set_platform(chosen.platform().clone());
    }
    let from = found.index.as_ref().map(|index| (crate::store::FROM_INDEX.to_owned(), index.digest.to_string()));
    descriptor.set_annotations(from.map(|pair| [pair].into()));
    // A tag beside a digest is what somebody remembers, not what the registry was asked.
    let name = reference.digest().map_or_else(|| reference.clone(), |digest| reference.with_digest(digest.clone()));
    store.record(&name, &descriptor)?;
    store
        .find_reference(&name)?
        .ok_or_else(|| Error::new(Kind::Conflict, format!("{} was removed while it was pulled", name.familiar())))
}
