//! What did the container change?
//!
//! `changes LOWER UPPER` shall print what `docker diff` prints: LOWER is a layer, UPPER what an overlay on it has
//! written. One line a path, `A` for added, `C` for changed, `D` for deleted. Write [`walk`]; what stands below it
//! helps.
//!
//! - A path that LOWER does not have is added.
//! - A path that both have is changed if [`differ`] says so. A file that was only copied up is no change.
//! - A directory that both have is also changed if there is a line for anything in it.
//! - A whiteout is a deleted path. What was in a deleted directory is not listed.
//! - An opaque directory hides what LOWER has at its place: each name there that it has not is deleted. That is true of
//!   the directories in it as well, down to the bottom: they have no mark of their own.
//! - Links are never followed. UPPER belongs to a container, and may hold a link to anywhere.
//!
//! (The crate `layers` has a `diff` for many layers. It does what you are to do here; read it afterwards.)
//!
//! By hand, after `cargo build -p lab05`: make an overlay as the chapter does in "One view of several directories",
//! change something in it, and run `target/debug/changes /tmp/hand/lower /tmp/hand/upper` under `unshare
//! --map-root-user`.
//!
//! Read: the book, chapter 5, "The first deletion: whiteouts" and "What did it change?"; the kernel's
//! Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".

//@ starter
#![allow(unused, clippy::ptr_arg, reason = "until the gap is filled")]

//@ solution
//@ end
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use process::{Error, OrCall, Result};

/// What happened to a path of the container.
type Change = (char, PathBuf);

/// Compares the directory `upper` with `lower`, the one of the layer at the same place; none if the layer has none. In
/// the container it is `path`. In a `hidden` one nothing of the layer can be seen: it is opaque, or lies in an opaque
/// one.
fn walk(upper: &Path, lower: Option<&Path>, hidden: bool, path: &Path, changes: &mut Vec<Change>) -> Result<()> {
    //@ starter
    todo!("compare {} with {lower:?}", upper.display())
    //@ solution
    let present = names(upper)?;
    if let Some(lower) = lower.filter(|_| hidden) {
        let gone = names(lower)?.into_iter().filter(|name| !present.contains(name));
        changes.extend(gone.map(|name| ('D', path.join(name))));
    }
    for name in present {
        let (new_path, path) = (upper.join(&name), path.join(&name));
        let Some(new) = about(&new_path)? else { continue };
        if is_whiteout(&new) {
            changes.push(('D', path));
            continue;
        }
        let old_path = lower.map(|lower| lower.join(&name));
        let old = old_path.as_deref().map(about).transpose()?.flatten();
        let before = changes.len();
        if new.is_dir() {
            let hidden = hidden || is_opaque(&new_path)?;
            let below = old_path.filter(|_| old.as_ref().is_some_and(Metadata::is_dir));
            walk(&new_path, below.as_deref(), hidden, &path, changes)?;
        }
        match old {
            None => changes.push(('A', path)),
            Some(old) if differ(&old, &new) || changes.len() > before => changes.push(('C', path)),
            Some(_) => {}
        }
    }
    Ok(())
    //@ wrong no-opaque
    for name in names(upper)? {
        let (new_path, path) = (upper.join(&name), path.join(&name));
        let Some(new) = about(&new_path)? else { continue };
        if is_whiteout(&new) {
            changes.push(('D', path));
            continue;
        }
        let old_path = lower.map(|lower| lower.join(&name));
        let old = old_path.as_deref().map(about).transpose()?.flatten();
        let before = changes.len();
        if new.is_dir() {
            walk(&new_path, old_path.as_deref().filter(|path| path.is_dir()), false, &path, changes)?;
        }
        match old {
            None => changes.push(('A', path)),
            Some(old) if differ(&old, &new) || changes.len() > before => changes.push(('C', path)),
            Some(_) => {}
        }
    }
    Ok(())
    //@ wrong opaque-here-only
    let present = names(upper)?;
    if let Some(lower) = lower.filter(|_| is_opaque(upper).unwrap_or(false)) {
        let gone = names(lower)?.into_iter().filter(|name| !present.contains(name));
        changes.extend(gone.map(|name| ('D', path.join(name))));
    }
    for name in present {
        let (new_path, path) = (upper.join(&name), path.join(&name));
        let Some(new) = about(&new_path)? else { continue };
        if is_whiteout(&new) {
            changes.push(('D', path));
            continue;
        }
        let old_path = lower.map(|lower| lower.join(&name));
        let old = old_path.as_deref().map(about).transpose()?.flatten();
        let before = changes.len();
        if new.is_dir() {
            walk(&new_path, old_path.as_deref().filter(|path| path.is_dir()), false, &path, changes)?;
        }
        match old {
            None => changes.push(('A', path)),
            Some(old) if differ(&old, &new) || changes.len() > before => changes.push(('C', path)),
            Some(_) => {}
        }
    }
    Ok(())
    //@ wrong copied-is-changed
    let present = names(upper)?;
    if let Some(lower) = lower.filter(|_| hidden) {
        let gone = names(lower)?.into_iter().filter(|name| !present.contains(name));
        changes.extend(gone.map(|name| ('D', path.join(name))));
    }
    for name in present {
        let (new_path, path) = (upper.join(&name), path.join(&name));
        let Some(new) = about(&new_path)? else { continue };
        if is_whiteout(&new) {
            changes.push(('D', path));
            continue;
        }
        let old_path = lower.map(|lower| lower.join(&name)).filter(|path| path.symlink_metadata().is_ok());
        changes.push((if old_path.is_some() { 'C' } else { 'A' }, path.clone()));
        if new.is_dir() {
            let hidden = hidden || is_opaque(&new_path)?;
            walk(&new_path, old_path.as_deref().filter(|path| path.is_dir()), hidden, &path, changes)?;
        }
    }
    Ok(())
    //@ wrong follows-links
    let present = names(upper)?;
    if let Some(lower) = lower.filter(|_| hidden) {
        let gone = names(lower)?.into_iter().filter(|name| !present.contains(name));
        changes.extend(gone.map(|name| ('D', path.join(name))));
    }
    for name in present {
        let (new_path, path) = (upper.join(&name), path.join(&name));
        let Some(new) = about(&new_path)? else { continue };
        if is_whiteout(&new) {
            changes.push(('D', path));
            continue;
        }
        let old_path = lower.map(|lower| lower.join(&name));
        let old = old_path.as_deref().map(about).transpose()?.flatten();
        let before = changes.len();
        if new_path.is_dir() {
            let hidden = hidden || is_opaque(&new_path)?;
            walk(&new_path, old_path.as_deref().filter(|path| path.is_dir()), hidden, &path, changes)?;
        }
        match old {
            None => changes.push(('A', path)),
            Some(old) if differ(&old, &new) || changes.len() > before => changes.push(('C', path)),
            Some(_) => {}
        }
    }
    Ok(())
    //@ end
}

/// Is it a whiteout: a character device with the numbers 0:0?
fn is_whiteout(about: &Metadata) -> bool {
    about.file_type().is_char_device() && about.rdev() == 0
}

/// Has the directory the mark `opaque`? It is an attribute: `user.overlay.opaque` in a user namespace.
fn is_opaque(directory: &Path) -> Result<bool> {
    let name = if layers::in_user_namespace() { "user.overlay.opaque" } else { "trusted.overlay.opaque" };
    let mut value = [0; 8];
    match rustix::fs::lgetxattr(directory, name, &mut value) {
        Ok(length) => Ok(value.get(..length) == Some(b"y")),
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::NOTSUP) => Ok(false),
        Err(errno) => Err(Error::io("lgetxattr", directory.display(), &errno.into())),
    }
}

/// Do two files or directories differ? A directory's time does not count: every new name in it changes that.
fn differ(old: &Metadata, new: &Metadata) -> bool {
    let owner = |about: &Metadata| (about.mode(), about.uid(), about.gid(), about.rdev());
    let contents = |about: &Metadata| (about.len(), about.mtime(), about.mtime_nsec());
    owner(old) != owner(new) || (!new.is_dir() && contents(old) != contents(new))
}

/// What lies in a directory.
fn names(directory: &Path) -> Result<Vec<OsString>> {
    let entries = fs::read_dir(directory).or_call("open", directory.display())?;
    let names: std::io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    names.or_call("getdents64", directory.display())
}

/// What is at `path`, links not followed; none if there is nothing.
fn about(path: &Path) -> Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        found => found.or_call("lstat", path.display()).map(Some),
    }
}

fn main() -> ExitCode {
    let run = || {
        let mut words = std::env::args_os().skip(1).map(PathBuf::from);
        let (Some(lower), Some(upper)) = (words.next(), words.next()) else {
            return Err(Error::invalid("two directories are needed").help("changes LOWER UPPER"));
        };
        let mut changes = Vec::new();
        walk(&upper, Some(&lower), false, Path::new("/"), &mut changes)?;
        Ok(changes)
    };
    match run() {
        Ok(mut changes) => {
            changes.sort_by(|(_, one), (_, other)| one.as_os_str().as_bytes().cmp(other.as_os_str().as_bytes()));
            changes.iter().for_each(|(kind, path)| println!("{kind} {}", path.display()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(125)
        }
    }
}
