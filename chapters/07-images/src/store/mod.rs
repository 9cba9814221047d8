//! The store: images as an OCI image layout, and their layers unpacked beside it.
//!
//! ```text
//! images/oci-layout, index.json, blobs/sha256/…   what came from registries, readable by any OCI tool
//! layers/CHAIN-ID/diff, layer.json                one directory per layer, ready for overlayfs
//! tmp/…                                           work in progress; nobody's after a crash
//! ```
//! Nothing is visible under its name before it is verified and whole. Whoever changes `index.json`
//! holds its lock; whoever needs blobs or layers that no image names yet holds the store (see [`Hold`]).

mod blobs;
mod claim;
mod image;
mod index;
mod layers;
mod lock;
mod remove;
mod work;

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use process::{Error, Kind, OrCall, Result};

pub use claim::Claim;
pub use image::Image;
pub use index::{FROM_INDEX, REF_NAME};
pub use layers::LayerInfo;
pub use lock::{Hold, HoldUntilPrepared};
pub use remove::{Removed, Swept, containers};
pub use work::Work;

use lock::Lock;

/// The annotation of a container that names its image's manifest, by digest.
pub const MANIFEST: &str = "image-manifest";

/// The images of this user.
#[derive(Debug, Clone)]
pub struct Store {
    data: PathBuf,
}

impl Store {
    /// The store in the engine's data directory, made if it is missing.
    ///
    /// # Errors
    /// The directory cannot be made or written to.
    pub fn open() -> Result<Self> {
        Self::at(&rootfs::dirs().data)
    }

    /// The store in the directory `data`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn at(data: &Path) -> Result<Self> {
        let store = Self { data: data.to_owned() };
        for directory in [store.blob_directory(), store.layer_directory(), store.work_directory()] {
            std::fs::create_dir_all(&directory).or_call("mkdir", directory.display()).map_err(|error| {
                error.help(
                    "COOPER_DATA names another place for the engine's data; as an ordinary user it is in the home",
                )
            })?;
        }
        // Images hold setuid programs and others' secrets: they are for their containers, not for the host's users.
        private(&store.layer_directory())?;
        private(&store.work_directory())?;
        store.make_layout()?;
        Ok(store)
    }

    /// Where the OCI image layout is: `skopeo copy oci:THIS:NAME …` reads it.
    pub fn layout(&self) -> PathBuf {
        self.data.join("images")
    }

    /// Keeps everything in the store alive that no image names yet, until it is dropped.
    ///
    /// # Errors
    /// As flock(2).
    pub fn hold(&self) -> Result<Hold> {
        Hold::take(&self.data.join("images.hold"))
    }

    /// Does `work` while it [holds](Self::hold) the store, and removes what it has left there if that is of no use.
    ///
    /// What a broken connection left is of use to the next try; what belongs to a bad image is not, nor what fills a
    /// disk.
    ///
    /// # Errors
    /// Whatever `work` reports.
    pub fn cleanly<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let hold = self.hold()?;
        let result = work();
        drop(hold);
        let is_full = |error: &Error| matches!(error.errno(), Some(Errno::ENOSPC | Errno::EDQUOT));
        if result.as_ref().is_err_and(|error| error.kind() == Kind::Corrupt || is_full(error)) {
            self.sweep()?;
        }
        result
    }

    fn blob_directory(&self) -> PathBuf {
        self.layout().join("blobs/sha256")
    }

    fn layer_directory(&self) -> PathBuf {
        self.data.join("layers")
    }

    fn work_directory(&self) -> PathBuf {
        self.data.join("tmp")
    }

    fn lock(&self) -> Result<Lock> {
        Lock::exclusive(&self.data.join("images.lock"))
    }
}

fn private(directory: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(directory, mode).or_call("chmod", directory.display())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
