//! The root's own mount: how far mounts spread between it and the host, and whether it can be written.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use namespaces::mount::{Change, RDONLY, mount_setattr};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use process::{Error, OrCall, Result, Stage, explain};

use super::{bundle::invalid, sys};

/// The stage that makes the root a mount of its own, in a tree of mounts with the wanted propagation.
pub struct Root {
    path: PathBuf,
    propagation: MsFlags,
}

/// `linux.rootfsPropagation` (config-linux.md, "Rootfs Mount Propagation"); without one, the host's mounts still come
/// in and none goes out, as with every runtime.
///
/// # Errors
/// A word that is none of the four and their recursive forms.
pub fn propagation(word: Option<&str>) -> Result<MsFlags> {
    let plain = |word: &str| match word {
        "shared" => Some(MsFlags::MS_SHARED),
        "slave" => Some(MsFlags::MS_SLAVE),
        "private" => Some(MsFlags::MS_PRIVATE),
        "unbindable" => Some(MsFlags::MS_UNBINDABLE),
        _ => None,
    };
    match word.filter(|word| !word.is_empty()) {
        None => Ok(MsFlags::MS_SLAVE | MsFlags::MS_REC),
        Some(word) => plain(word)
            .or_else(|| plain(word.strip_prefix('r')?).map(|flags| flags | MsFlags::MS_REC))
            .ok_or_else(|| {
                invalid(&format!("linux.rootfsPropagation {word:?} is no propagation type"))
                    .help("one of shared, slave, private, unbindable")
            }),
    }
}

impl Root {
    /// The directory `path` becomes the root.
    pub fn new(path: PathBuf, propagation: MsFlags) -> Self {
        Self { path, propagation }
    }

    /// What is mounted on a shared mount shows up on the host. The mount that the root lies on must not be one; which
    /// it is, is found by going up until the kernel takes a directory for a mount point.
    fn part_from_parent(&self) -> Result<()> {
        for above in self.path.ancestors() {
            match mount(None::<&str>, above, None::<&str>, MsFlags::MS_PRIVATE, None::<&str>) {
                Err(Errno::EINVAL) => {}
                done => return done.or_call("mount", format!("private on {}", above.display())),
            }
        }
        Ok(())
    }
}

impl Stage for Root {
    fn name(&self) -> &'static str {
        "root"
    }

    fn create_container(&mut self) -> Result<()> {
        // A mount that is shared with the host's stays so only if that was asked for.
        let first = if self.propagation.contains(MsFlags::MS_UNBINDABLE) {
            MsFlags::MS_PRIVATE | MsFlags::MS_REC // an unbindable root could not be bound on itself, see below
        } else {
            self.propagation
        };
        mount(None::<&str>, "/", None::<&str>, first, None::<&str>).or_call("mount", format!("{first:?} on /"))?;
        explain!(3, "how far mounts spread", "mount(\"/\", {first:?})");
        if !first.intersects(MsFlags::MS_PRIVATE | MsFlags::MS_SLAVE) || !first.contains(MsFlags::MS_REC) {
            self.part_from_parent()?;
        }
        let show = self.path.display();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(&self.path, flags, Mode::empty()).or_call("open", &show)?;
        let tree = sys::clone_tree(directory.as_fd(), true).or_call("open_tree", &show)?;
        sys::attach(tree.as_fd(), directory.as_fd()).or_call("move_mount", &show)?;
        explain!(3, "the root is a mount of its own", "open_tree and move_mount({show})");
        if self.propagation.contains(MsFlags::MS_UNBINDABLE) {
            mount(None::<&str>, &self.path, None::<&str>, MsFlags::MS_UNBINDABLE, None::<&str>)
                .or_call("mount", format!("unbindable on {show}"))?;
        }
        Ok(())
    }
}

/// The stage that comes after everything that is made in the root: `root.readonly`.
pub struct ReadOnly;

impl Stage for ReadOnly {
    fn name(&self) -> &'static str {
        "read-only root"
    }

    fn enter_root(&mut self) -> Result<()> {
        set_read_only(Path::new("/"))?;
        explain!(9, "nothing in the root can be written", "mount_setattr(\"/\", RDONLY)");
        Ok(())
    }
}

/// Makes the mount at `path` read-only, whatever it was before.
fn set_read_only(path: &Path) -> Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let fd = open(path, flags, Mode::empty()).or_call("open", path.display())?;
    mount_setattr(fd.as_fd(), Change::attributes(RDONLY), false)
        .map_err(|errno| Error::call("mount_setattr", path.display(), errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(propagation(None).unwrap(), MsFlags::MS_SLAVE | MsFlags::MS_REC);
        assert_eq!(propagation(Some("shared")).unwrap(), MsFlags::MS_SHARED);
        assert_eq!(propagation(Some("rprivate")).unwrap(), MsFlags::MS_PRIVATE | MsFlags::MS_REC);
        assert!(propagation(Some("rrshared")).is_err());
    }
}
