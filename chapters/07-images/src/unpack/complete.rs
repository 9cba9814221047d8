//! What a layer takes over from the layers below it, once they are there.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat};
use nix::unistd::linkat;
use process::{OrCall, Result};
use rootfs::{RootDir, fd_path};

use super::attributes::Made;
use super::name::Name;
use super::tree::{Tree, c_path, is_directory, is_overlay_mark, stat};
use super::{Unpacked, corrupt};
use crate::sys;

/// Finishes the layer in `dir`; `lowers` are the directories of the layers below, topmost first.
///
/// A directory that the archive uses without having it gets owner, mode and time of the one below.
/// A hard link to a file of a layer below becomes a copy of it: files of two directories share no inode
/// once one of them is written to, overlayfs copies them up too.
///
/// # Errors
/// A hard link to a file that no layer has; the kernel's own errors.
pub fn complete(dir: &Path, unpacked: &Unpacked, lowers: &[PathBuf]) -> Result<()> {
    if lowers.is_empty() && unpacked.links.is_empty() {
        return Ok(());
    }
    let lowers: Vec<_> = lowers.iter().map(RootDir::open).collect::<Result<_>>()?;
    let mut tree = Tree::open(dir, usize::MAX)?;
    copy_links(&mut tree, unpacked, &lowers)?;
    for path in &unpacked.implied {
        let path = Name::new(path.as_os_str().as_bytes(), usize::MAX)?;
        if let (Ok(dir), Some(below)) = (tree.look(path.path()), find(&lowers, path.path(), OFlag::O_DIRECTORY)?) {
            take_over(&Made { parent: dir.as_fd(), file: ".".as_ref(), name: &path }, &below)?;
        }
    }
    Ok(())
}

fn copy_links(tree: &mut Tree, unpacked: &Unpacked, lowers: &[RootDir]) -> Result<()> {
    // Several names of one file stay names of one file, also where one leads to another.
    let mut copies: HashMap<&Path, Name> = HashMap::new();
    // A new name changes its directory's time, which was set already.
    let mut dates: HashMap<PathBuf, (i64, i64)> = HashMap::new();
    for (link, target) in &unpacked.links {
        let name = Name::new(link.as_os_str().as_bytes(), usize::MAX)?;
        let parent = tree.directory(&name.parent())?;
        if stat(parent.as_fd(), name.file_name(), &name).is_ok() {
            continue; // a later entry of the archive took its place
        }
        if !dates.contains_key(name.parent().path()) {
            let stat = fstat(&*parent).or_call("fstat", Tree::show(&name.parent()))?;
            dates.insert(name.parent().path().to_owned(), (stat.st_mtime, stat.st_mtime_nsec));
        }
        if let Some(first) = copies.get(target.as_path()).cloned() {
            let dir = tree.directory(&first.parent())?;
            linkat(&*dir, first.file_name(), &*parent, name.file_name(), AtFlags::empty())
                .or_call("linkat", Tree::show(&name))?;
            copies.insert(link, first);
            continue;
        }
        let below = find(lowers, target, OFlag::O_NOFOLLOW)?.ok_or_else(|| {
            corrupt(&format!("the hard link {} leads to {target:?}, which no layer has", Tree::show(&name)))
        })?;
        let made = Made { parent: parent.as_fd(), file: name.file_name(), name: &name };
        copy(&made, &below)?;
        copies.insert(link, name.clone());
        copies.insert(target, name);
    }
    for (path, date) in &dates {
        let (dir, name) = (tree.look(path)?, Name::new(path.as_os_str().as_bytes(), usize::MAX)?);
        Made { parent: dir.as_fd(), file: ".".as_ref(), name: &name }.date(*date)?;
    }
    Ok(())
}

/// The topmost of the layers' files of that name.
fn find(lowers: &[RootDir], path: &Path, flags: OFlag) -> Result<Option<OwnedFd>> {
    let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
    for lower in lowers {
        match lower.open_at(path, OFlag::O_PATH | flags) {
            Err(error) if matches!(error.errno(), Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP)) => {}
            found => return found.map(Some),
        }
    }
    Ok(None)
}

fn copy(made: &Made<'_>, below: &OwnedFd) -> Result<()> {
    let shown = Tree::show(made.name);
    let below_stat = fstat(below).or_call("fstat", &shown)?;
    if below_stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(corrupt(&format!(
            "the hard link {shown} leads to something that is no plain file in a layer below"
        )));
    }
    let mut source = File::open(fd_path(below)).or_call("open", &shown)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = openat(made.parent, made.file, flags, Mode::S_IRUSR | Mode::S_IWUSR).or_call("openat", &shown)?;
    io::copy(&mut source, &mut File::from(fd)).or_call("copy", &shown)?;
    take_over(made, below)
}

/// Owner, attributes, mode and time of another file.
fn take_over(made: &Made<'_>, other: &OwnedFd) -> Result<()> {
    let stat: FileStat = fstat(other).or_call("fstat", Tree::show(made.name))?;
    made.own(stat.st_uid, stat.st_gid)?;
    // A handle (O_PATH) has no attributes of its own; the path leads to the file behind it.
    let from = c_path(if is_directory(&stat) { fd_path(other).join(".") } else { fd_path(other) })?;
    let to = c_path(fd_path(made.parent).join(made.file))?;
    for name in attributes(&from, made)? {
        if let Some(value) = get(&from, &name)?
            && !is_overlay_mark(&name)
        {
            let _ = sys::lsetxattr(&to, &name, &value); // as when unpacking: the file is still of use
        }
    }
    made.permit(stat.st_mode)?;
    made.date((stat.st_mtime, stat.st_mtime_nsec))
}

fn attributes(path: &CStr, made: &Made<'_>) -> Result<Vec<CString>> {
    let names = sys::listxattr(path).or_call("listxattr", Tree::show(made.name))?;
    Ok(names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .filter_map(|name| CString::new(name).ok())
        .collect())
}

fn get(path: &CStr, name: &CStr) -> Result<Option<Vec<u8>>> {
    sys::getxattr(path, name).or_call("getxattr", name.to_string_lossy())
}
