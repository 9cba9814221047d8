//! The stage that mounts what the user asked for on the container's root: binds, volumes, memory.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use namespaces::id;
use namespaces::mount::{Mount, Propagation, RDONLY};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use process::{Error, OrCall, Result, Stage, explain};
use rootfs::{RootDir, fd_path};

use crate::dir::Dir;
use crate::peers;
use crate::spec::{Bind, MountSpec, Source, Tmpfs};
use crate::volume::Volume;

/// Mounts, in the order of their depth, so that `/a/b` lands in what is mounted on `/a`.
pub struct Mounts {
    root: PathBuf,
    specs: Vec<MountSpec>,
    /// Of each, the name that an anonymous volume has been given.
    names: Vec<Option<String>>,
    /// Of each, what had to be opened before the child had mounts of its own.
    opened: Vec<Option<Mount>>,
}

impl Mounts {
    /// `specs` beneath `root`. Anonymous volumes get their names here.
    ///
    /// # Errors
    /// As [`id::random_id`].
    pub fn new(root: PathBuf, mut specs: Vec<MountSpec>) -> Result<Self> {
        specs.sort_by_key(|spec| spec.target.components().count());
        let name = |spec: &MountSpec| match &spec.source {
            Source::Volume { name: Some(name), .. } => Ok(Some(name.clone())),
            Source::Volume { name: None, .. } => id::random_id().map(Some),
            _ => Ok(None),
        };
        let names = specs.iter().map(name).collect::<Result<Vec<_>>>()?;
        let opened = specs.iter().map(|_| None).collect();
        Ok(Self { root, specs, names, opened })
    }

    /// The volumes among them, which the container's [`Config`](crate::Config) has to name.
    pub fn volumes(&self) -> Vec<String> {
        self.names.iter().flatten().cloned().collect()
    }

    /// Copies the image's contents into new volumes, before anything hides them.
    fn fill(&self, root: &RootDir) -> Result<()> {
        for (spec, name) in self.specs.iter().zip(&self.names) {
            let (Source::Volume { no_copy, .. }, Some(name)) = (&spec.source, name) else { continue };
            let directory = OFlag::O_PATH | OFlag::O_DIRECTORY;
            let image = match root.open_at(&spec.target, directory) {
                Ok(fd) if !no_copy => Some(Dir::from_fd(fd, spec.target.clone())),
                _ => None,
            };
            Volume::find(name)?.fill(image.as_ref())?;
        }
        Ok(())
    }

    /// What shall be mounted, as a mount that is attached nowhere yet.
    fn source(&mut self, at: usize, root: &RootDir) -> Result<Mount> {
        let spec = &self.specs[at];
        let mount = match (&spec.source, self.opened[at].take()) {
            (Source::Bind(_), Some(opened)) => opened,
            (Source::Bind(bind), None) => open_bind(bind)?,
            (Source::Volume { .. }, _) => {
                let name = self.names[at].as_deref().unwrap_or_default();
                open_bind(&Bind::new(Volume::find(name)?.data()))?
            }
            (Source::Tmpfs(tmpfs), _) => memory(tmpfs, root, &spec.target)?,
        };
        if spec.read_only {
            let recursive = !matches!(&spec.source, Source::Bind(bind) if !bind.recursive_read_only);
            mount.set(RDONLY, recursive).map_err(old_kernel)?;
            explain!(5, "read-only, and so is all below it", "mount_setattr({}, RDONLY)", spec.target.display());
        }
        Ok(mount)
    }
}

impl Stage for Mounts {
    fn name(&self) -> &'static str {
        "mounts"
    }

    fn prepare(&mut self) -> Result<()> {
        for ((spec, name), opened) in self.specs.iter().zip(&self.names).zip(&mut self.opened) {
            match (&spec.source, name) {
                (Source::Bind(bind), _) => {
                    host_path(bind)?;
                    peers::check(bind)?;
                    if bind.propagation == Propagation::Shared {
                        // In the child every mount is a slave already, whose mounts no longer reach the host.
                        *opened = Some(open_bind(bind)?);
                    }
                }
                (Source::Volume { name: None, .. }, Some(drawn)) => drop(Volume::ensure_anonymous(drawn)?),
                (Source::Volume { .. }, Some(name)) => drop(Volume::ensure(name)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn create_container(&mut self) -> Result<()> {
        let root = RootDir::open(&self.root)?;
        self.fill(&root)?;
        // All sources first: a mount made here must not change what a later source's path means.
        let mounts = (0..self.specs.len()).map(|at| self.source(at, &root)).collect::<Result<Vec<_>>>()?;
        for (spec, mount) in self.specs.iter().zip(mounts) {
            let target = place(&root, &spec.target, &mount)?;
            mount.attach(target, &spec.target.display().to_string())?;
        }
        Ok(())
    }
}

/// The host's side of a bind mount: `-v` makes a missing directory, `--mount` does not.
fn host_path(bind: &Bind) -> Result<()> {
    if bind.id_mapped {
        return Err(Error::unsupported(format!(
            "{}: idmap needs a user namespace of the container's own",
            bind.path.display()
        ))
        .help("step09 and later have it, with --userns; here leave out idmap"));
    }
    match bind.path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && bind.create => {
            std::fs::create_dir_all(&bind.path).or_call("mkdir", bind.path.display())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::not_found(format!("{} does not exist on the host", bind.path.display()))
                .help("make it, or write it as `-v`, which makes a missing directory"))
        }
        found => found.or_call("stat", bind.path.display()).map(drop),
    }
}

fn open_bind(bind: &Bind) -> Result<Mount> {
    let mount = Mount::tree_at(&bind.path, bind.recursive).map_err(|error| match error.errno() {
        Some(Errno::EINVAL) if !bind.recursive => {
            error.help("in a user namespace a mount below this one may not be uncovered: bind it with what is below it")
        }
        _ => error,
    })?;
    mount.propagate(bind.propagation, true)?;
    Ok(mount)
}

/// A tmpfs takes the mode of the directory that it covers, unless told otherwise; where there is none, that of /tmp.
fn memory(tmpfs: &Tmpfs, root: &RootDir, target: &Path) -> Result<Mount> {
    let mut options = tmpfs.options.clone();
    if !options.iter().any(|(key, _)| key == "mode") {
        let covered = root.resolve(target).ok().and_then(|fd| fd_path(&fd).metadata().ok());
        let mode = covered.map_or(0o1777, |about| about.mode() & 0o7777);
        options.push(("mode".to_owned(), format!("{mode:o}")));
    }
    let options: Vec<_> = options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    Mount::filesystem("tmpfs", &options, tmpfs.attributes)
}

/// The place to mount on, made if the root has none: a directory for a directory, a file for anything else.
fn place(root: &RootDir, target: &Path, mount: &Mount) -> Result<OwnedFd> {
    let is_directory = |fd: &dyn AsFd| fd_path(fd).metadata().is_ok_and(|about| about.is_dir());
    let wanted = is_directory(mount);
    let found = if wanted { root.make_dir(target) } else { root.make_file(target) };
    let fd = found.map_err(|error| match error.errno() {
        Some(Errno::ENOTDIR) => mismatch(target),
        Some(Errno::ENOENT) => error.help("a link of the image on the way there leads to nothing inside the root"),
        Some(Errno::EROFS) => error.help("the place does not exist, and what it lies in is mounted read-only"),
        _ => error,
    })?;
    if is_directory(&fd) != wanted {
        return Err(mismatch(target));
    }
    let place = fstatfs(fd.as_fd()).or_call("fstatfs", target.display())?;
    if place.filesystem_type() == PROC_SUPER_MAGIC {
        return Err(Error::invalid(format!("nothing can be mounted on {}", target.display()))
            .help("what /proc says must be the kernel's own words"));
    }
    Ok(fd)
}

/// Told here, since the kernel only says `EINVAL`.
fn mismatch(target: &Path) -> Error {
    Error::invalid(format!("the root's {} is of the other kind than what shall be mounted on it", target.display()))
        .help("a directory is mounted on a directory, a file on a file")
}

fn old_kernel(error: Error) -> Error {
    if error.errno() == Some(Errno::ENOSYS) { error.help("recursive read-only mounts need Linux 5.12") } else { error }
}
