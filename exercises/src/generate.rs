//! `generate`: writes the starters from their sources. What is committed is always what this writes.

use std::fs;
use std::path::PathBuf;

use process::{Error, OrCall, Result};

use crate::Exercise;
use crate::catalog::root;
use crate::source::Variant;

/// The files that follow from the sources: each starter, and the list of programs in each chapter's Cargo.toml.
///
/// # Errors
/// A chapter without a Cargo.toml.
pub fn files(all: &[Exercise]) -> Result<Vec<(PathBuf, String)>> {
    let mut files: Vec<_> =
        all.iter().map(|exercise| (exercise.path(), exercise.source.render(&Variant::Starter))).collect();
    let mut chapters: Vec<_> = all.iter().map(|exercise| &exercise.chapter).collect();
    chapters.dedup();
    for chapter in chapters {
        let path = PathBuf::from("exercises").join(chapter).join("Cargo.toml");
        let text = fs::read_to_string(root().join(&path)).or_call("read", path.display())?;
        let (head, _) =
            text.split_once(MARK).ok_or_else(|| Error::invalid(format!("no line {MARK:?}")).at(path.display()))?;
        let bins = all.iter().filter(|exercise| exercise.chapter == *chapter).map(|exercise| {
            let name = &exercise.name;
            format!("\n[[bin]]\nname = \"{name}\"\npath = \"{name}.rs\"\ntest = false\nbench = false\n")
        });
        files.push((path, format!("{head}{MARK}\n{}", bins.collect::<String>())));
    }
    Ok(files)
}

/// What follows is generated.
const MARK: &str = "# The exercises, written by `cargo run -p exercises -- generate`.";

/// Writes what differs; gives the names of what did. Learners' work is overwritten: this is for who writes exercises.
///
/// # Errors
/// As write(2).
pub fn write(all: &[Exercise], only_look: bool) -> Result<Vec<PathBuf>> {
    let mut changed = Vec::new();
    for (path, text) in files(all)? {
        let file = root().join(&path);
        if fs::read_to_string(&file).is_ok_and(|old| old == text) {
            continue;
        }
        if !only_look {
            fs::write(&file, text).or_call("write", path.display())?;
        }
        changed.push(path);
    }
    Ok(changed)
}
