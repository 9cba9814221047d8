//! Unpacked layers: one directory each, named by its chain ID, made visible by one rename.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use oci_spec::image::Digest;
use process::{Error, OrCall, Result, explain};
use serde::{Deserialize, Serialize};

use super::Store;
use crate::{digest, sys};

/// What is worth knowing of an unpacked layer: its `layer.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerInfo {
    /// The digest of its uncompressed archive.
    pub diff_id: String,
    /// Bytes in its files.
    pub size: u64,
    /// Entries of its archive.
    pub files: u64,
}

impl Store {
    /// The directory that overlayfs takes as a lower one.
    pub fn layer_path(&self, chain: &Digest) -> PathBuf {
        self.layer_entry(chain).join("diff")
    }

    /// Is the layer unpacked?
    pub fn has_layer(&self, chain: &Digest) -> bool {
        self.layer_entry(chain).join("layer.json").is_file()
    }

    /// What `layer.json` says.
    ///
    /// # Errors
    /// It is not there, or not readable.
    pub fn layer_info(&self, chain: &Digest) -> Result<LayerInfo> {
        let path = self.layer_entry(chain).join("layer.json");
        let bytes = fs::read(&path).or_call("read", path.display())?;
        serde_json::from_slice(&bytes).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
    }

    /// Everything written so far is on the disk: afterwards a rename may make it visible.
    ///
    /// # Errors
    /// As syncfs(2).
    pub fn sync(&self) -> Result<()> {
        let directory = self.layer_directory();
        let handle = File::open(&directory).or_call("open", directory.display())?;
        sys::syncfs(handle.as_fd()).or_call("syncfs", directory.display())
    }

    /// Gives a finished directory (with `diff` in it) the layer's name.
    ///
    /// # Errors
    /// Of writing `layer.json` and of rename(2).
    pub fn keep_layer(&self, finished: &Path, chain: &Digest, info: &LayerInfo) -> Result<()> {
        let file = finished.join("layer.json");
        let json = serde_json::to_vec_pretty(info).map_err(|error| Error::invalid(error.to_string()))?;
        super::index::write(&file, &json)?;
        let path = self.layer_entry(chain);
        match fs::rename(finished, &path) {
            // Somebody else has pulled the same layer meanwhile.
            Err(error)
                if matches!(Errno::from_raw(error.raw_os_error().unwrap_or(0)), Errno::ENOTEMPTY | Errno::EEXIST) =>
            {
                Ok(())
            }
            done => {
                explain!(7, "the layer is whole, and visible at once", "rename({:?})", path);
                done.or_call("rename", path.display())
            }
        }
    }

    fn layer_entry(&self, chain: &Digest) -> PathBuf {
        self.layer_directory().join(digest::hex(chain))
    }
}
