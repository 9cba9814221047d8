//! Blobs: files named by their digest. They appear by a rename and never change.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, Digest, MediaType};
use process::{Error, Kind, OrCall, Result};

use super::Store;
use crate::{digest, manifest};

impl Store {
    /// Where the blob lies, if it is there.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blob_directory().join(digest::hex(digest))
    }

    /// Is the blob there, with the size that is expected of it?
    pub fn has_blob(&self, descriptor: &Descriptor) -> bool {
        let meta = fs::metadata(self.blob_path(descriptor.digest()));
        meta.is_ok_and(|meta| meta.is_file() && meta.len() == descriptor.size())
    }

    /// Opens a blob.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if it is not there.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = self.blob_path(digest);
        match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Error::not_found(format!("the blob {digest} is not in the store"))
                    .help("pull the image again: what is missing is fetched"))
            }
            file => file.or_call("open", path.display()),
        }
    }

    /// Reads a small blob (a manifest, a configuration) whole, and verifies it.
    ///
    /// # Errors
    /// As [`open_blob`](Self::open_blob); [`Kind::Corrupt`] if it was altered on the disk.
    pub fn read_blob(&self, what: &str, digest: &Digest) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.open_blob(digest)?;
        file.take(manifest::LARGEST + 1).read_to_end(&mut bytes).or_call("read", self.blob_path(digest).display())?;
        if bytes.len() as u64 > manifest::LARGEST {
            return Err(Error::new(Kind::Corrupt, format!("{what} is larger than {} bytes", manifest::LARGEST)));
        }
        let help = "it was altered in the store: pull the image again";
        digest::verify(what, digest, &bytes).map_err(|error| error.help(help))?;
        Ok(bytes)
    }

    /// Writes a small blob whose digest is computed here.
    ///
    /// # Errors
    /// Of writing.
    pub fn write_blob(&self, work: &Path, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor> {
        let digest = digest::of(bytes);
        let descriptor = Descriptor::new(media_type, bytes.len() as u64, digest.clone());
        // One that was damaged on the disk is replaced: this is how a pull mends the store.
        if fs::read(self.blob_path(&digest)).ok().as_deref() != Some(bytes) {
            let temporary = work.join(digest::hex(&digest));
            let mut file = File::create(&temporary).or_call("create", temporary.display())?;
            file.write_all(bytes).or_call("write", temporary.display())?;
            self.keep_blob(&file, &temporary, &digest)?;
        }
        Ok(descriptor)
    }

    /// Gives a verified temporary file its name. It is on the disk before it is visible.
    ///
    /// # Errors
    /// Of fsync(2) and rename(2).
    pub fn keep_blob(&self, file: &File, temporary: &Path, digest: &Digest) -> Result<()> {
        file.sync_all().or_call("fsync", temporary.display())?;
        let path = self.blob_path(digest);
        fs::rename(temporary, &path).or_call("rename", path.display())
    }
}
