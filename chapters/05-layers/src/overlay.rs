//! The overlay: the layers, read only, and above them a directory of the container's own that takes every write.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use namespaces::mount::{Mount, Propagation, RDONLY, set_attached};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, fchdir};
use process::{Error, OrCall, Result, Stage, explain};
use rootfs::RootDir;

use crate::options::{Layers, Options};
use crate::{filesystem, marks};

/// The stage that mounts the container's root, in the child's own mount namespace.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// The layers, topmost first, as the kernel has them. With none the upper directory alone is the root.
    pub lowers: Vec<PathBuf>,
    /// What the container writes.
    pub upper: PathBuf,
    /// The kernel's scratch directory, empty, on the same file system.
    pub work: PathBuf,
    /// Where it is mounted.
    pub merged: PathBuf,
    /// Once everything is mounted on it, nothing can be written to the root itself.
    pub read_only: bool,
    /// What was written need not outlive the container. Otherwise the kernel writes back the whole file system that the
    /// upper directory lies on when the overlay is unmounted: some milliseconds at the end of every container.
    pub volatile: bool,
}

impl Overlay {
    /// Mounts it.
    ///
    /// # Errors
    /// As mount(2), with what to do about it.
    pub fn mount(&self) -> Result<()> {
        if self.lowers.is_empty() {
            let tree = Mount::tree_at(&self.upper, false)?;
            tree.propagate(Propagation::Private, false)?;
            return tree.attach(RootDir::open(&self.merged)?, &self.merged.display().to_string());
        }
        let layers = Layers { lowers: &self.lowers, upper: &self.upper, work: &self.work };
        let extra =
            format!("{}{}", behaviour(marks::in_user_namespace()), if self.volatile { ",volatile" } else { "" });
        let options = Options::new(&layers, &extra)?;
        let done = match &options {
            Options::Paths(_) => self.call(&options),
            Options::Numbers(..) => inside("/proc/self/fd", || self.call(&options))?,
        };
        done.map_err(|errno| self.refused(errno))?;
        let shown = String::from_utf8_lossy(options.text());
        explain!(5, "the layers as one root", "mount(overlay, {}, {shown})", self.merged.display());
        Ok(())
    }

    fn call(&self, options: &Options) -> Result<(), Errno> {
        let data = OsStr::from_bytes(options.text());
        mount(Some("overlay"), &self.merged, Some("overlay"), MsFlags::empty(), Some(data))
    }

    /// What the kernel's bare number means here; the long story is in its log, which an ordinary user may not read.
    fn refused(&self, errno: Errno) -> Error {
        let error = Error::call("mount", format!("overlay on {}", self.merged.display()), errno);
        if let Some(missing) = self.lowers.iter().find(|lower| !lower.is_dir()) {
            return Error::not_found(format!("the layer {} is not there, or is no directory", missing.display()));
        }
        let place = filesystem::name(&self.upper);
        match errno {
            Errno::ENODEV => error.help("this kernel has no overlayfs: `sudo modprobe overlay`, or a kernel with CONFIG_OVERLAY_FS"),
            Errno::EINVAL if !filesystem::holds_upper(&place) => error.help(format!(
                "{} lies on {place}, which cannot hold an upper directory: set COOPER_DATA to a directory on ext4, xfs, btrfs or tmpfs",
                self.upper.display()
            )),
            Errno::EPERM if marks::in_user_namespace() => {
                error.help("an ordinary user's overlay needs Linux 5.11; `doctor` tells what this machine allows")
            }
            Errno::ELOOP | Errno::EBUSY => error.help("a layer stands twice in the list, lies in another one, or is in use as an upper directory"),
            Errno::EINVAL => error.help("`sudo dmesg | tail` has the kernel's reason"),
            _ => error,
        }
    }
}

impl Stage for Overlay {
    fn name(&self) -> &'static str {
        "overlay"
    }

    fn create_container(&mut self) -> Result<()> {
        // A namespace made for this container alone does not know who owns the engine's directories.
        // The work directory is the engine's own; that of the upper one is a copy of the topmost layer's owner.
        let known = self.work.metadata().is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0);
        if !known && marks::in_user_namespace() {
            return Err(Error::unsupported(format!(
                "the layers' owners are unknown in this user namespace: {}",
                self.upper.display()
            ))
            .help("leave out --userns and --uidmap; an ordinary user's engine lives in a user namespace by itself"));
        }
        self.mount()
    }

    // By now every stage has mounted on the root what it had to, and PivotRoot comes later in the list.
    fn enter_root(&mut self) -> Result<()> {
        if self.read_only {
            let root = RootDir::open(&self.merged)?;
            set_attached(&root, &self.merged.display().to_string(), RDONLY, false)?;
            explain!(5, "the root itself can only be read", "mount_setattr({}, RDONLY)", self.merged.display());
        }
        Ok(())
    }
}

/// How the overlay behaves. `commit` reads the upper directory itself, so nothing in it may mean more than it says:
/// no file without its contents (metacopy), no directory that stands for one elsewhere (redirect_dir), no index.
/// With `userxattr` the kernel has the first two off by itself, and refuses to be told.
fn behaviour(in_user_namespace: bool) -> &'static str {
    if in_user_namespace { ",userxattr,index=off" } else { ",redirect_dir=nofollow,metacopy=off,index=off" }
}

/// Does something in another working directory, and comes back.
fn inside<T>(directory: &str, act: impl FnOnce() -> T) -> Result<T> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let back = open(Path::new("."), flags, Mode::empty()).or_call("open", ".")?;
    chdir(directory).or_call("chdir", directory)?;
    let result = act();
    fchdir(&back).or_call("fchdir", "back")?;
    Ok(result)
}
