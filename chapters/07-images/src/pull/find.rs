//! What a name means: the manifest for a platform, and its configuration.

use oci_spec::image::{Descriptor, Digest, ImageConfiguration, ImageManifest};
use process::{Error, Result};

use super::progress::Progress;
use crate::manifest::{self, Parsed};
use crate::registry::{Fetched, Registry};
use crate::store::Store;
use crate::{Platform, Reference};

/// A manifest, and how it was found.
pub struct Found {
    /// The digest of what the name means.
    pub top: Digest,
    /// The index that it was chosen from.
    pub index: Option<Fetched>,
    /// The manifest as it came.
    pub document: Fetched,
    /// What the index says of it.
    pub descriptor: Option<Descriptor>,
    /// The manifest as it was understood.
    pub manifest: Box<ImageManifest>,
}

/// What a name is looked up with.
pub struct Finding<'a> {
    /// Where it may be already.
    pub store: &'a Store,
    /// Where it is to be had.
    pub registry: &'a Registry,
    /// The name.
    pub reference: &'a Reference,
}

impl Finding<'_> {
    /// The manifest that the name means for `platform`. `known`: the name means something here, which it may still
    /// mean there.
    ///
    /// # Errors
    /// As [`Registry::resolve`]; no image for the platform.
    pub fn find(&self, known: bool, platform: Option<&Platform>) -> Result<Found> {
        let name = self.reference.familiar();
        let kept = |digest: &Digest| self.store.read_blob("a manifest", digest).ok();
        let fetched = self.registry.resolve(known.then_some(&kept))?;
        let top = fetched.digest.clone();
        match manifest::parse(&name, &fetched.bytes, fetched.media_type.as_deref())? {
            Parsed::Manifest(manifest) => Ok(Found { top, index: None, document: fetched, descriptor: None, manifest }),
            Parsed::Index(index) => {
                let here = Platform::here();
                let chosen = manifest::choose(&name, &index, platform.unwrap_or(&here))?;
                let document = self.child(chosen)?;
                let what = format!("{name} for {}", platform.unwrap_or(&here));
                match manifest::parse(&what, &document.bytes, document.media_type.as_deref())? {
                    Parsed::Manifest(manifest) => {
                        Ok(Found { top, index: Some(fetched), document, descriptor: Some(chosen.clone()), manifest })
                    }
                    Parsed::Index(_) => Err(Error::unsupported(format!("{name} is an index of indexes"))),
                }
            }
        }
    }

    /// A manifest that an index names: from the store, if it is there undamaged.
    fn child(&self, chosen: &Descriptor) -> Result<Fetched> {
        let kept = self.store.read_blob("a manifest", chosen.digest()).ok();
        match kept.filter(|bytes| bytes.len() as u64 == chosen.size()) {
            Some(bytes) => {
                let (media_type, digest) = (Some(chosen.media_type().to_string()), chosen.digest().clone());
                Ok(Fetched { bytes, media_type, digest })
            }
            None => self.registry.child(chosen),
        }
    }

    /// The configuration, from the store if it is there undamaged.
    ///
    /// # Errors
    /// As [`Registry::small_blob`]; it does not fit the manifest.
    pub fn configuration(&self, manifest: &ImageManifest) -> Result<(Vec<u8>, ImageConfiguration)> {
        let what = format!("the configuration of {}", self.reference.familiar());
        let bytes = match self.store.read_blob(&what, manifest.config().digest()) {
            Ok(bytes) => bytes,
            Err(_) => self.registry.small_blob(&what, manifest.config())?,
        };
        let config = manifest::parse_config(&what, &bytes, manifest)?;
        Ok((bytes, config))
    }
}

/// An image for another platform is refused if one was asked for, and mentioned if not: binfmt_misc may run it.
///
/// # Errors
/// It is refused.
pub fn check_platform(
    reference: &Reference,
    wanted: Option<&Platform>,
    config: &ImageConfiguration,
    progress: &dyn Progress,
) -> Result<()> {
    let (is, here) = (Platform::of_config(config), Platform::here());
    if wanted.unwrap_or(&here).suits(&is).is_some() {
        return Ok(());
    }
    let name = reference.familiar();
    match wanted {
        Some(wanted) => Err(Error::not_found(format!("{name} is for {is}, not for {wanted}"))
            .help("leave --platform out to take it as it is")),
        None => {
            progress.message(&format!("warning: {name} is for {is}, this machine is {here}"));
            Ok(())
        }
    }
}
