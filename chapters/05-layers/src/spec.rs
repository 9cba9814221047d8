//! One mount that the user asked for, whichever way it was written.

use std::path::{Component, Path, PathBuf};

use namespaces::mount::{NODEV, NOEXEC, NOSUID, Propagation};
use process::{Error, Result};

/// Something mounted into the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSpec {
    /// What.
    pub source: Source,
    /// Where: an absolute path inside the container.
    pub target: PathBuf,
    /// Nothing may be written through it.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file or directory of the host.
    Bind(Bind),
    /// A named volume; the container's first start fills it from the image, unless `no_copy`.
    Volume {
        /// Its name, or none for one that is made for this container alone.
        name: Option<String>,
        /// Leave it empty.
        no_copy: bool,
    },
    /// Memory.
    Tmpfs(Tmpfs),
}

/// A bind mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The absolute path on the host.
    pub path: PathBuf,
    /// Make the directory if it is missing: what `-v` does, and `--mount` does not.
    pub create: bool,
    /// With what is mounted below it.
    pub recursive: bool,
    /// `read_only` means also what is mounted below it.
    pub recursive_read_only: bool,
    /// How mounts made on one side show up on the other.
    pub propagation: Propagation,
    /// Owners are shifted into the container's user namespace. A later chapter's stage does it, and takes the mark off.
    pub id_mapped: bool,
}

/// A tmpfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    /// Attributes of the mount; `nosuid,nodev,noexec` unless told otherwise.
    pub attributes: u64,
    /// Options of the file system, such as `size` and `mode` (tmpfs(5)).
    pub options: Vec<(String, String)>,
}

impl Bind {
    /// A bind mount of `path` as `-v` makes it, which must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let propagation = Propagation::Private;
        Self {
            path: path.into(),
            create: false,
            recursive: true,
            recursive_read_only: true,
            propagation,
            id_mapped: false,
        }
    }
}

impl Default for Tmpfs {
    fn default() -> Self {
        Self { attributes: NOSUID | NODEV | NOEXEC, options: Vec::new() }
    }
}

impl MountSpec {
    /// `source` at `target`, writable.
    ///
    /// # Errors
    /// A target that is not absolute, or the root itself.
    pub fn new(source: Source, target: &str) -> Result<Self> {
        Ok(Self { source, target: check_target(target)?, read_only: false })
    }

    /// A volume that is made for this container alone, as for a `VOLUME` of an image.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn anonymous(target: &str) -> Result<Self> {
        Self::new(Source::Volume { name: None, no_copy: false }, target)
    }
}

/// Refuses two mounts on one place, since one would hide the other.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid), naming the place.
pub fn check_unique(specs: &[MountSpec]) -> Result<()> {
    let mut targets: Vec<_> = specs.iter().map(|spec| &spec.target).collect();
    targets.sort();
    match targets.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::invalid(format!("two mounts on {}", pair[0].display())).help("leave one of them out")),
        None => Ok(()),
    }
}

/// The target as it is meant: absolute, without `.` and doubled slashes. `..` is refused, since nobody can say
/// what it would mean behind a link.
fn check_target(target: &str) -> Result<PathBuf> {
    let path = Path::new(target);
    if !path.is_absolute() {
        return Err(Error::invalid(format!("{target:?} is no place for a mount"))
            .help("give an absolute path inside the container"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(Error::invalid(format!("{target:?} is no place for a mount")).help("write it without `..`"));
    }
    let clean: PathBuf = path.components().collect();
    if clean == Path::new("/") {
        return Err(Error::invalid("nothing can be mounted on the root itself").help("choose a directory below it"));
    }
    Ok(clean)
}
