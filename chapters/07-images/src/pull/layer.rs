//! One layer in one pass: network → digest and file → decompression and digest → files, each in a thread of its own.
//!
//! The three overlap: while the registry sends, what came before is decompressed, and what that gave is
//! written. [Pipes](super::pipe) between them hold a few pieces, so no layer is ever in memory as a whole.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use oci_spec::image::{Descriptor, Digest};
use process::{Error, Kind, OrCall, Result};

use super::decompress::decompress;
use super::layers::Origin;
use super::pipe::{Inlet, Outlet, pipe};
use super::progress::{Progress, State};
use crate::digest::{self, Hashing};
use crate::manifest;
use crate::registry;
use crate::store::Store;
use crate::unpack::{self, Limits, Unpacked};

/// A layer that is not complete here.
pub struct Layer<'a> {
    /// Its place in the manifest, the lowest first.
    pub number: usize,
    /// Its packed archive.
    pub blob: &'a Descriptor,
    /// The digest that its archive must have.
    pub diff_id: &'a Digest,
    /// Where the packed archive comes from.
    pub origin: Origin<'a>,
    /// Is it unpacked in the store?
    pub has_tree: bool,
    /// Where to work; `diff` in it becomes the layer.
    pub directory: PathBuf,
}

/// Says whether another layer has failed: then there is no point in going on.
#[derive(Clone, Copy)]
pub struct Stopped<'a>(pub &'a AtomicBool);

/// What a layer is brought with.
struct Pass<'a> {
    layer: &'a Layer<'a>,
    store: &'a Store,
    progress: &'a dyn Progress,
    stopped: Stopped<'a>,
    /// Its files could not be written: then the rest of it is of no use.
    given_up: AtomicBool,
}

impl Layer<'_> {
    /// Is there nothing to be done?
    pub fn is_here(&self) -> bool {
        matches!(self.origin, Origin::Store) && self.has_tree
    }

    /// Fetches and unpacks what is missing. The packed archive is kept once it is verified; the
    /// unpacked one is for the caller to keep.
    pub fn bring(&self, store: &Store, progress: &dyn Progress, stopped: Stopped<'_>) -> Result<Option<Unpacked>> {
        let result = Pass { layer: self, store, progress, stopped, given_up: AtomicBool::new(false) }.run();
        let state = if result.is_ok() { State::Complete } else { State::Failed };
        progress.state(self.number, self.blob, state);
        result.map_err(|error| {
            let name = digest::short(self.blob.digest());
            if error.what().contains(name) { error } else { error.at(format!("layer {name}")) }
        })
    }
}

impl Pass<'_> {
    fn run(&self) -> Result<Option<Unpacked>> {
        let tree = self.layer.directory.join("diff");
        std::fs::create_dir_all(&tree).or_call("mkdir", tree.display())?;
        let (inlet, outlet) = pipe();
        let (fetched, unpacked) = thread::scope(|scope| {
            let fetching = scope.spawn(|| self.fetch(inlet));
            let unpacked = self.unpack(outlet, &tree);
            if is_ours(&unpacked) {
                self.given_up.store(true, Ordering::Relaxed);
            }
            (join(fetching), unpacked)
        });
        // What looks like a bad archive is most often a blob that is not the right one: that comes first.
        if is_ours(&unpacked) {
            return unpacked;
        }
        let (file, unpacked) = (fetched?, unpacked?);
        if let Some(file) = file {
            self.store.keep_blob(&file, &self.file(), self.layer.blob.digest())?;
        }
        Ok(unpacked)
    }

    /// The packed archive in a file, before the store has it.
    fn file(&self) -> PathBuf {
        match self.layer.origin {
            Origin::File(path) => path.to_owned(),
            _ => self.layer.directory.join("blob"),
        }
    }

    /// Fetches and verifies the packed archive, and passes it on meanwhile. Gives the file that it is in, which is on
    /// the disk, if the store has yet to take it.
    fn fetch(&self, inlet: Inlet) -> Result<Option<File>> {
        let (blob, path) = (self.layer.blob, self.file());
        let open = || File::open(&path).or_call("open", path.display());
        let (source, copy): (Box<dyn Read>, _) = match self.layer.origin {
            Origin::Store => (Box::new(self.store.open_blob(blob.digest())?), None),
            Origin::File(_) => (Box::new(open()?), None),
            Origin::Registry(registry) => {
                let copy = File::create_new(&path).or_call("create", path.display())?;
                (Box::new(registry.blob(blob)), Some(copy))
            }
        };
        let mut bytes = Hashing::new(Tee { source, copy, path: &path, pass: self });
        // Whoever unpacks stops at the first thing that is wrong; whether the blob is, only its end tells.
        inlet.fill(&mut bytes).and_then(|()| io::copy(&mut bytes, &mut io::sink())).map_err(unpack::read_error)?;
        let size = bytes.count();
        let (got, tee) = bytes.finish();
        let what = format!("the blob {}", blob.digest());
        registry::size(&what, blob.size(), size).map_err(|error| self.in_store(error))?;
        digest::differ(&what, blob.digest(), &got).map_err(|error| self.in_store(error))?;
        let file = match self.layer.origin {
            Origin::File(_) => Some(open()?),
            _ => tee.copy,
        };
        if let Some(file) = &file {
            // Now, while others still write.
            file.sync_all().or_call("fsync", path.display())?;
        }
        Ok(file)
    }

    /// Unpacks the archive and verifies it; nothing if it has been unpacked before.
    fn unpack(&self, packed: Outlet, tree: &Path) -> Result<Option<Unpacked>> {
        if self.layer.has_tree {
            return Ok(None);
        }
        let blob = self.layer.blob;
        let compression = manifest::compression(blob)?;
        let (inlet, archive) = pipe();
        let (diff_id, unpacked) = thread::scope(|scope| {
            let decompressing = scope.spawn(move || {
                let mut archive = Hashing::new(decompress(compression, packed));
                inlet.fill(&mut archive).map_err(unpack::read_error)?;
                Ok::<_, Error>(archive.finish().0)
            });
            let unpacked = unpack::unpack(archive, tree, Limits::from_env().for_blob(blob.size()));
            (join(decompressing), unpacked)
        });
        if is_ours(&unpacked) {
            return unpacked.map(Some);
        }
        // If nothing can be decompressed, the archive's end is only what comes of it.
        let diff_id = diff_id?;
        let unpacked = unpacked?;
        let what = format!("the unpacked layer {}", digest::short(blob.digest()));
        digest::differ(&what, self.layer.diff_id, &diff_id)?;
        Ok(Some(unpacked))
    }

    /// A blob of the store that is damaged goes away, so that the next pull fetches it anew.
    fn in_store(&self, error: Error) -> Error {
        if matches!(self.layer.origin, Origin::Store) {
            error.help("the copy in the store is damaged: remove the image and pull it again")
        } else {
            error
        }
    }

    /// Is somebody waiting for this layer?
    fn is_wanted(&self) -> io::Result<()> {
        let (stopped, given_up) = (self.stopped.0.load(Ordering::Relaxed), self.given_up.load(Ordering::Relaxed));
        match stopped || given_up {
            true => Err(io::Error::other(Error::new(Kind::Conflict, "another layer has failed"))),
            false => Ok(()),
        }
    }
}

/// Did this machine fail, not the data?
fn is_ours<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() != Kind::Corrupt)
}

/// What the thread gave, or its panic.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A reader that keeps a copy of what passes, and stops when it is told to.
struct Tee<'a> {
    source: Box<dyn Read + 'a>,
    copy: Option<File>,
    path: &'a Path,
    pass: &'a Pass<'a>,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pass.is_wanted()?;
        let length = self.source.read(buffer)?;
        if let Some(copy) = &mut self.copy {
            copy.write_all(&buffer[..length]).or_call("write", self.path.display()).map_err(io::Error::other)?;
        }
        self.pass.progress.advance(self.pass.layer.number, length as u64);
        Ok(length)
    }
}
