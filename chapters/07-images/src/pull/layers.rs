//! The layers of one image, on their way into the store: from a registry or from an archive, several at a time.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use oci_spec::image::{Descriptor, Digest, ImageConfiguration};
use process::Result;

use super::layer::{Layer, Stopped};
use super::progress::{Progress, State};
use crate::registry::Registry;
use crate::store::{LayerInfo, Store};
use crate::unpack::{self, Unpacked};
use crate::{digest, manifest};

/// How many layers are brought at once, as Docker does (`max-concurrent-downloads`).
const AT_ONCE: usize = 3;

/// Where a packed layer comes from.
#[derive(Clone, Copy)]
pub enum Origin<'a> {
    /// It is in the store already.
    Store,
    /// A registry has it.
    Registry(&'a Registry),
    /// A file of ours, on the store's file system, which the store takes over.
    File(&'a Path),
}

/// A packed layer.
#[derive(Clone, Copy)]
pub struct Packed<'a> {
    /// What the manifest says of it.
    pub blob: &'a Descriptor,
    /// Where it comes from, if it is not in the store.
    pub origin: Origin<'a>,
}

/// The layers of one image.
pub struct Layers<'a> {
    /// Where they go.
    pub store: &'a Store,
    /// Where to work, on the same file system. Empty.
    pub work: &'a Path,
    /// Those of the manifest, the lowest first.
    pub packed: Vec<Packed<'a>>,
    /// What they must unpack to.
    pub config: &'a ImageConfiguration,
}

impl Layers<'_> {
    /// Brings all layers, several at a time, and makes them visible once all are there. The image has no name yet:
    /// the caller [holds](Store::hold) the store until it has.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](process::Kind::Corrupt) for a layer that is not, or does not unpack to, what it is called;
    /// as its origin and write(2).
    pub fn bring(&self, progress: &dyn Progress) -> Result<()> {
        let diff_ids = manifest::diff_ids(self.config)?;
        let chain = manifest::chain_ids(&diff_ids);
        // Another process may be bringing the same layers: then this one waits, and finds them here.
        let waiting = || progress.message("Waiting for another pull of the same layers");
        let _claim = self.store.claim(&chain, waiting)?;
        let mut layers: Vec<_> = self
            .packed
            .iter()
            .enumerate()
            .map(|(number, packed)| Layer {
                number,
                blob: packed.blob,
                diff_id: &diff_ids[number],
                origin: if self.store.has_blob(packed.blob) { Origin::Store } else { packed.origin },
                has_tree: self.store.has_layer(&chain[number]),
                directory: self.work.join(number.to_string()),
            })
            .collect();
        for layer in &layers {
            progress.state(layer.number, layer.blob, if layer.is_here() { State::Exists } else { State::Waiting });
        }
        layers.retain(|layer| !layer.is_here());
        // The same blob may stand in a manifest twice (empty layers do): fetched once, unpacked twice.
        let first = |at: usize| !layers[..at].iter().any(|other| other.blob.digest() == layers[at].blob.digest());
        let (firsts, again): (Vec<_>, Vec<_>) = (0..layers.len()).partition(|&at| first(at));
        let mut done = self.fetch(firsts.iter().map(|&at| &layers[at]).collect(), progress)?;
        for &at in &again {
            layers[at].origin = Origin::Store;
        }
        done.extend(self.fetch(again.iter().map(|&at| &layers[at]).collect(), progress)?);
        done.sort_by_key(|(number, _)| *number);
        told(&done, progress);
        self.keep(&chain, &diff_ids, &done)
    }

    /// Runs the layers' work in threads. All have ended when this returns: a container is made by one thread.
    fn fetch(&self, layers: Vec<&Layer<'_>>, progress: &dyn Progress) -> Result<Vec<(usize, Unpacked)>> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (done, failed) = (Mutex::new(Vec::new()), Mutex::new(None));
        let worker = || {
            while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
                match layer.bring(self.store, progress, Stopped(&stop)) {
                    Ok(unpacked) => lock(&done).extend(unpacked.map(|unpacked| (layer.number, unpacked))),
                    Err(error) => {
                        // The first error is the reason; the others only heard the bell.
                        if !stop.swap(true, Ordering::Relaxed) {
                            *lock(&failed) = Some(error);
                        }
                    }
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(layers.len()) {
                scope.spawn(worker);
            }
        });
        match failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)),
        }
    }

    /// From the lowest up: what a layer takes over from those below, then its name.
    fn keep(&self, chain: &[Digest], diff_ids: &[Digest], done: &[(usize, Unpacked)]) -> Result<()> {
        let place = |number: usize| match done.iter().any(|(other, _)| *other == number) {
            true => self.work.join(number.to_string()).join("diff"),
            false => self.store.layer_path(&chain[number]),
        };
        for (number, unpacked) in done {
            let lowers: Vec<_> = (0..*number).rev().map(place).collect();
            let name = digest::short(self.packed[*number].blob.digest());
            unpack::complete(&place(*number), unpacked, &lowers).map_err(|error| error.at(format!("layer {name}")))?;
        }
        if !done.is_empty() {
            self.store.sync()?;
        }
        for (number, unpacked) in done {
            let info = LayerInfo { diff_id: diff_ids[*number].to_string(), size: unpacked.size, files: unpacked.files };
            self.store.keep_layer(&self.work.join(number.to_string()), &chain[*number], &info)?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Says what a layer has and the directory has not.
fn told(done: &[(usize, Unpacked)], progress: &dyn Progress) {
    let devices: u64 = done.iter().map(|(_, unpacked)| unpacked.devices).sum();
    if devices > 0 {
        progress.message(&format!(
            "note: device nodes left out: {devices}; only root makes them, and a container gets its own /dev"
        ));
    }
    let xattrs: u64 = done.iter().map(|(_, unpacked)| unpacked.xattrs).sum();
    if xattrs > 0 {
        progress.message(&format!("warning: extended attributes refused by the kernel, and missing: {xattrs}"));
    }
}
