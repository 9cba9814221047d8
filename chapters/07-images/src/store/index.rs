//! `index.json`: which images there are (OCI image-spec image-layout.md). Read freely, written under a lock.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, ImageIndex, ImageIndexBuilder, MediaType};
use process::{Error, Kind, OrCall, Result};

use super::Store;
use crate::Reference;

/// The annotation that names an image in a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Our own annotation: the digest of the index that the manifest was chosen from.
pub const FROM_INDEX: &str = "cooper.index-digest";

impl Store {
    pub(super) fn make_layout(&self) -> Result<()> {
        let marker = self.layout().join("oci-layout");
        if !marker.exists() {
            write(&marker, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        let _lock = self.lock()?;
        if !self.index_path().exists() {
            self.write_index(&[])?;
        }
        Ok(())
    }

    /// The entries, one per name.
    pub(super) fn entries(&self) -> Result<Vec<Descriptor>> {
        let path = self.index_path();
        let bytes = fs::read(&path).or_call("read", path.display())?;
        let index: ImageIndex = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(Kind::Corrupt, format!("{} is malformed: {error}", path.display()))
                .help("mend or remove the file; images that it does not name can be pulled again")
        })?;
        Ok(index.manifests().clone())
    }

    /// Changes the entries; readers see the old ones or the new ones, never half of both.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Vec<Descriptor>) -> Result<T>) -> Result<T> {
        let _lock = self.lock()?;
        let mut entries = self.entries()?;
        let before = entries.clone();
        let result = change(&mut entries)?;
        if entries != before {
            self.write_index(&entries)?;
        }
        Ok(result)
    }

    /// Gives the image with this manifest a name. Whoever had the name before loses it.
    ///
    /// # Errors
    /// Of reading or writing the index.
    pub fn record(&self, reference: &Reference, manifest: &Descriptor) -> Result<()> {
        self.change(|entries| {
            let mut named = manifest.clone();
            let mut annotations = named.annotations().clone().unwrap_or_default();
            annotations.insert(REF_NAME.into(), reference.to_string());
            named.set_annotations(Some(annotations));
            unname(entries, reference);
            // The image has a name again.
            entries.retain(|entry| entry.digest() != named.digest() || name(entry).is_some());
            entries.push(named);
            entries.sort_by_key(|entry| name(entry).map(str::to_owned));
            Ok(())
        })
    }

    /// Makes an image known that has no name.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn record_nameless(&self, manifest: &Descriptor) -> Result<()> {
        self.change(|entries| {
            if !entries.iter().any(|entry| entry.digest() == manifest.digest()) {
                let mut nameless = manifest.clone();
                let annotations = nameless.annotations().clone().map(|mut all| {
                    all.remove(REF_NAME);
                    all
                });
                nameless.set_annotations(annotations.filter(|all| !all.is_empty()));
                entries.push(nameless);
            }
            Ok(())
        })
    }

    fn write_index(&self, entries: &[Descriptor]) -> Result<()> {
        let index = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests(entries)
            .build()
            .map_err(|error| Error::invalid(error.to_string()))?;
        // Through a value, whose keys are sorted: the file is stable and can be compared.
        let json = serde_json::to_value(&index).and_then(|value| serde_json::to_vec_pretty(&value));
        write(&self.index_path(), &json.map_err(|error| Error::invalid(error.to_string()))?)
    }

    fn index_path(&self) -> PathBuf {
        self.layout().join("index.json")
    }
}

/// The name of an entry.
pub fn name(entry: &Descriptor) -> Option<&str> {
    annotation(entry, REF_NAME)
}

/// An annotation of an entry.
pub fn annotation<'a>(entry: &'a Descriptor, key: &str) -> Option<&'a str> {
    entry.annotations().as_ref()?.get(key).map(String::as_str)
}

/// Takes the name away from whichever entry has it. An image without any other name stays, nameless.
pub fn unname(entries: &mut Vec<Descriptor>, reference: &Reference) {
    let text = reference.to_string();
    let Some(at) = entries.iter().position(|entry| name(entry) == Some(&text)) else { return };
    let mut entry = entries.remove(at);
    if !entries.iter().any(|other| other.digest() == entry.digest()) {
        let mut annotations = entry.annotations().clone().unwrap_or_default();
        annotations.remove(REF_NAME);
        entry.set_annotations((!annotations.is_empty()).then_some(annotations));
        entries.push(entry);
    }
}

/// Writes a file whole or not at all: temporary file, fsync(2), rename(2), fsync of the directory.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let replace = || {
        let mut file = File::create(&temporary).or_call("create", temporary.display())?;
        file.write_all(bytes).or_call("write", temporary.display())?;
        file.sync_all().or_call("fsync", temporary.display())?;
        fs::rename(&temporary, path).or_call("rename", path.display())
    };
    if let Err(error) = replace() {
        // A full disk is not to be filled further.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    File::open(directory).and_then(|handle| handle.sync_all()).or_call("fsync", directory.display())
}
