//! Pulling: manifest, configuration, layers; verified, unpacked, then made visible in one go.

mod decompress;
mod layer;
mod pipe;
mod progress;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::errno::Errno;
use oci_spec::image::{Descriptor, Digest, ImageConfiguration, ImageManifest, MediaType};
use process::{Error, Kind, Result};

pub(crate) use decompress::decompress;
pub use progress::{Bars, Lines, Progress, Silent, State, for_terminal};

use crate::manifest::{self, Parsed};
use crate::registry::{Fetched, Registry};
use crate::store::{Image, LayerInfo, Store, Work};
use crate::unpack;
use crate::{Platform, Reference, digest, host};

use layer::{Layer, Stopped};

/// How many layers are fetched at once, as Docker does (`max-concurrent-downloads`).
const AT_ONCE: usize = 3;

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
    let hold = store.hold()?;
    let result = attempt(store, reference, platform, progress);
    drop(hold);
    // What a broken connection left is of use to the next try; what belongs to a bad image is not, nor what fills a disk.
    let is_full = |error: &Error| matches!(error.errno(), Some(Errno::ENOSPC | Errno::EDQUOT));
    if result.as_ref().is_err_and(|error| error.kind() == Kind::Corrupt || is_full(error)) {
        store.sweep()?;
    }
    result
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
    let found = find(&registry, reference, platform)?;
    let (config_bytes, config) = configuration(store, &registry, &found.manifest, reference)?;
    check_platform(reference, platform, &config, progress)?;
    let plan = Plan { store, registry: &registry, work: &work, manifest: &found.manifest, config: &config };
    plan.layers(progress)?;
    let image = commit(store, &work, reference, &found, &config_bytes)?;
    let changed = before.is_none_or(|before| before.descriptor.digest() != image.descriptor.digest());
    Ok(Pulled { image, digest: found.top, changed })
}

/// A manifest, and how it was found.
struct Found {
    /// The digest of what the name means.
    top: Digest,
    index: Option<Fetched>,
    document: Fetched,
    descriptor: Option<Descriptor>,
    manifest: Box<ImageManifest>,
}

fn find(registry: &Registry, reference: &Reference, platform: Option<&Platform>) -> Result<Found> {
    let name = reference.familiar();
    let fetched = registry.resolve()?;
    let top = fetched.digest.clone();
    match manifest::parse(&name, &fetched.bytes, fetched.media_type.as_deref())? {
        Parsed::Manifest(manifest) => Ok(Found { top, index: None, document: fetched, descriptor: None, manifest }),
        Parsed::Index(index) => {
            let here = Platform::here();
            let chosen = manifest::choose(&name, &index, platform.unwrap_or(&here))?;
            let document = registry.child(chosen)?;
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

/// The configuration, from the store if it is there undamaged.
fn configuration(
    store: &Store,
    registry: &Registry,
    manifest: &ImageManifest,
    reference: &Reference,
) -> Result<(Vec<u8>, ImageConfiguration)> {
    let what = format!("the configuration of {}", reference.familiar());
    let bytes = match store.read_blob(&what, manifest.config().digest()) {
        Ok(bytes) => bytes,
        Err(_) => registry.small_blob(&what, manifest.config())?,
    };
    let config = manifest::parse_config(&what, &bytes, manifest)?;
    Ok((bytes, config))
}

/// An image for another platform is refused if one was asked for, and mentioned if not: binfmt_misc may run it.
fn check_platform(
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

/// What one pull works with.
struct Plan<'a> {
    store: &'a Store,
    registry: &'a Registry,
    work: &'a Work,
    manifest: &'a ImageManifest,
    config: &'a ImageConfiguration,
}

impl Plan<'_> {
    /// Brings all layers, several at a time, and makes them visible once all are there.
    fn layers(&self, progress: &dyn Progress) -> Result<()> {
        let diff_ids = manifest::diff_ids(self.config)?;
        let chain = manifest::chain_ids(&diff_ids);
        // Another process may be bringing the same layers: then this one waits, and finds them here.
        let waiting = || progress.message("Waiting for another pull of the same layers");
        let _claim = self.store.claim(&chain, waiting)?;
        let mut layers: Vec<_> = self
            .manifest
            .layers()
            .iter()
            .enumerate()
            .map(|(number, blob)| Layer {
                number,
                blob,
                diff_id: &diff_ids[number],
                has_blob: self.store.has_blob(blob),
                has_tree: self.store.has_layer(&chain[number]),
                directory: self.work.path().join(number.to_string()),
            })
            .collect();
        for layer in &layers {
            let state = if layer.has_blob && layer.has_tree { State::Exists } else { State::Waiting };
            progress.state(layer.number, layer.blob, state);
        }
        layers.retain(|layer| !(layer.has_blob && layer.has_tree));
        // The same blob may stand in a manifest twice (empty layers do): fetched once, unpacked twice.
        let first = |at: usize| !layers[..at].iter().any(|other| other.blob.digest() == layers[at].blob.digest());
        let (firsts, again): (Vec<_>, Vec<_>) = (0..layers.len()).partition(|&at| first(at));
        let mut done = self.fetch(firsts.iter().map(|&at| &layers[at]).collect(), progress)?;
        for &at in &again {
            layers[at].has_blob = true;
        }
        done.extend(self.fetch(again.iter().map(|&at| &layers[at]).collect(), progress)?);
        done.sort_by_key(|(number, _)| *number);
        self.keep(&chain, &diff_ids, &done)?;
        told(&done, progress);
        Ok(())
    }

    /// Runs the layers' work in threads. All have ended when this returns: a container is made by one thread.
    fn fetch(&self, layers: Vec<&Layer<'_>>, progress: &dyn Progress) -> Result<Vec<(usize, unpack::Unpacked)>> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (done, failed) = (Mutex::new(Vec::new()), Mutex::new(None));
        let worker = || {
            while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
                match layer.bring(self.store, self.registry, progress, Stopped(&stop)) {
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
    fn keep(&self, chain: &[Digest], diff_ids: &[Digest], done: &[(usize, unpack::Unpacked)]) -> Result<()> {
        let place = |number: usize| match done.iter().any(|(other, _)| *other == number) {
            true => self.work.path().join(number.to_string()).join("diff"),
            false => self.store.layer_path(&chain[number]),
        };
        for (number, unpacked) in done {
            let lowers: Vec<_> = (0..*number).rev().map(place).collect();
            let name = digest::short(self.manifest.layers()[*number].digest());
            unpack::complete(&place(*number), unpacked, &lowers).map_err(|error| error.at(format!("layer {name}")))?;
        }
        if !done.is_empty() {
            self.store.sync()?;
        }
        for (number, unpacked) in done {
            let info = LayerInfo { diff_id: diff_ids[*number].to_string(), size: unpacked.size, files: unpacked.files };
            self.store.keep_layer(&self.work.path().join(number.to_string()), &chain[*number], &info)?;
        }
        Ok(())
    }
}

/// Says what a layer has and the directory has not.
fn told(done: &[(usize, unpack::Unpacked)], progress: &dyn Progress) {
    let devices: u64 = done.iter().map(|(_, unpacked)| unpacked.devices).sum();
    if devices > 0 {
        progress.message(&format!(
            "note: {devices} device nodes left out: only root makes them, and a container gets its own /dev"
        ));
    }
    let xattrs: u64 = done.iter().map(|(_, unpacked)| unpacked.xattrs).sum();
    if xattrs > 0 {
        progress.message(&format!("warning: {xattrs} extended attributes were refused by the kernel and are missing"));
    }
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
