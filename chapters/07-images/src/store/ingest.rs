//! Taking in an image whose blobs lie in files: what `load` and `import` end with, as `pull` does with what it fetched.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, Digest, ImageConfiguration};
use process::{OrCall, Result};

use super::{LayerInfo, Store, Work};
use crate::digest::{self, Hashing};
use crate::manifest;
use crate::pull::decompress;
use crate::unpack::{self, Limits, Unpacked};

/// A layer's packed archive in a file of ours, its digest and size verified.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// What the manifest says of it.
    pub descriptor: Descriptor,
    /// Where it lies; none if it is in the store.
    pub path: Option<PathBuf>,
}

/// The layers of one image, on their way into the store.
struct Ingest<'a> {
    store: &'a Store,
    work: &'a Path,
    layers: &'a [Incoming],
    chain: Vec<Digest>,
    diff_ids: Vec<Digest>,
}

impl Store {
    /// Unpacks the layers that are not here, and keeps their blobs. The image has no name yet: the caller
    /// [holds](Self::hold) the store until it has.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](process::Kind::Corrupt) for a layer that does not unpack to what the configuration says.
    pub fn ingest(&self, work: &Work, config: &ImageConfiguration, layers: &[Incoming]) -> Result<()> {
        let diff_ids = manifest::diff_ids(config)?;
        let chain = manifest::chain_ids(&diff_ids);
        let _claim = self.claim(&chain, || {})?;
        // Of an archive with several images, each has a place of its own.
        let place = work.path().join(format!("image-{}", chain.last().map_or("empty", digest::short)));
        fs::create_dir_all(&place).or_call("mkdir", place.display())?;
        Ingest { store: self, work: &place, layers, chain, diff_ids }.run()
    }
}

impl Ingest<'_> {
    fn run(&self) -> Result<()> {
        let mut done: Vec<(usize, Unpacked)> = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            let name = digest::short(layer.descriptor.digest());
            if !self.store.has_layer(&self.chain[number]) {
                let unpacked = self.unpack(number).map_err(|error| error.at(format!("layer {name}")))?;
                let lowers: Vec<_> = (0..number).rev().map(|below| self.tree(below, &done)).collect();
                let tree = self.directory(number).join("diff");
                unpack::complete(&tree, &unpacked, &lowers).map_err(|error| error.at(format!("layer {name}")))?;
                done.push((number, unpacked));
            }
            self.keep_blob(layer)?;
        }
        if !done.is_empty() {
            self.store.sync()?;
        }
        for (number, unpacked) in &done {
            let diff_id = self.diff_ids[*number].to_string();
            let info = LayerInfo { diff_id, size: unpacked.size, files: unpacked.files };
            self.store.keep_layer(&self.directory(*number), &self.chain[*number], &info)?;
        }
        Ok(())
    }

    fn directory(&self, number: usize) -> PathBuf {
        self.work.join(number.to_string())
    }

    /// Where a layer below is unpacked: here just now, or in the store.
    fn tree(&self, number: usize, done: &[(usize, Unpacked)]) -> PathBuf {
        match done.iter().any(|(other, _)| *other == number) {
            true => self.directory(number).join("diff"),
            false => self.store.layer_path(&self.chain[number]),
        }
    }

    fn unpack(&self, number: usize) -> Result<Unpacked> {
        let (layer, directory) = (&self.layers[number].descriptor, self.directory(number));
        let tree = directory.join("diff");
        fs::create_dir_all(&tree).or_call("mkdir", tree.display())?;
        let limits = Limits::from_env().for_blob(layer.size());
        let packed = self.open(&self.layers[number])?;
        let mut archive = Hashing::new(decompress(manifest::compression(layer)?, io::BufReader::new(packed)));
        let unpacked = unpack::unpack(&mut archive, &tree, limits)?;
        let what = format!("the unpacked layer {}", digest::short(layer.digest()));
        digest::differ(&what, &self.diff_ids[number], &archive.finish().0)?;
        Ok(unpacked)
    }

    /// The file, unless an earlier layer of the same bytes has taken it into the store.
    fn open(&self, layer: &Incoming) -> Result<File> {
        match &layer.path {
            Some(path) if path.exists() => File::open(path).or_call("open", path.display()),
            _ => self.store.open_blob(layer.descriptor.digest()),
        }
    }

    fn keep_blob(&self, layer: &Incoming) -> Result<()> {
        let Some(path) = layer.path.as_ref().filter(|path| path.exists()) else { return Ok(()) };
        if self.store.has_blob(&layer.descriptor) {
            return Ok(());
        }
        let file = File::open(path).or_call("open", path.display())?;
        self.store.keep_blob(&file, path, layer.descriptor.digest())
    }
}
