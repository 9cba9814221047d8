//! A user namespace for root's containers: root inside is nobody outside, and the files on disk stay as they are.
//!
//! A process in a user namespace has other ids than the files of the layers have: who is 0 inside is 100000 outside,
//! and a file of 0 is nobody's. To give each container a copy with shifted owners would cost time and disk. An
//! id-mapped mount (Linux 5.12, mount_setattr(2)) shifts them on the way: what belongs to 0 on the disk belongs to
//! 100000 as seen through the mount, and so to root inside; what root inside writes is written as 0.
//!
//! Only who has power over the whole file system may make such a mount, so the parent does. It covers the engine's own
//! directories by id-mapped views of themselves, in the child's mount namespace alone, before the child does anything.
//! From then on the child finds volumes and the container's directory as if they were its own, by the paths that every
//! stage knows; and when it takes its root, the views go with the rest of the host's files.
//!
//! The overlay is mounted by the parent's helper, too, on the mapped layers (Linux 5.19): so it reads the marks that
//! the layers have, `trusted.overlay.`, and sets the same, and `commit` needs to know nothing of all this.

use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use layers::{MountSpec, Overlay, Source};
use namespaces::mount::{Change, Mount, NODEV, Propagation, mount_setattr, set_attached};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Uid, setfsgid, setfsuid};
use process::{Child, Error, OrCall, Result, Stage, explain};

use crate::capset::sys::{ThreadCaps, capget, capset};

/// The owners of `mount`, which is attached nowhere yet, appear as the user namespace `userns` maps them.
///
/// # Errors
/// As mount_setattr(2), with what to do about it.
pub fn map_owners(mount: &Mount, userns: &OwnedFd, place: &str, recursive: bool) -> Result<()> {
    let done = mount_setattr(mount.as_fd(), Change::owners(userns.as_fd()), recursive);
    done.or_call("mount_setattr", format!("{place}, IDMAP")).map_err(|error| match error.errno() {
        Some(Errno::EINVAL | Errno::EOPNOTSUPP) => {
            error.help("the file system there must know id-mapped mounts: ext4, xfs, btrfs, tmpfs since Linux 6.3, and so on; leave out --userns, or move the data")
        }
        Some(Errno::EPERM) => error.help("the file system belongs to another user namespace than ours"),
        _ => error,
    })?;
    explain!(9, "other owners, on the way from the disk", "mount_setattr({place}, IDMAP)");
    Ok(())
}

/// A bind mount with the option `idmap`: where its source is on the host, and where the child will find it.
#[derive(Debug)]
struct Mapped {
    source: PathBuf,
    recursive: bool,
    staged: PathBuf,
}

/// The stage, in the place of chapter 5's overlay, which it mounts. It stands behind the
/// [user namespace](namespaces::UserNamespace), which it needs.
#[derive(Debug)]
pub struct IdMapped {
    overlay: Overlay,
    /// The engine's directories.
    own: Vec<PathBuf>,
    binds: Binds,
}

/// The bind mounts with the option `idmap`, taken out of what the user asked for.
#[derive(Debug)]
pub struct Binds {
    /// Where they are made available to the child: beneath the container's directory, which takes it along when it goes.
    staging: PathBuf,
    list: Vec<Mapped>,
}

impl Binds {
    /// For the container whose root is mounted on `root`. Of `specs`, those with the option get the place as their
    /// source where the child will find them.
    ///
    /// # Errors
    /// A mapped mount that shall be shared with the host.
    pub fn take(root: &Path, specs: &mut [MountSpec]) -> Result<Self> {
        let staging = root.with_file_name("idmapped");
        let mut list = Vec::new();
        for spec in specs {
            let Source::Bind(bind) = &mut spec.source else { continue };
            if !std::mem::take(&mut bind.id_mapped) {
                continue;
            }
            if bind.propagation == Propagation::Shared {
                return Err(Error::invalid(format!("{}: idmap excludes rshared", bind.path.display()))
                    .help("leave out one of them"));
            }
            let staged = staging.join(list.len().to_string());
            let source = std::mem::replace(&mut bind.path, staged.clone());
            list.push(Mapped { source, recursive: bind.recursive, staged });
        }
        Ok(Self { staging, list })
    }

    /// What they are mounted on, of the same kind.
    fn make_places(&self) -> Result<()> {
        let directory =
            |path: &Path| DirBuilder::new().mode(0o700).recursive(true).create(path).or_call("mkdir", path.display());
        for bind in &self.list {
            directory(&self.staging)?;
            let about = bind.source.metadata().or_call("stat", bind.source.display());
            if about.map_err(|error| error.help("an id-mapped mount needs a source that exists"))?.is_dir() {
                directory(&bind.staged)?;
            } else {
                File::create(&bind.staged).or_call("open", bind.staged.display())?;
            }
        }
        Ok(())
    }
}

impl IdMapped {
    /// Mounts `overlay`, and makes `binds` available.
    pub fn new(overlay: Overlay, binds: Binds) -> Self {
        let dirs = rootfs::dirs();
        Self { overlay, own: vec![dirs.data.clone(), dirs.run.clone()], binds }
    }

    /// The mounts, attached nowhere yet, each with its place in the child's view, in the order of attaching.
    fn mounts(&self, userns: &OwnedFd) -> Result<Vec<(Mount, PathBuf)>> {
        let mapped = |source: &Path, recursive: bool, place: &Path| {
            let mount = Mount::tree_at(source, recursive)?;
            mount.propagate(Propagation::Private, recursive)?;
            map_owners(&mount, userns, &source.display().to_string(), recursive)?;
            Ok((mount, place.to_owned()))
        };
        let own = self.own.iter().map(|dir| mapped(dir, false, dir));
        own.chain(self.binds.list.iter().map(|bind| mapped(&bind.source, bind.recursive, &bind.staged))).collect()
    }
}

impl Stage for IdMapped {
    fn name(&self) -> &'static str {
        "id-mapped mounts"
    }

    // Before the overlay's upper directory is in use; the container's own directory exists by now.
    fn prepare(&mut self) -> Result<()> {
        self.binds.make_places()
    }

    fn create_runtime(&mut self, child: &Child) -> Result<()> {
        let path = child.proc("ns/user");
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let userns = open(&path, flags, Mode::empty()).or_call("open", path.display())?;
        let mounts = self.mounts(&userns)?;
        let (overlay, data) = (&self.overlay, &self.own[0]);
        in_mounts_of(child, || {
            mounts.into_iter().try_for_each(|(mount, place)| cover(mount, &place))?;
            become_owner(data)?;
            overlay.mount()?;
            // Its nodes are those of an image, made for who may make nodes; the container's own are in its /dev.
            let root = rootfs::RootDir::open(&overlay.merged)?;
            set_attached(&root, &overlay.merged.display().to_string(), NODEV, false)
        })
    }

    fn enter_root(&mut self) -> Result<()> {
        self.overlay.enter_root()
    }
}

/// What an overlay does for itself it does as who mounted it, and a file can only be made as somebody whom the mapped
/// mount knows: as who owns `data` in that view. All other rights stay.
fn become_owner(data: &Path) -> Result<()> {
    let about = data.metadata().or_call("stat", data.display())?;
    let before = capget().or_call("capget", "")?;
    setfsgid(Gid::from_raw(about.gid()));
    setfsuid(Uid::from_raw(about.uid()));
    // Leaving 0, the kernel has taken what is about files out of the effective set (capabilities(7)).
    capset(ThreadCaps { effective: before.permitted, ..before }).or_call("capset", "all that is permitted")
}

/// Does something in the child's mount namespace, by a process that goes in for it with all our rights, which the child
/// does not have.
fn in_mounts_of(child: &Child, act: impl FnOnce() -> Result<()>) -> Result<()> {
    match process::sys::fork().or_call("fork", "who attaches id-mapped mounts")? {
        ForkResult::Child => {
            let done = setns(child.pidfd(), CloneFlags::CLONE_NEWNS).or_call("setns", "the child's mounts");
            let code = match done.and_then(|()| act()) {
                Ok(()) => 0,
                Err(error) => {
                    process::cli::report(&error);
                    1
                }
            };
            process::sys::exit_now(code)
        }
        ForkResult::Parent { child } => {
            let status = loop {
                match waitpid(child, None) {
                    Err(Errno::EINTR) => {}
                    status => break status.or_call("waitpid", child)?,
                }
            };
            match status {
                WaitStatus::Exited(_, 0) => Ok(()),
                _ => Err(Error::unsupported("the id-mapped mounts could not be attached")
                    .help("the reason is told above; leave out --userns if it cannot be mended")),
            }
        }
    }
}

fn cover(mount: Mount, place: &Path) -> Result<()> {
    let target = open(place, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", place.display())?;
    mount.attach(target, &place.display().to_string())
}
