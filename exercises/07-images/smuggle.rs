//! An archive that gets out: break it, then close the way.
//!
//! An engine unpacks archives that strangers made, with its own rights. `smuggle naive ROOT < ARCHIVE` unpacks one into
//! the directory ROOT. It refuses names with `..` and absolute names, and believes that to be enough.
//!
//! 1. **Break.** Write [`attack`]: an archive that makes `naive` write a file outside of ROOT. `smuggle make FILE WORD`
//!    writes it to its standard output; FILE is the absolute path that the naive unpacker shall be made to write WORD
//!    to. Its directory will be there by then.
//! 2. **Close.** `smuggle careful ROOT < ARCHIVE` is the same so far. Change [`careful`] so that no archive writes or
//!    reads anything outside of ROOT. Honest archives must go on being unpacked: their links, too, are kept as they
//!    stand, wherever they lead to. What is hostile may be refused or be kept inside, as you like.
//!
//! By hand, after `cargo build -p lab07`: `mkdir root out; target/debug/smuggle make $PWD/out/owned gotcha > evil.tar`, and
//! then `target/debug/smuggle naive root < evil.tar; ls -l root out`.
//! Read: the book, chapter 7, "Unpacking" and "Break it"; symlink(7), openat2(2).

#![allow(unused, reason = "until the gap is filled")]

use std::fs;
use std::io::{self, Error, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Builder, EntryType, Header};

/// An entry of an archive: its name, and what it is.
enum Item {
    Directory(PathBuf),
    File(PathBuf, String),
    /// A symbolic link and its target, which may be anything.
    Link(PathBuf, PathBuf),
    /// A second name of a file of the archive.
    HardLink(PathBuf, PathBuf),
}

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", file, word] => write(&attack(Path::new(file), word)),
        ["naive", root] => each_of_archive(|item| naive(Path::new(root), item)),
        ["careful", root] => each_of_archive(|item| careful(Path::new(root), item)),
        _ => Err(Error::other("smuggle make FILE WORD | naive ROOT | careful ROOT")),
    }
}

/// The archive that gets `word` into `file`, an absolute path outside of the directory that it is unpacked into.
fn attack(file: &Path, word: &str) -> Vec<Item> {
    todo!("an archive that writes {word:?} into {file:?}, wherever it is unpacked")
}

/// Makes one entry in the directory `root`, and trusts it.
fn naive(root: &Path, item: &Item) -> io::Result<()> {
    match item {
        Item::Directory(name) => fs::create_dir_all(root.join(name)),
        Item::File(name, text) => fs::write(root.join(name), text),
        Item::Link(name, target) => symlink(target, root.join(name)),
        Item::HardLink(name, target) => fs::hard_link(root.join(target), root.join(name)),
    }
}

/// Makes one entry in the directory `root`, and nothing outside of it.
fn careful(root: &Path, item: &Item) -> io::Result<()> {
    naive(root, item)
}

/// Reads the archive on the standard input, and refuses names that lead out by themselves.
fn each_of_archive(mut unpack: impl FnMut(&Item) -> io::Result<()>) -> io::Result<()> {
    for entry in Archive::new(io::stdin().lock()).entries()? {
        let mut entry = entry?;
        let (name, link) = (entry.path()?.into_owned(), entry.link_name()?.unwrap_or_default().into_owned());
        let mut text = String::new();
        entry.read_to_string(&mut text)?;
        let item = match entry.header().entry_type() {
            EntryType::Directory => Item::Directory(checked(name)?),
            EntryType::Regular => Item::File(checked(name)?, text),
            EntryType::Symlink => Item::Link(checked(name)?, link),
            EntryType::Link => Item::HardLink(checked(name)?, checked(link)?),
            other => return Err(Error::other(format!("{name:?} is a {other:?}"))),
        };
        unpack(&item)?;
    }
    Ok(())
}

fn checked(name: PathBuf) -> io::Result<PathBuf> {
    let is_good = name.components().all(|part| matches!(part, Component::Normal(_)));
    if is_good { Ok(name) } else { Err(Error::other(format!("the name {name:?} leads out"))) }
}

/// Writes an archive to the standard output.
fn write(items: &[Item]) -> io::Result<()> {
    let mut archive = Builder::new(io::stdout().lock());
    for item in items {
        let (kind, name, link, text) = match item {
            Item::Directory(name) => (EntryType::Directory, name, None, ""),
            Item::File(name, text) => (EntryType::Regular, name, None, text.as_str()),
            Item::Link(name, target) => (EntryType::Symlink, name, Some(target), ""),
            Item::HardLink(name, target) => (EntryType::Link, name, Some(target), ""),
        };
        let mut header = Header::new_ustar();
        // Not by set_path(), which is honest, and refuses names with `..`.
        let name = name.as_os_str().as_encoded_bytes();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        link.map_or(Ok(()), |link| header.set_link_name_literal(link.as_os_str().as_encoded_bytes()))?;
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(text.len() as u64);
        header.set_cksum();
        archive.append(&header, text.as_bytes())?;
    }
    archive.into_inner()?.flush()
}
