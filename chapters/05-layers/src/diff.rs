//! What a container changed: its upper directory, compared with the layers below, as `docker diff` tells it.

use std::ffi::OsStr;
use std::fmt;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use process::{OrCall, Result};

use crate::dir::Dir;
use crate::lower::{Lower, LowerDir};
use crate::{marks, sys};

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// No layer has it.
    Added,
    /// A layer has it, with other contents, owner, mode or time; or something in the directory changed.
    Changed,
    /// A layer has it; the container does not see it any more. What was in it is not listed.
    Deleted,
}

/// One line of `docker diff`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To what: an absolute path inside the container.
    pub path: PathBuf,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.kind {
            ChangeKind::Added => 'A',
            ChangeKind::Changed => 'C',
            ChangeKind::Deleted => 'D',
        };
        write!(f, "{letter} {}", self.path.display())
    }
}

/// The changes in `upper` against `lowers` (topmost first), sorted by path.
///
/// The answer is that of comparing the two mounted trees, as Docker's "naive" driver does (moby, pkg/archive,
/// `addChanges`): a file that was only copied up is no change, a directory counts when something in it does.
/// Only the upper directory is walked, so it costs what the container wrote, not what the image holds.
///
/// # Errors
/// As open(2), lstat(2), getdents64(2) and lgetxattr(2).
pub fn diff(upper: &Path, lowers: &[PathBuf]) -> Result<Vec<Change>> {
    let mut walk = Walk { changes: Vec::new() };
    walk.directory(&Dir::open(upper)?, &LowerDir::root(lowers), false, Path::new("/"))?;
    walk.changes.sort_by(|one, other| one.path.as_os_str().as_bytes().cmp(other.path.as_os_str().as_bytes()));
    Ok(walk.changes)
}

struct Walk {
    changes: Vec<Change>,
}

impl Walk {
    /// Compares one directory. If it is `alone`, an opaque directory above it keeps the layers below from being
    /// merged into it, so that whatever they have and it has not is gone.
    fn directory(&mut self, upper: &Dir, lower: &LowerDir, alone: bool, path: &Path) -> Result<()> {
        let names = upper.names()?;
        if alone {
            let hidden = lower.names()?.into_iter().filter(|name| names.binary_search(name).is_err());
            hidden.for_each(|name| self.push(ChangeKind::Deleted, path.join(name)));
        }
        names.iter().try_for_each(|name| self.entry(upper, name, lower, alone, path.join(name)))
    }

    fn entry(&mut self, upper: &Dir, name: &OsStr, lower: &LowerDir, alone: bool, path: PathBuf) -> Result<()> {
        // Gone since the directory was read: the container runs.
        let Some(about) = upper.about(name)? else { return Ok(()) };
        let below = lower.child(name)?;
        if marks::is_whiteout(&upper.at(name), &about)? {
            if !matches!(below, Lower::Absent) {
                self.push(ChangeKind::Deleted, path);
            }
            return Ok(());
        }
        let changed = match (&below, about.is_dir()) {
            (Lower::Absent, _) => {
                self.push(ChangeKind::Added, path.clone());
                false
            }
            (Lower::File(old, old_path), _) => {
                differ(old, &about) || capability(old_path)? != capability(&upper.at(name))?
            }
            (Lower::Dir(old, _), _) => differ(old, &about),
        };
        let before = self.changes.len();
        if about.is_dir() {
            let directory = upper.dir(name)?;
            let alone = alone || marks::is_opaque(&directory.path())?;
            let below = if let Lower::Dir(_, below) = &below { below.clone() } else { LowerDir::none() };
            self.directory(&directory, &below, alone, &path)?;
        }
        if changed || (self.changes.len() > before && !matches!(below, Lower::Absent)) {
            self.push(ChangeKind::Changed, path);
        }
        Ok(())
    }

    fn push(&mut self, kind: ChangeKind, path: PathBuf) {
        self.changes.push(Change { kind, path });
    }
}

/// Do two files differ? Inode and ctime do not count, since copying up changes them; nor does a directory's time,
/// since every new name in it does.
fn differ(old: &Metadata, new: &Metadata) -> bool {
    let owner = |about: &Metadata| (about.mode(), about.uid(), about.gid(), about.rdev());
    let contents = |about: &Metadata| (about.len(), about.mtime(), about.mtime_nsec());
    owner(old) != owner(new) || (!new.is_dir() && contents(old) != contents(new))
}

/// The capabilities of a program file (capabilities(7)), which `setcap` changes without a trace in the times.
fn capability(path: &Path) -> Result<Option<Vec<u8>>> {
    sys::get(path, OsStr::new("security.capability")).or_call("lgetxattr", path.display())
}
