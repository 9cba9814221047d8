//! Taking names and images away, and sweeping what no image needs any more.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use layers::ContainerDir;
use namespaces::running;
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

/// What a sweep has removed.
#[derive(Debug, Default)]
pub struct Swept {
    /// The layers' names.
    pub layers: Vec<String>,
    /// Bytes of blobs and of unpacked files.
    pub bytes: u64,
}

impl Swept {
    /// The layers as `rmi` tells them, the topmost first as far as that is known.
    fn layers(self) -> impl Iterator<Item = Removed> {
        self.layers.into_iter().rev().map(Removed::Deleted)
    }
}

impl Store {
    /// Takes away a name, or with an ID all names; an image without a name is deleted.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] if a container stands on it, or if it has several names and
    /// only its ID was given, unless `force`. Not even `force` deletes what a container runs on: by its ID that is an
    /// error, by its last name it stays without one.
    pub fn remove(&self, text: &str, force: bool) -> Result<Vec<Removed>> {
        let image = self.find(text)?;
        let (names, by_id) = self.meant(&image, text, force)?;
        let digest = image.descriptor.digest();
        // Whether a container stands on it is asked under the lock: what the answer allows is done before it is given back.
        let last = self.change(|entries| {
            let mut last = !entries.iter().any(|entry| entry.digest() == digest && is_other(entry, &names));
            if last {
                last = self.unused(&image, text, force, by_id)?;
            }
            names.iter().for_each(|reference| index::unname(entries, reference));
            if last {
                entries.retain(|entry| entry.digest() != digest);
            }
            Ok(last)
        })?;
        let mut removed: Vec<_> = names.iter().map(|name| Removed::Untagged(name.familiar())).collect();
        if last {
            removed.push(Removed::Deleted(image.id().to_string()));
            removed.extend(self.sweep()?.layers());
        }
        Ok(removed)
    }

    /// Which of its names go, and whether it was named by its ID.
    fn meant(&self, image: &Image, text: &str, force: bool) -> Result<(Vec<Reference>, bool)> {
        let reference = text.parse::<Reference>().ok();
        if let Some(reference) = reference.as_ref().filter(|reference| image.names.contains(reference)) {
            return Ok((vec![reference.clone()], false));
        }
        // A digest means all names that the image has in this repository.
        if let Some(reference) = reference.filter(|reference| reference.digest().is_some()) {
            let same = image.names.iter().filter(|name| name.name() == reference.name());
            return Ok((same.cloned().collect(), false));
        }
        if image.names.len() > 1 && !force {
            let names: Vec<_> = image.names.iter().map(Reference::familiar).collect();
            let what = format!("the image {text} has several names: {}", names.join(", "));
            return Err(Error::new(Kind::Conflict, what).help("remove one of the names, or all with --force"));
        }
        Ok((image.names.clone(), true))
    }

    /// Does no container stand on the image, or may it go all the same? Or may only its name?
    fn unused(&self, image: &Image, text: &str, force: bool, by_id: bool) -> Result<bool> {
        let mut may_go = true;
        let running = running::list()?;
        let is_running = |id: &str| running.iter().any(|one| one.id == id && one.is_alive());
        let users = containers()?.into_iter().filter(|(_, digest)| digest == image.descriptor.digest().as_ref());
        for (id, _) in users {
            let short = id.get(..12).unwrap_or(&id);
            let conflict = |what: String| Err(Error::new(Kind::Conflict, what));
            match (force, is_running(&id)) {
                (false, _) => {
                    return conflict(format!("the image {text} is used by the container {short}")).map_err(|error| {
                        error.help("remove the container first, or take away the name only with --force")
                    });
                }
                (true, true) if by_id => {
                    return conflict(format!("the image {text} is used by the running container {short}"))
                        .map_err(|error| error.help("this cannot be forced: end the container first"));
                }
                (true, is_running) => may_go &= !is_running,
            }
        }
        Ok(may_go)
    }

    /// Removes images that have no name, or with `all` those that no container stands on; of these, those that `wanted`
    /// accepts. Gives what was removed, and the bytes that the disk has back.
    ///
    /// # Errors
    /// As [`sweep`](Self::sweep).
    pub fn prune(&self, all: bool, wanted: impl Fn(&Image) -> bool) -> Result<(Vec<Removed>, u64)> {
        let mut removed = Vec::new();
        for image in self.images()?.into_iter().filter(|image| (all || image.names.is_empty()) && wanted(image)) {
            let digest = image.descriptor.digest();
            // Its names may have changed since: what a name was given to meanwhile is not dangling any more.
            let gone = self.change(|entries| {
                let (mine, others): (Vec<_>, Vec<_>) =
                    entries.drain(..).partition(|entry: &Descriptor| entry.digest() == digest);
                let named = mine.iter().any(|entry| index::name(entry).is_some());
                let used = containers()?.iter().any(|(_, manifest)| manifest == digest.as_ref());
                let gone = !mine.is_empty() && !used && (all || !named);
                *entries = others;
                if !gone {
                    entries.extend(mine);
                    entries.sort_by_key(|entry| index::name(entry).map(str::to_owned));
                }
                Ok(gone)
            })?;
            if gone {
                removed.extend(image.names.iter().map(|name| Removed::Untagged(name.familiar())));
                removed.push(Removed::Deleted(image.id().to_string()));
            }
        }
        let swept = self.sweep()?;
        let bytes = swept.bytes;
        removed.extend(swept.layers());
        Ok((removed, bytes))
    }

    /// Removes blobs and layers that neither an image nor a container needs.
    ///
    /// While somebody [holds](Self::hold) the store nothing is removed; the next call does it then.
    ///
    /// # Errors
    /// Of reading the index or removing a file.
    pub fn sweep(&self) -> Result<Swept> {
        let Some(_alone) = Lock::try_exclusive(&self.data.join("images.hold"))? else { return Ok(Swept::default()) };
        let _lock = self.lock()?;
        let (mut blobs, mut layers) = (HashSet::new(), HashSet::new());
        // What cannot be read might need anything: then nothing is removed.
        let entries = self.entries()?;
        if !entries.iter().all(|entry| self.needs(entry, &mut blobs, &mut layers)) {
            return Ok(Swept::default());
        }
        for (_, manifest) in containers()? {
            if let Ok(digest) = digest::parse(&manifest)
                && let Ok(meta) = fs::metadata(self.blob_path(&digest))
            {
                let kind = oci_spec::image::MediaType::ImageManifest;
                if !self.needs(&Descriptor::new(kind, meta.len(), digest), &mut blobs, &mut layers) {
                    return Ok(Swept::default());
                }
            }
        }
        let mut swept = Swept::default();
        remove_others(&self.blob_directory(), &blobs, |path, _| {
            swept.bytes += fs::metadata(path).map_or(0, |about| about.len());
            fs::remove_file(path)
        })?;
        remove_others(&self.layer_directory(), &layers, |path, name| {
            let chain = digest::parse(&format!("sha256:{name}")).ok();
            let info = chain.and_then(|chain| self.layer_info(&chain).ok());
            self.discard(path)?;
            swept.bytes += info.map_or(0, |info| info.size);
            swept.layers.push(format!("sha256:{name}"));
            Ok(())
        })?;
        swept.layers.sort();
        Ok(swept)
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
///
/// # Errors
/// An unreadable directory of containers.
pub fn containers() -> Result<Vec<(String, String)>> {
    let manifest = |dir: &ContainerDir| dir.config().annotations.get(MANIFEST).cloned();
    let all = ContainerDir::list()?;
    Ok(all.iter().filter_map(|dir| Some((dir.config().id.clone(), manifest(dir)?))).collect())
}

/// Has the image this name, too, beside those that go?
fn is_other(entry: &Descriptor, names: &[Reference]) -> bool {
    index::name(entry).is_some_and(|name| !names.iter().any(|gone| gone.to_string() == name))
}

fn remove_others(
    directory: &Path,
    needed: &HashSet<String>,
    mut remove: impl FnMut(&Path, &str) -> std::io::Result<()>,
) -> Result<()> {
    let entries = fs::read_dir(directory).or_call("open", directory.display())?;
    for name in entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        if !needed.contains(&name) {
            remove(&directory.join(&name), &name).or_call("remove", directory.join(&name).display())?;
        }
    }
    Ok(())
}
