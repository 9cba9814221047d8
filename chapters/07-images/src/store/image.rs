//! An image of the store: its names, its manifest, its configuration, its layers.

use std::path::PathBuf;

use oci_spec::image::{Descriptor, Digest, ImageConfiguration, ImageManifest};
use process::{Error, Kind, Result};

use super::Store;
use super::index::{self, FROM_INDEX};
use crate::manifest::{self, Parsed};
use crate::{Platform, Reference, digest};

/// One image, with every name that it has.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its names, in the order of the alphabet; none for an image whose name was given to another.
    pub names: Vec<Reference>,
    /// Its manifest's media type, digest and size.
    pub descriptor: Descriptor,
    /// What the manifest says.
    pub manifest: ImageManifest,
    /// What the configuration says.
    pub config: ImageConfiguration,
    /// The names of the unpacked layers, lowest first.
    pub chain: Vec<Digest>,
}

impl Image {
    /// The image's ID: the digest of its configuration, as Docker has it.
    pub fn id(&self) -> &Digest {
        self.manifest.config().digest()
    }

    /// The platform that it was built for.
    pub fn platform(&self) -> Platform {
        Platform::of_config(&self.config)
    }

    /// The digest of the index that the manifest was chosen from.
    pub fn from_index(&self) -> Option<&str> {
        index::annotation(&self.descriptor, FROM_INDEX)
    }

    /// The directories of its layers, topmost first, as overlayfs takes them.
    pub fn lowers(&self, store: &Store) -> Vec<PathBuf> {
        self.chain.iter().rev().map(|id| store.layer_path(id)).collect()
    }

    /// Are all layers unpacked and all blobs there?
    pub fn is_complete(&self, store: &Store) -> bool {
        self.chain.iter().all(|id| store.has_layer(id))
            && self.manifest.layers().iter().all(|blob| store.has_blob(blob))
    }
}

impl Store {
    /// All images, each once, with their names.
    ///
    /// # Errors
    /// An unreadable index. An image whose blobs are damaged is left out, with a warning.
    pub fn images(&self) -> Result<Vec<Image>> {
        let mut images: Vec<Image> = Vec::new();
        for entry in self.entries()? {
            let reference = index::name(&entry).and_then(|name| name.parse().ok());
            match images.iter_mut().find(|image| image.descriptor.digest() == entry.digest()) {
                Some(known) => known.names.extend(reference),
                None => match self.load(&entry) {
                    Ok(image) => images.push(Image { names: reference.into_iter().collect(), ..image }),
                    Err(error) => eprintln!("warning: {error}"),
                },
            }
        }
        Ok(images)
    }

    /// The image that a person means: by name, by ID, or by the beginning of an ID.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] if the beginning fits several; [`Kind::Invalid`] for no name at all.
    pub fn find(&self, text: &str) -> Result<Image> {
        let images = self.images()?;
        let reference = text.parse::<Reference>();
        if let Ok(found) = reference.as_ref().map(|reference| by_name(&images, reference))
            && let Some(image) = found
        {
            return Ok(image.clone());
        }
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let fits = |digest: &Digest| digest::hex(digest).starts_with(hex);
        let is_hex = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut fitting = images.iter().filter(|image| is_hex && (fits(image.id()) || fits(image.descriptor.digest())));
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Ok(one.clone()),
            (Some(_), Some(_)) => {
                Err(Error::new(Kind::Conflict, format!("several images' IDs begin with {text}"))
                    .help("give more digits"))
            }
            (None, _) => match reference {
                Err(error) if !is_hex => Err(error),
                Ok(reference) if !is_hex || hex.len() < 6 => {
                    Err(Error::not_found(format!("there is no image {} here", reference.familiar()))
                        .help("`images` lists those that there are, `pull` fetches others"))
                }
                _ => Err(Error::not_found(format!("there is no image {text} here"))
                    .help("`images` lists those that there are, `pull` fetches others")),
            },
        }
    }

    /// The image of exactly this reference, if it is here.
    ///
    /// # Errors
    /// An unreadable index.
    pub fn find_reference(&self, reference: &Reference) -> Result<Option<Image>> {
        Ok(by_name(&self.images()?, reference).cloned())
    }

    /// Reads manifest and configuration.
    ///
    /// # Errors
    /// A blob that is missing or damaged.
    pub fn load(&self, entry: &Descriptor) -> Result<Image> {
        let what = index::name(entry).map_or_else(|| digest::short(entry.digest()).to_owned(), str::to_owned);
        let bytes = self.read_blob(&format!("the manifest of {what}"), entry.digest())?;
        let Parsed::Manifest(manifest) = manifest::parse(&what, &bytes, Some(entry.media_type().as_ref()))? else {
            return Err(Error::unsupported(format!("{what} is an index of the layout, not an image")));
        };
        let what = format!("the configuration of {what}");
        let bytes = self.read_blob(&what, manifest.config().digest())?;
        let config = manifest::parse_config(&what, &bytes, &manifest)?;
        let chain = manifest::chain_ids(&manifest::diff_ids(&config)?);
        Ok(Image { names: Vec::new(), descriptor: entry.clone(), manifest: *manifest, config, chain })
    }
}

fn by_name<'a>(images: &'a [Image], reference: &Reference) -> Option<&'a Image> {
    let Some(wanted) = reference.digest() else {
        return images.iter().find(|image| image.names.contains(reference));
    };
    // A digest decides alone; the name must only be of the same repository.
    images.iter().find(|image| {
        let same = image.names.iter().any(|name| name.name() == reference.name());
        same && (image.descriptor.digest() == wanted || image.from_index() == Some(wanted.as_ref()))
    })
}
