//! Taking names and images away, and sweeping what no image needs any more.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use layers::ContainerDir;
use oci_spec::image::{Descriptor, Digest};
use process::{Error, Kind, OrCall, Result};

use super::lock::Lock;
use super::{Image, MANIFEST, Store, index};
use crate::{Reference, digest};

/// What `rmi` did, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// The image lost a name.
    Untagged(String),
    /// The image, or a layer of it, is gone.
    Deleted(String),
}

impl Store {
    /// Takes away a name, or with an ID all names; an image without a name is deleted.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] if a container stands on it, or if it has several names and
    /// only its ID was given, unless `force`.
    pub fn remove(&self, text: &str, force: bool) -> Result<Vec<Removed>> {
        let image = self.find(text)?;
        let by_name = text.parse::<Reference>().ok().filter(|reference| image.names.contains(reference));
        let names = match by_name {
            Some(reference) => vec![reference],
            None if image.names.len() > 1 && !force => {
                let names: Vec<_> = image.names.iter().map(Reference::familiar).collect();
                return Err(Error::new(
                    Kind::Conflict,
                    format!("the image {text} has several names: {}", names.join(", ")),
                )
                .help("remove one of the names, or all with --force"));
            }
            None => image.names.clone(),
        };
        let last = names.len() == image.names.len();
        if last && !force {
            self.unused(&image, text)?;
        }
        let digest = image.descriptor.digest();
        self.change(|entries| {
            names.iter().for_each(|reference| index::unname(entries, reference));
            if last {
                entries.retain(|entry| entry.digest() != digest);
            }
            Ok(())
        })?;
        let mut removed: Vec<_> = names.iter().map(|name| Removed::Untagged(name.familiar())).collect();
        if last {
            removed.push(Removed::Deleted(image.id().to_string()));
            removed.extend(self.sweep()?.into_iter().rev().map(|id| Removed::Deleted(format!("sha256:{id}"))));
        }
        Ok(removed)
    }

    /// Does no container stand on the image?
    fn unused(&self, image: &Image, text: &str) -> Result<()> {
        let mut users = containers()?.into_iter().filter(|(_, digest)| digest == image.descriptor.digest().as_ref());
        match users.next() {
            None => Ok(()),
            Some((id, _)) => Err(Error::new(
                Kind::Conflict,
                format!("the image {text} is used by the container {}", id.get(..12).unwrap_or(&id)),
            )
            .help("remove the container first, or take away the name only with --force")),
        }
    }

    /// Removes blobs and layers that neither an image nor a container needs; gives the layers' names.
    ///
    /// While somebody [holds](Self::hold) the store nothing is removed; the next call does it then.
    ///
    /// # Errors
    /// Of reading the index or removing a file.
    pub fn sweep(&self) -> Result<Vec<String>> {
        let Some(_alone) = Lock::try_exclusive(&self.data.join("images.hold"))? else { return Ok(Vec::new()) };
        let _lock = self.lock()?;
        let (mut blobs, mut layers) = (HashSet::new(), HashSet::new());
        // What cannot be read might need anything: then nothing is removed.
        let entries = self.entries()?;
        if !entries.iter().all(|entry| self.needs(entry, &mut blobs, &mut layers)) {
            return Ok(Vec::new());
        }
        for (_, manifest) in containers()? {
            if let Ok(digest) = digest::parse(&manifest)
                && let Ok(meta) = fs::metadata(self.blob_path(&digest))
            {
                let kind = oci_spec::image::MediaType::ImageManifest;
                if !self.needs(&Descriptor::new(kind, meta.len(), digest), &mut blobs, &mut layers) {
                    return Ok(Vec::new());
                }
            }
        }
        remove_others(&self.blob_directory(), &blobs, |path| fs::remove_file(path))?;
        remove_others(&self.layer_directory(), &layers, |path| self.discard(path))
    }

    /// A layer goes by a rename first: half of it is never seen under its name.
    fn discard(&self, layer: &Path) -> std::io::Result<()> {
        let grave =
            self.work_directory().join(format!("gone-{}", layer.file_name().unwrap_or_default().to_string_lossy()));
        fs::rename(layer, &grave)?;
        fs::remove_dir_all(&grave)
    }

    /// Notes everything that one image needs; false if it cannot be read.
    fn needs(&self, entry: &Descriptor, blobs: &mut HashSet<String>, layers: &mut HashSet<String>) -> bool {
        blobs.insert(digest::hex(entry.digest()).to_owned());
        let index = index::annotation(entry, index::FROM_INDEX);
        blobs.extend(index.and_then(|id| id.strip_prefix("sha256:")).map(str::to_owned));
        let Ok(image) = self.load(entry) else { return false };
        let all = image.manifest.layers().iter().chain([image.manifest.config()]);
        blobs.extend(all.map(|blob| digest::hex(blob.digest()).to_owned()));
        layers.extend(image.chain.iter().map(|id: &Digest| digest::hex(id).to_owned()));
        true
    }
}

/// The ids of containers, running or not, and the manifests of their images.
fn containers() -> Result<Vec<(String, String)>> {
    let manifest = |dir: &ContainerDir| dir.config().annotations.get(MANIFEST).cloned();
    let all = ContainerDir::list()?;
    Ok(all.iter().filter_map(|dir| Some((dir.config().id.clone(), manifest(dir)?))).collect())
}

fn remove_others(
    directory: &Path,
    needed: &HashSet<String>,
    remove: impl Fn(&Path) -> std::io::Result<()>,
) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).or_call("open", directory.display())?;
    let mut gone = Vec::new();
    for name in entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        if !needed.contains(&name) {
            remove(&directory.join(&name)).or_call("remove", directory.join(&name).display())?;
            gone.push(name);
        }
    }
    gone.sort();
    Ok(gone)
}
