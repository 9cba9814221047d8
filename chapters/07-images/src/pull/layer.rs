//! One layer: network → digest and file → decompression → digest → unpacking, in one pass.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use oci_spec::image::{Descriptor, Digest};
use process::{Error, Kind, OrCall, Result};

use super::decompress::decompress;
use super::progress::{Progress, State};
use crate::digest::{self, Hashing};
use crate::manifest;
use crate::registry::{self, Registry};
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
    /// Is the packed archive in the store?
    pub has_blob: bool,
    /// Is it unpacked in the store?
    pub has_tree: bool,
    /// Where to work; `diff` in it becomes the layer.
    pub directory: PathBuf,
}

/// Says whether another layer has failed: then there is no point in going on.
#[derive(Clone, Copy)]
pub struct Stopped<'a>(pub &'a AtomicBool);

impl Layer<'_> {
    /// Fetches and unpacks what is missing. The packed archive is kept once it is verified; the
    /// unpacked one is for the caller to keep.
    pub fn bring(
        &self,
        store: &Store,
        registry: &Registry,
        progress: &dyn Progress,
        stopped: Stopped<'_>,
    ) -> Result<Option<Unpacked>> {
        let result = self.attempt(store, registry, progress, stopped);
        let state = if result.is_ok() { State::Complete } else { State::Failed };
        progress.state(self.number, self.blob, state);
        result.map_err(|error| {
            let name = digest::short(self.blob.digest());
            if error.what().contains(name) { error } else { error.at(format!("layer {name}")) }
        })
    }

    fn attempt(
        &self,
        store: &Store,
        registry: &Registry,
        progress: &dyn Progress,
        stopped: Stopped<'_>,
    ) -> Result<Option<Unpacked>> {
        std::fs::create_dir_all(self.directory.join("diff")).or_call("mkdir", self.directory.display())?;
        let temporary = self.directory.join("blob");
        let source: Box<dyn Read> = match self.has_blob {
            true => Box::new(store.open_blob(self.blob.digest())?),
            false => Box::new(registry.blob(self.blob)),
        };
        let copy = match self.has_blob {
            true => None,
            false => Some(File::create_new(&temporary).or_call("create", temporary.display())?),
        };
        let tick = |bytes: u64| progress.advance(self.number, bytes);
        let mut blob = Hashing::new(Tee { source, copy, tick: &tick, stopped });
        let unpacked = self.unpack(&mut blob);
        if unpacked.as_ref().is_err_and(|error| error.kind() != Kind::Corrupt) {
            return unpacked;
        }
        // What looks like a bad archive is most often a blob that is not the right one: that comes first.
        io::copy(&mut blob, &mut io::sink()).map_err(unpack::read_error)?;
        let size = blob.count();
        let (got, tee) = blob.finish();
        let what = format!("the blob {}", self.blob.digest());
        registry::size(&what, self.blob.size(), size).map_err(|error| self.in_store(error))?;
        digest::differ(&what, self.blob.digest(), &got).map_err(|error| self.in_store(error))?;
        let unpacked = unpacked?;
        if let Some(file) = tee.copy {
            store.keep_blob(&file, &temporary, self.blob.digest())?;
        }
        Ok(unpacked)
    }

    /// Unpacks the archive and verifies it; or only passes over it if it has been unpacked before.
    fn unpack(&self, blob: impl Read) -> Result<Option<Unpacked>> {
        if self.has_tree {
            return Ok(None);
        }
        let limits = Limits::from_env().for_blob(self.blob.size());
        let mut archive = Hashing::new(decompress(manifest::compression(self.blob)?, blob));
        let unpacked = unpack::unpack(&mut archive, &self.directory.join("diff"), limits)?;
        let (diff_id, _) = archive.finish();
        let what = format!("the unpacked layer {}", digest::short(self.blob.digest()));
        digest::differ(&what, self.diff_id, &diff_id)?;
        Ok(Some(unpacked))
    }

    /// A blob of the store that is damaged goes away, so that the next pull fetches it anew.
    fn in_store(&self, error: Error) -> Error {
        if self.has_blob {
            error.help("the copy in the store is damaged: remove the image and pull it again")
        } else {
            error
        }
    }
}

/// A reader that keeps a copy of what passes, and stops when it is told to.
struct Tee<'a> {
    source: Box<dyn Read + 'a>,
    copy: Option<File>,
    tick: &'a dyn Fn(u64),
    stopped: Stopped<'a>,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stopped.0.load(Ordering::Relaxed) {
            return Err(io::Error::other(Error::new(Kind::Conflict, "another layer has failed")));
        }
        let length = self.source.read(buffer)?;
        if let Some(copy) = &mut self.copy {
            copy.write_all(&buffer[..length])?;
        }
        (self.tick)(length as u64);
        Ok(length)
    }
}
