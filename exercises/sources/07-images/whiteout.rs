//! Whiteouts, in whatever order.
//!
//! This program applies a layer to a directory that holds the layers below: `whiteout ROOT < LAYER.tar`, once for each
//! layer, the lowest first. An engine without overlayfs makes a container's root so. A layer's archive adds and
//! replaces files, and has marks for what it deletes:
//!
//! - `a/.wh.name` hides `a/name` of the layers below, a directory with all that is in it.
//! - `a/.wh..wh..opq` hides everything that the layers below have in `a`: `a` is *opaque*.
//!
//! Both speak of **lower** layers only. What the same layer adds stays, and the mark may stand anywhere in the archive:
//! before those entries, between them or after them. `a/name` and `a/.wh.name` may both be there: then `name` was
//! deleted and made anew. The archive comes by a pipe, as from a registry, so it can be read once.
//!
//! Write [`apply`]. The marks themselves never get into the directory. How an archive gets out of the directory is
//! another exercise: here all archives are honest.
//!
//! By hand, after `cargo build -p lab07`: make a layer by `tar --no-recursion -cf LAYER.tar NAMES…` in the order that you want.
//! Read: the book, chapter 7, "Unpacking"; the OCI image specification, layer.md, "Whiteouts".

//@ starter
#![allow(unused, reason = "until the gap is filled")]

//@ solution
//@ end
use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tar::{Archive, Entry};

fn main() -> io::Result<()> {
    let root = PathBuf::from(std::env::args().nth(1).expect("whiteout ROOT < LAYER.tar"));
    apply(&root, &mut Archive::new(io::stdin().lock()))
}

/// What an entry of a layer asks for.
enum Meaning {
    /// Here is a file, a directory or a link.
    Add,
    /// The layers below have nothing at this path.
    Hide(PathBuf),
    /// The layers below have nothing in this directory.
    HideBelow(PathBuf),
}

fn meaning(path: &Path) -> Meaning {
    let parent = path.parent().unwrap_or(Path::new(""));
    let name = path.file_name().unwrap_or_default().to_str().expect("our archives have names in UTF-8");
    match name.strip_prefix(".wh.") {
        None => Meaning::Add,
        Some(".wh..opq") => Meaning::HideBelow(parent.to_owned()),
        Some(hidden) => Meaning::Hide(parent.join(hidden)),
    }
}

/// Makes what an entry holds at `path` in `root`; what is there goes, unless both are directories.
fn add(root: &Path, path: &Path, entry: &mut Entry<'_, impl Read>) -> io::Result<()> {
    let target = root.join(path);
    if !(is_directory(&target) && entry.header().entry_type().is_dir()) {
        remove(&target)?;
    }
    fs::create_dir_all(target.parent().unwrap_or(root))?;
    entry.unpack(&target).map(drop)
}

/// Removes whatever is there, a directory with all its contents; it is no error if there is nothing.
fn remove(path: &Path) -> io::Result<()> {
    let removed = if is_directory(path) { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Is it a directory, and no link to one?
fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Applies a layer to the directory `root`, which holds the layers below.
fn apply(root: &Path, layer: &mut Archive<impl Read>) -> io::Result<()> {
    //@ wrong at-the-end
    let mut marks = Vec::new();
    //@ solution, wrong whole-directory, wrong by-prefix
    // What this layer has added, and the directories above it.
    let mut ours = HashSet::new();
    //@ starter, wrong at-once
    //@ end
    for entry in layer.entries()? {
        let mut entry = entry?;
        // Archives write `./a/b` as well as `a/b`.
        let path: PathBuf = entry.path()?.components().filter(|part| part.as_os_str() != ".").collect();
        //@ starter
        match meaning(&path) {
            Meaning::Add => todo!("add {path:?}"),
            Meaning::Hide(path) => todo!("hide what the layers below have at {path:?}"),
            Meaning::HideBelow(directory) => todo!("hide what the layers below have in {directory:?}"),
        }
        //@ solution, wrong whole-directory, wrong by-prefix
        match meaning(&path) {
            Meaning::Add => {
                add(root, &path, &mut entry)?;
                ours.extend(path.ancestors().map(Path::to_owned));
            }
            Meaning::Hide(path) => hide(root, &path, &ours)?,
            Meaning::HideBelow(directory) => hide_below(root, &directory, &ours)?,
        }
        //@ wrong at-once
        match meaning(&path) {
            Meaning::Add => add(root, &path, &mut entry)?,
            Meaning::Hide(path) => remove(&root.join(path))?,
            Meaning::HideBelow(directory) => {
                for child in fs::read_dir(root.join(directory))? {
                    remove(&child?.path())?;
                }
            }
        }
        //@ wrong at-the-end
        match meaning(&path) {
            Meaning::Add => add(root, &path, &mut entry)?,
            mark => marks.push(mark),
        }
        //@ end
    }
    //@ wrong at-the-end
    for mark in marks {
        match mark {
            Meaning::Hide(path) => remove(&root.join(path))?,
            Meaning::HideBelow(directory) => {
                for child in fs::read_dir(root.join(directory))? {
                    remove(&child?.path())?;
                }
            }
            Meaning::Add => {}
        }
    }
    //@ end
    Ok(())
}
//@ solution

/// Removes what the layers below have at `path`; what is ours stays.
fn hide(root: &Path, path: &Path, ours: &HashSet<PathBuf>) -> io::Result<()> {
    if ours.contains(path) { hide_below(root, path, ours) } else { remove(&root.join(path)) }
}

/// Removes what the layers below have in `directory`; what is ours stays.
fn hide_below(root: &Path, directory: &Path, ours: &HashSet<PathBuf>) -> io::Result<()> {
    if !is_directory(&root.join(directory)) {
        return Ok(());
    }
    for child in fs::read_dir(root.join(directory))? {
        hide(root, &directory.join(child?.file_name()), ours)?;
    }
    Ok(())
}
//@ starter, wrong at-once, wrong at-the-end
//@ wrong whole-directory

fn hide(root: &Path, path: &Path, ours: &HashSet<PathBuf>) -> io::Result<()> {
    if ours.contains(path) { Ok(()) } else { remove(&root.join(path)) }
}

fn hide_below(root: &Path, directory: &Path, ours: &HashSet<PathBuf>) -> io::Result<()> {
    if !is_directory(&root.join(directory)) {
        return Ok(());
    }
    for child in fs::read_dir(root.join(directory))? {
        hide(root, &directory.join(child?.file_name()), ours)?;
    }
    Ok(())
}
//@ wrong by-prefix

fn hide(root: &Path, path: &Path, ours: &HashSet<PathBuf>) -> io::Result<()> {
    let (parent, prefix) = (path.parent().expect("a name"), path.as_os_str().to_string_lossy().into_owned());
    hide_where(root, parent, ours, &|path| path.to_string_lossy().starts_with(&prefix))
}

fn hide_below(root: &Path, directory: &Path, ours: &HashSet<PathBuf>) -> io::Result<()> {
    hide_where(root, directory, ours, &|_| true)
}

fn hide_where(
    root: &Path,
    directory: &Path,
    ours: &HashSet<PathBuf>,
    is_hidden: &dyn Fn(&Path) -> bool,
) -> io::Result<()> {
    if !is_directory(&root.join(directory)) {
        return Ok(());
    }
    for child in fs::read_dir(root.join(directory))? {
        let path = directory.join(child?.file_name());
        match (ours.contains(&path), is_hidden(&path)) {
            (false, true) => remove(&root.join(path))?,
            (true, true) => hide_where(root, &path, ours, &|_| true)?,
            _ => {}
        }
    }
    Ok(())
}
//@ end
