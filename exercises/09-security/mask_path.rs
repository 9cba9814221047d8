//! A mask that cannot be led astray.
//!
//! `mask_path ROOT PATH…` covers paths of a container's root, as an engine does with /proc/kcore: over a file lies the
//! null device, over a directory an empty tmpfs that nobody can write to. A path that the root does not have is left
//! out.
//!
//! The root comes from an image, and the image is not your friend. If `app` in it is a link to `/srv`, then `/app/key`
//! is the root's own `/srv/key`, and never the host's: a mount at the string "ROOT/app/key" would cover the wrong file
//! and leave the right one open. So open the target once, beneath the root, and mount on that handle.
//!
//! Fill in `mask`. By hand: `mkdir -p r/srv; echo k > r/srv/key; ln -s /srv r/app`, then `unshare -Urm sh -c 'mask_path
//! r /app/key; cat r/srv/key'` with this program's path (`target/debug/mask_path`).
//!
//! Read: the book, chapter 9, "Masked and read-only paths"; chapter 2 for `RootDir`; openat2(2), move_mount(2).

#![allow(unused, reason = "until the gap is filled")]

use std::os::fd::AsFd;
use std::path::Path;

use namespaces::mount::{Mount, NODEV, NOEXEC, NOSUID, RDONLY};
use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use process::{Error, OrCall, Result};
use rootfs::RootDir;
use security::paths::host_null;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let root = RootDir::open(words.next().ok_or_else(|| Error::invalid("mask_path ROOT PATH…"))?)?;
    for path in words {
        mask(&root, Path::new(&path))?;
    }
    Ok(())
}

/// Covers `path` of the root, if it is there.
fn mask(root: &RootDir, path: &Path) -> Result<()> {
    // `root.resolve(path)` gives a handle of what `path` means inside the root; `is_directory` asks what it is.
    // `empty_directory()` and `null_device()` are mounts that lie nowhere yet; `Mount::attach` lays them over a handle.
    todo!("cover {} of {}", path.display(), root.path().display())
}

fn is_directory(handle: impl AsFd) -> Result<bool> {
    let about = fstat(handle).or_call("fstat", "the target")?;
    Ok(about.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits())
}

/// A file system with room for its root, and for nothing else.
fn empty_directory() -> Result<Mount> {
    let options = [("mode", "0755"), ("nr_inodes", "1")];
    Mount::filesystem("tmpfs", &options, NOSUID | NODEV | NOEXEC | RDONLY)
}

/// The host's own null device, which is nobody's to change.
fn null_device() -> Result<Mount> {
    let null = Mount::tree(host_null()?.as_fd(), "/dev/null", false)?;
    null.set(RDONLY | NOSUID | NOEXEC, false)?;
    Ok(null)
}
