//! The mounts of config.json as a plan, checked before the first of them is made.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use namespaces::IdMap;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use oci_spec::runtime::Mount;
use process::{Error, OrCall, Result};

use super::bundle::{MountMaps, inside, invalid};
use super::mount_options::Options;
use super::{Bundle, namespaces as spaces, sys};

/// All mounts of a bundle.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) entries: Vec<Entry>,
}

/// One mount.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where, as the container sees it: absolute and without dots.
    pub place: PathBuf,
    pub what: What,
    pub options: Options,
    /// The ids that the files of a bind mount get, if they are mapped.
    pub map: Option<IdMap>,
    /// Made by the parent, where the child would not have the right to.
    pub ready: Option<OwnedFd>,
}

/// What is mounted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A part of the host's tree.
    Bind(PathBuf),
    /// The control groups, which are version 2's whatever the configuration calls them.
    Cgroup,
    /// A new file system: its type and its source.
    New(String, String),
}

impl Plan {
    /// The mounts of `bundle`.
    ///
    /// # Errors
    /// [`Kind::Invalid`](process::Kind::Invalid) for an entry that makes no sense.
    pub fn of(bundle: &Bundle) -> Result<Self> {
        let mounts = bundle.spec.mounts().as_deref().unwrap_or_default().iter().enumerate();
        let entries = mounts.map(|(index, mount)| {
            let entry = Entry::of(bundle, mount, bundle.mount_maps(index));
            entry.map_err(|error| error.at(format_args!("mounts[{index}] ({})", mount.destination().display())))
        });
        Ok(Self { entries: entries.collect::<Result<_>>()? })
    }

    /// Is /dev the host's, or a part of it? Then nothing is made in it.
    pub fn has_foreign_dev(&self) -> bool {
        self.entries.iter().any(|entry| entry.place == Path::new("/dev") && matches!(entry.what, What::Bind(_)))
    }
}

impl Entry {
    fn of(bundle: &Bundle, mount: &Mount, maps: Option<&MountMaps>) -> Result<Self> {
        let place = inside(mount.destination());
        if place == Path::new("/") {
            return Err(invalid("a mount cannot take the root's own place").help("name another root.path"));
        }
        let options = Options::parse(mount.options().as_deref().unwrap_or_default());
        let kind = mount.typ().as_deref().unwrap_or_default();
        let source = mount.source().clone().unwrap_or_default();
        let what = match kind {
            _ if options.bind.is_some() || kind == "bind" => What::Bind(bundle.dir.join(&source)),
            "cgroup" | "cgroup2" => What::Cgroup,
            "" if options.set & libc::MS_REMOUNT == 0 => {
                return Err(invalid("it has neither a type nor the option bind").help("mount(8) tells of both"));
            }
            kind => What::New(kind.to_owned(), source.to_string_lossy().into_owned()),
        };
        if let What::Bind(_) = what
            && source.as_os_str().is_empty()
        {
            return Err(invalid("a bind mount needs a source"));
        }
        if let What::New(kind, _) = &what
            && place == Path::new("/proc")
            && kind != "proc"
        {
            return Err(invalid(&format!("/proc cannot be a {kind}: what the engine writes there would go elsewhere")));
        }
        let map = id_map(bundle, &options, maps)?;
        if map.is_some() && !matches!(what, What::Bind(_)) {
            return Err(invalid("only a bind mount can have mapped ids"));
        }
        Ok(Self { place, what, options, map, ready: None })
    }

    /// The detached copy of the host's tree, with all its attributes.
    pub fn clone_source(&self, source: &Path) -> Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let found = open(source, flags, Mode::empty()).or_call("open", source.display());
        let found = found.map_err(|error| error.help("the source of a bind mount must exist on the host"))?;
        if self.place == Path::new("/proc") && !is_proc(&found)? {
            let what = format!("{} cannot be mounted on /proc because it is not of type proc", source.display());
            return Err(Error::invalid(what).help("what the engine writes there would go elsewhere"));
        }
        let recursive = self.options.bind == Some(true);
        sys::clone_tree(found.as_fd(), recursive).or_call("open_tree", source.display())
    }
}

/// The ids of a mount with the option idmap: its own maps, or those of the container's user namespace.
fn id_map(bundle: &Bundle, options: &Options, maps: Option<&MountMaps>) -> Result<Option<IdMap>> {
    match (options.idmap, maps) {
        (None, None) => Ok(None),
        (_, Some(maps)) if maps.uid_mappings.is_empty() || maps.gid_mappings.is_empty() => {
            Err(invalid("uidMappings and gidMappings belong together"))
        }
        (_, Some(maps)) => Ok(Some(IdMap {
            uids: maps.uid_mappings.iter().map(spaces::range).collect(),
            gids: maps.gid_mappings.iter().map(spaces::range).collect(),
        })),
        (Some(_), None) => match spaces::id_map(bundle) {
            Some(map) => Ok(Some(map)),
            None => Err(invalid("idmap needs uidMappings and gidMappings, or a new user namespace to take them from")),
        },
    }
}

fn is_proc(fd: &OwnedFd) -> Result<bool> {
    Ok(fstatfs(fd).or_call("fstatfs", "/proc")?.filesystem_type() == PROC_SUPER_MAGIC)
}
