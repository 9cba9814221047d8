//! `save`: images of the store become an archive.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Write};

use oci_spec::image::{Descriptor, Digest, ImageIndexBuilder, MediaType};
use process::{Error, Kind, OrCall, Result};
use tar::{Builder, EntryType, Header};

use super::docker::Item;
use super::{IMAGE_NAME, INDEX_JSON, MANIFEST_JSON};
use crate::store::{Image, REF_NAME, Store};
use crate::{Reference, digest};

/// What the archive is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// As Docker writes it: a layout, and a manifest.json for older tools
    #[default]
    DockerArchive,
    /// An OCI image layout alone
    OciArchive,
}

/// Writes images, each with those names that are to be saved, to `out`. What they have in common is written once.
///
/// # Errors
/// A blob that is missing; as write(2).
pub fn save<W: Write>(store: &Store, images: &[(Image, Vec<Reference>)], format: Format, out: W) -> Result<W> {
    let mut save = Save { store, archive: Builder::new(out), written: HashSet::new() };
    save.directory("blobs/")?;
    save.directory("blobs/sha256/")?;
    let (mut entries, mut items) = (Vec::new(), Vec::new());
    for (image, names) in images {
        for blob in image.manifest.layers().iter().chain([image.manifest.config(), &image.descriptor]) {
            save.blob(blob)?;
        }
        entries.extend(describe(image, names));
        items.push(item(image, names));
    }
    let index = ImageIndexBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageIndex)
        .manifests(entries)
        .build()
        .map_err(|error| Error::invalid(error.to_string()))?;
    // Through a value, whose keys are sorted: the same images give the same bytes.
    save.json(INDEX_JSON, &serde_json::to_value(index).map_err(malformed)?)?;
    if format == Format::DockerArchive {
        save.json(MANIFEST_JSON, &serde_json::to_value(items).map_err(malformed)?)?;
    }
    save.json("oci-layout", &serde_json::json!({"imageLayoutVersion": "1.0.0"}))?;
    save.archive.into_inner().or_call("write", "the archive")
}

/// The entries of one image: one for each name, or one without.
fn describe(image: &Image, names: &[Reference]) -> Vec<Descriptor> {
    let plain = || {
        let from = &image.descriptor;
        let mut entry = Descriptor::new(from.media_type().clone(), from.size(), from.digest().clone());
        entry.set_platform(from.platform().clone());
        entry
    };
    let named = |name: &Reference| {
        let mut entry = plain();
        let name = name.to_string();
        entry.set_annotations(Some([(REF_NAME.to_owned(), name.clone()), (IMAGE_NAME.to_owned(), name)].into()));
        entry
    };
    if names.is_empty() { vec![plain()] } else { names.iter().map(named).collect() }
}

fn item(image: &Image, names: &[Reference]) -> Item {
    let path = |digest: &Digest| format!("blobs/sha256/{}", digest::hex(digest));
    // Whole names: of a short one Podman would make `localhost/NAME`.
    let tags: Vec<_> = names.iter().filter(|name| name.tag().is_some()).map(Reference::to_string).collect();
    Item {
        config: path(image.id()),
        repo_tags: (!tags.is_empty()).then_some(tags),
        layers: image.manifest.layers().iter().map(|layer| path(layer.digest())).collect(),
    }
}

struct Save<'a, W: Write> {
    store: &'a Store,
    archive: Builder<W>,
    written: HashSet<Digest>,
}

impl<W: Write> Save<'_, W> {
    fn blob(&mut self, blob: &Descriptor) -> Result<()> {
        if !self.written.insert(blob.digest().clone()) {
            return Ok(());
        }
        let file = self.store.open_blob(blob.digest())?;
        if !self.store.has_blob(blob) {
            return Err(Error::new(Kind::Corrupt, format!("the blob {} has another size", blob.digest()))
                .help("it was altered in the store: pull the image again"));
        }
        self.file(&format!("blobs/sha256/{}", digest::hex(blob.digest())), blob.size(), file)
    }

    fn json(&mut self, name: &str, value: &serde_json::Value) -> Result<()> {
        let bytes = serde_json::to_vec(value).map_err(malformed)?;
        self.file(name, bytes.len() as u64, &bytes[..])
    }

    fn file(&mut self, name: &str, size: u64, data: impl Read) -> Result<()> {
        let mut header = header(EntryType::Regular, 0o444, size);
        self.archive.append_data(&mut header, name, data).or_call("write", format!("{name} into the archive"))
    }

    fn directory(&mut self, name: &str) -> Result<()> {
        let mut header = header(EntryType::Directory, 0o755, 0);
        self.archive.append_data(&mut header, name, io::empty()).or_call("write", "the archive")
    }
}

/// Without owner and date, so that the same images give the same archive.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn malformed(error: serde_json::Error) -> Error {
    Error::invalid(error.to_string())
}

/// Which images a person means: a name, an ID, or a repository with all its tags.
///
/// # Errors
/// As [`Store::find`].
pub fn wanted(store: &Store, texts: &[String]) -> Result<Vec<(Image, Vec<Reference>)>> {
    let mut chosen: BTreeMap<String, (Image, Vec<Reference>)> = BTreeMap::new();
    for text in texts {
        for (image, names) in one(store, text)? {
            let entry = chosen.entry(image.descriptor.digest().to_string()).or_insert((image, Vec::new()));
            entry.1.extend(names);
            entry.1.sort_by_key(ToString::to_string);
            entry.1.dedup();
        }
    }
    Ok(chosen.into_values().collect())
}

fn one(store: &Store, text: &str) -> Result<Vec<(Image, Vec<Reference>)>> {
    let reference = text.parse::<Reference>().ok();
    let has_tag = text.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    if let Some(wanted) = reference.as_ref().filter(|_| !has_tag) {
        let mut all = Vec::new();
        for image in store.images()? {
            let same = |name: &&Reference| name.name() == wanted.name() && name.tag().is_some();
            let names: Vec<_> = image.names.iter().filter(same).cloned().collect();
            if !names.is_empty() {
                all.push((image, names));
            }
        }
        if !all.is_empty() {
            return Ok(all);
        }
    }
    let image = store.find(text)?;
    let name = reference.filter(|name| image.names.contains(name) && name.tag().is_some());
    Ok(vec![(image, name.into_iter().collect())])
}
