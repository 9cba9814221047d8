//! Copying a tree with everything that belongs to it: owners, modes, times, attributes, links. It fills volumes.
//!
//! Another container may have the volume mounted and plant links in it meanwhile. So nothing here follows a link
//! at the place that is written: the copy stays in the volume.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::linkat;
use process::{OrCall, Result};
use rootfs::{RootDir, fd_path};

use crate::commit::travels;
use crate::dir::Dir;
use crate::sys;

/// Copies what is in `from`, and its own attributes, into the empty directory `to`.
///
/// Sockets are left out. Device nodes are, where we may not make them (a user namespace).
///
/// # Errors
/// As the calls that read and write files, naming the file.
pub fn tree(from: &Dir, to: &Dir) -> Result<()> {
    let root = RootDir::open(to.path())?;
    Copy { root, links: HashMap::new() }.directory(from, to, Path::new("/"))?;
    attributes(&from.path(), &to.path(), &from.own()?).map_err(|error| error.at(from.shown().display()))
}

struct Copy {
    root: RootDir,
    /// Where the first copy is of each file that has several names.
    links: HashMap<(u64, u64), PathBuf>,
}

impl Copy {
    fn directory(&mut self, from: &Dir, to: &Dir, path: &Path) -> Result<()> {
        for name in from.names()? {
            if let Some(about) = from.about(&name)? {
                self.entry(from, to, &path.join(&name), &about)
                    .map_err(|error| error.at(from.shown().join(&name).display()))?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, from: &Dir, to: &Dir, path: &Path, about: &Metadata) -> Result<()> {
        let name = path.file_name().unwrap_or_default();
        let (source, target) = (from.at(name), to.at(name));
        let inode = (about.dev(), about.ino());
        if let Some(first) = self.links.get(&inode).filter(|_| about.nlink() > 1 && !about.is_dir()) {
            let first = self.root.open_at(first, OFlag::O_PATH | OFlag::O_NOFOLLOW)?;
            return linkat(AT_FDCWD, &fd_path(&first), AT_FDCWD, &target, AtFlags::AT_SYMLINK_FOLLOW)
                .or_call("linkat", "");
        }
        let kind = about.file_type();
        if about.is_dir() {
            DirBuilder::new().mode(0o700).create(&target).or_call("mkdirat", "")?;
            self.directory(&from.dir(name)?, &to.dir(name)?, path)?;
        } else if about.is_symlink() {
            symlink(source.read_link().or_call("readlink", "")?, &target).or_call("symlink", "")?;
        } else if about.is_file() {
            contents(from.file(name)?, &target)?;
        } else if kind.is_socket() || !node(&target, about)? {
            return Ok(());
        }
        attributes(&source, &target, about)?;
        if about.nlink() > 1 {
            self.links.insert(inode, path.to_owned());
        }
        Ok(())
    }
}

fn contents(mut from: File, target: &Path) -> Result<()> {
    let mut to =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(target).or_call("open", "the copy")?;
    std::io::copy(&mut from, &mut to).or_call("copy_file_range", "")?;
    Ok(())
}

/// A pipe or a device; false where it may not be made.
fn node(target: &Path, about: &Metadata) -> Result<bool> {
    let kind = about.file_type();
    let kind = match () {
        () if kind.is_fifo() => SFlag::S_IFIFO,
        () if kind.is_char_device() => SFlag::S_IFCHR,
        () => SFlag::S_IFBLK,
    };
    match mknodat(AT_FDCWD, target, kind, Mode::S_IRUSR, about.rdev()) {
        Err(Errno::EPERM) => Ok(false),
        done => done.or_call("mknodat", "").map(|()| true),
    }
}

/// Owner before mode, since a change of owner takes set-user-ID away; times last, since all else changes them.
fn attributes(source: &Path, target: &Path, about: &Metadata) -> Result<()> {
    lchown(target, Some(about.uid()), Some(about.gid())).or_call("lchown", "")?;
    for name in sys::list(source).or_call("llistxattr", "")?.into_iter().filter(travels) {
        let Some(value) = sys::get(source, &name).or_call("lgetxattr", "")? else { continue };
        match sys::set(target, &name, &value) {
            Err(Errno::ENOTSUP) => {}
            done => done.or_call("lsetxattr", name.display())?,
        }
    }
    if !about.is_symlink() {
        let mode = Mode::from_bits_truncate(about.mode() & 0o7777);
        fchmodat(AT_FDCWD, target, mode, FchmodatFlags::NoFollowSymlink).or_call("fchmodat", "")?;
    }
    let times = [(about.atime(), about.atime_nsec()), (about.mtime(), about.mtime_nsec())];
    let [accessed, modified] = times.map(|(seconds, nanos)| TimeSpec::new(seconds, nanos));
    utimensat(AT_FDCWD, target, &accessed, &modified, UtimensatFlags::NoFollowSymlink).or_call("utimensat", "")
}
