//! `commit`: an upper directory becomes a layer, a tar archive as the OCI image specification has it (layer.md).
//!
//! The overlay's marks are translated: a whiteout becomes an empty file `.wh.NAME`, an opaque directory holds an
//! empty file `.wh..wh..opq`. Everything else is kept as the container sees it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use process::{Error, OrCall, Result, explain};

use crate::dir::Dir;
use crate::lower::{Lower, LowerDir};
use crate::tarball::{Content, Tarball};
use crate::{marks, sys};

/// The beginning of a whiteout's name.
const WHITEOUT: &[u8] = b".wh.";
/// The mark of a directory that hides those below it.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What a finished layer is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// `sha256:…` of the archive as it was written, which OCI calls the layer's diff_id.
    pub diff_id: String,
    /// Bytes of the archive.
    pub size: u64,
}

/// Writes the changes in `upper` against `lowers` (topmost first) as a layer to `out`.
///
/// Without `lowers` every mark of the upper directory is written; with them only those that hide something
/// (the kernel marks each new directory as opaque, for speed). Ids are those of our user namespace.
///
/// # Errors
/// As open(2), read(2), write(2); [`Kind::Invalid`](process::Kind::Invalid) for names that a layer cannot carry.
pub fn commit(upper: &Path, lowers: &[PathBuf], out: impl Write) -> Result<Committed> {
    let mut layer = Layer { tar: Tarball::new(out), links: HashMap::new(), all_marks: lowers.is_empty() };
    let root = Dir::open(upper)?;
    layer.root(&root, lowers.first())?;
    layer.directory(&root, &LowerDir::root(lowers), b"")?;
    let (digest, size) = layer.tar.finish()?;
    explain!(5, "the changes, as a layer", "tar of {}: {size} bytes", upper.display());
    Ok(Committed { diff_id: format!("sha256:{digest}"), size })
}

struct Layer<W: Write> {
    tar: Tarball<W>,
    /// The first name in the archive of each file that has several.
    links: HashMap<(u64, u64), Vec<u8>>,
    all_marks: bool,
}

impl<W: Write> Layer<W> {
    /// The root itself, if the container changed its mode or owner.
    fn root(&mut self, upper: &Dir, lower: Option<&PathBuf>) -> Result<()> {
        let Some(lower) = lower else { return Ok(()) };
        let (old, new) = (lower.metadata().or_call("stat", lower.display())?, upper.own()?);
        let owner = |about: &Metadata| (about.mode(), about.uid(), about.gid());
        if owner(&old) == owner(&new) {
            return Ok(());
        }
        self.tar.entry(b"./", &new, Content::None, &[])
    }

    fn directory(&mut self, upper: &Dir, lower: &LowerDir, path: &[u8]) -> Result<()> {
        for name in upper.names()? {
            // Gone since the directory was read: the container runs.
            let Some(about) = upper.about(&name)? else { continue };
            let below = lower.child(&name)?;
            if marks::is_whiteout(&upper.at(&name), &about)? {
                if self.all_marks || !matches!(below, Lower::Absent) {
                    self.tar.marker(&[path, WHITEOUT, name.as_bytes()].concat())?;
                }
                continue;
            }
            if name.as_bytes().starts_with(WHITEOUT) {
                let shown = upper.shown().join(&name);
                return Err(Error::invalid(format!("{}: in a layer this name means a deletion", shown.display()))
                    .help("rename it in the container"));
            }
            let path = [path, name.as_bytes()].concat();
            if about.is_dir() {
                self.subdirectory(upper, &name, &about, below, path)?;
            } else {
                self.file(upper, &name, &about, path)?;
            }
        }
        Ok(())
    }

    fn subdirectory(&mut self, upper: &Dir, name: &OsStr, about: &Metadata, below: Lower, path: Vec<u8>) -> Result<()> {
        let directory = upper.dir(name)?;
        let path = [path.as_slice(), b"/"].concat();
        self.tar.entry(&path, about, Content::None, &xattrs(upper, name)?)?;
        let opaque = marks::is_opaque(&directory.path())?;
        if opaque && (self.all_marks || !matches!(below, Lower::Absent)) {
            self.tar.marker(&[path.as_slice(), OPAQUE].concat())?;
        }
        let below = match below {
            Lower::Dir(_, below) if !opaque => below,
            _ => LowerDir::none(),
        };
        self.directory(&directory, &below, &path)
    }

    fn file(&mut self, upper: &Dir, name: &OsStr, about: &Metadata, path: Vec<u8>) -> Result<()> {
        if about.file_type().is_socket() {
            return Ok(()); // it means something only to the process that made it
        }
        let inode = (about.dev(), about.ino());
        if let Some(first) = self.links.get(&inode).filter(|_| about.nlink() > 1) {
            return self.tar.entry(&path, about, Content::HardLink(first), &[]);
        }
        let xattrs = xattrs(upper, name)?;
        if about.is_symlink() {
            let target = upper.at(name).read_link().or_call("readlink", upper.shown().join(name).display())?;
            self.tar.entry(&path, about, Content::Symlink(target.into_os_string().into_encoded_bytes()), &xattrs)?;
        } else if about.is_file() {
            let mut file = upper.file(name)?;
            // Of the file that is open, not of the one that bore the name a moment ago.
            let about = file.metadata().or_call("fstat", upper.shown().join(name).display())?;
            self.tar.entry(&path, &about, Content::File(&mut file), &xattrs)?;
        } else {
            self.tar.entry(&path, about, Content::None, &xattrs)?;
        }
        if about.nlink() > 1 {
            self.links.insert(inode, path);
        }
        Ok(())
    }
}

/// The extended attributes that belong to the file rather than to this machine, sorted.
///
/// # Errors
/// As llistxattr(2) and lgetxattr(2), and for a name that a PAX record cannot carry.
fn xattrs(parent: &Dir, name: &OsStr) -> Result<Vec<(String, Vec<u8>)>> {
    let path = parent.at(name);
    let shown = parent.shown().join(name);
    let mut found = Vec::new();
    for key in sys::list(&path).or_call("llistxattr", shown.display())?.into_iter().filter(travels) {
        let Some(value) = sys::get(&path, &key).or_call("lgetxattr", shown.display())? else { continue };
        let key = key.into_string().ok().filter(|key| !key.contains('='));
        let key = key
            .ok_or_else(|| Error::invalid(format!("{}: an attribute's name that tar cannot hold", shown.display())))?;
        found.push((key, value));
    }
    found.sort();
    Ok(found)
}

/// Not the overlay's own marks, and not this machine's labels and measurements (SELinux, IMA, EVM).
pub(crate) fn travels(key: &OsString) -> bool {
    let name = key.as_bytes();
    let kept: [&[u8]; 4] = [b"user.", b"trusted.", b"security.capability", b"system.posix_acl_"];
    !marks::is_internal(key) && kept.iter().any(|kept| name.starts_with(kept))
}
