//! The layers below, merged as the kernel merges them: what a path means before the container changed anything.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::path::PathBuf;

use process::Result;

use crate::{dir, marks};

/// One directory of the merged view: the directories of the layers that make it up, topmost first.
#[derive(Debug, Clone, Default)]
pub struct LowerDir {
    parts: Vec<PathBuf>,
}

/// What a name means in the merged view.
#[derive(Debug)]
pub enum Lower {
    /// Nothing: no layer has it, or a whiteout hides it.
    Absent,
    /// A file, a link, a device.
    File(Metadata, PathBuf),
    /// A directory: what the topmost layer says of it, and its merged contents.
    Dir(Metadata, LowerDir),
}

impl LowerDir {
    /// The root of the view of `lowers`, topmost first.
    pub fn root(lowers: &[PathBuf]) -> Self {
        Self { parts: lowers.to_vec() }
    }

    /// A directory that no layer below has.
    pub fn none() -> Self {
        Self::default()
    }

    /// Looks `name` up, as `ovl_lookup` of the kernel does: topmost first, until something ends the search.
    ///
    /// # Errors
    /// As lstat(2) and lgetxattr(2).
    pub fn child(&self, name: &OsStr) -> Result<Lower> {
        let mut found: Option<Metadata> = None;
        let mut parts = Vec::new();
        for part in &self.parts {
            let path = part.join(name);
            let Some(about) = dir::about(&path)? else { continue };
            if !about.is_dir() {
                // A file ends the search: below a directory it is hidden, at the top it is the answer.
                return Ok(match found {
                    Some(found) => Lower::Dir(found, Self { parts }),
                    None if marks::is_whiteout(&path, &about)? => Lower::Absent,
                    None => Lower::File(about, path),
                });
            }
            let opaque = marks::is_opaque(&path)?;
            parts.push(path);
            found.get_or_insert(about);
            if opaque {
                break;
            }
        }
        Ok(found.map_or(Lower::Absent, |found| Lower::Dir(found, Self { parts })))
    }

    /// Everything that can be seen in it, sorted.
    ///
    /// # Errors
    /// As getdents64(2), and as [`child`](Self::child).
    pub fn names(&self) -> Result<BTreeSet<OsString>> {
        let mut all = BTreeSet::new();
        for part in &self.parts {
            all.extend(dir::names(part)?);
        }
        let mut seen = BTreeSet::new();
        for name in all {
            if !matches!(self.child(&name)?, Lower::Absent) {
                seen.insert(name);
            }
        }
        Ok(seen)
    }
}
