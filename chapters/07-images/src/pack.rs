//! A directory becomes a layer's archive, the same bytes each time: sorted, owned by root, without dates.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use process::{Error, OrCall, Result};
use tar::{Builder, EntryType, Header};

/// Writes everything in `root` as a tar archive to `out`, and gives `out` back.
///
/// # Errors
/// Of reading the files or of writing.
pub fn pack<W: Write>(root: &Path, out: W) -> Result<W> {
    let mut pack = Pack { root, archive: Builder::new(out), links: HashMap::new() };
    pack.directory(Path::new(""))?;
    pack.archive.into_inner().or_call("write", "the layer's archive")
}

struct Pack<'a, W: Write> {
    root: &'a Path,
    archive: Builder<W>,
    /// Files of several names, by device and inode: the first name is the file, the others are links to it.
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Pack<'_, W> {
    fn directory(&mut self, path: &Path) -> Result<()> {
        let directory = self.root.join(path);
        let entries = fs::read_dir(&directory).or_call("open", directory.display())?;
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            self.entry(&path.join(name))?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path) -> Result<()> {
        let full = self.root.join(path);
        let meta = fs::symlink_metadata(&full).or_call("lstat", full.display())?;
        let kind = meta.file_type();
        if kind.is_dir() {
            self.append(&meta, EntryType::Directory, path, Path::new(""), None)?;
            return self.directory(path);
        }
        if kind.is_symlink() {
            let target = fs::read_link(&full).or_call("readlink", full.display())?;
            return self.append(&meta, EntryType::Symlink, path, &target, None);
        }
        if !kind.is_file() {
            return Ok(()); // a device or a socket: the container gets its own
        }
        if meta.nlink() > 1
            && let Some(first) = self.links.get(&(meta.dev(), meta.ino())).cloned()
        {
            return self.append(&meta, EntryType::Link, path, &first, None);
        }
        self.links.insert((meta.dev(), meta.ino()), path.to_owned());
        let file = File::open(&full).or_call("open", full.display())?;
        self.append(&meta, EntryType::Regular, path, Path::new(""), Some(file))
    }

    fn append(&mut self, meta: &Metadata, kind: EntryType, path: &Path, link: &Path, file: Option<File>) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(meta.mode() & 0o7777);
        header.set_size(if file.is_some() { meta.len() } else { 0 });
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let done = match (file, kind) {
            (Some(file), _) => self.archive.append_data(&mut header, path, file),
            (None, EntryType::Directory) => self.archive.append_data(&mut header, path, std::io::empty()),
            (None, _) => self.archive.append_link(&mut header, path, link),
        };
        done.map_err(|error| Error::io("write", path.as_os_str().as_bytes().escape_ascii(), &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{digest, unpack};

    #[test]
    fn the_same_files_give_the_same_bytes_and_come_back() {
        let make = || {
            let dir = tempfile::tempdir().unwrap();
            let long = dir.path().join("d".repeat(120));
            fs::create_dir(&long).unwrap();
            fs::write(long.join("file"), "x").unwrap();
            fs::hard_link(long.join("file"), dir.path().join("again")).unwrap();
            std::os::unix::fs::symlink("/again", dir.path().join("link")).unwrap();
            pack(dir.path(), Vec::new()).unwrap()
        };
        let bytes = make();
        assert_eq!(digest::of(&bytes), digest::of(&make()));
        if nix::unistd::geteuid().is_root() {
            let dir = tempfile::tempdir().unwrap();
            unpack::unpack(&bytes[..], dir.path(), unpack::Limits::from_env()).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join("again")).unwrap(), "x");
            assert_eq!(fs::metadata(dir.path().join("again")).unwrap().nlink(), 2);
        }
    }
}
