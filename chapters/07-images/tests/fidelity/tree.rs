//! A tree of files, as it can be compared: everything that stat(2), xattr(7) and their contents tell.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use harness::Outcome;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Kind and permissions.
    pub mode: u32,
    pub owner: (u32, u32),
    pub device: u64,
    pub mtime: (i64, i64),
    pub size: u64,
    /// The digest of its contents, or what it points to.
    pub contents: String,
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// The first name of the same file.
    pub same_as: PathBuf,
    /// Does it have fewer blocks than its size needs?
    pub has_holes: bool,
}

/// Files by their paths.
pub type Tree = BTreeMap<PathBuf, File>;

/// All that lies beneath `root`, and it, on the same file system.
pub fn read(root: &Path) -> Outcome<Tree> {
    let device = fs::symlink_metadata(root)?.dev();
    let (mut tree, mut open, mut firsts) = (Tree::new(), vec![PathBuf::new()], BTreeMap::new());
    while let Some(path) = open.pop() {
        let whole = root.join(&path);
        let meta = fs::symlink_metadata(&whole)?;
        if meta.dev() != device {
            continue;
        }
        if meta.is_dir() {
            let mut names = fs::read_dir(&whole)?.map(|entry| Ok(entry?.file_name())).collect::<Outcome<Vec<_>>>()?;
            names.sort();
            open.extend(names.into_iter().rev().map(|name| path.join(name)));
        }
        let same_as = firsts.entry(meta.ino()).or_insert(path.clone()).clone();
        tree.insert(path, describe(&whole, &meta, same_as)?);
    }
    Ok(tree)
}

fn describe(path: &Path, meta: &fs::Metadata, same_as: PathBuf) -> Outcome<File> {
    let contents = match () {
        () if meta.is_file() => images::digest::of(&fs::read(path)?).to_string(),
        () if meta.is_symlink() => fs::read_link(path)?.as_os_str().as_bytes().escape_ascii().to_string(),
        () => String::new(),
    };
    Ok(File {
        mode: meta.mode(),
        owner: (meta.uid(), meta.gid()),
        device: meta.rdev(),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        size: if meta.is_dir() { 0 } else { meta.size() },
        contents,
        xattrs: xattrs(path)?,
        same_as,
        has_holes: meta.is_file() && meta.blocks() * 512 < meta.size() / 2,
    })
}

/// The attributes, without overlayfs's own.
fn xattrs(path: &Path) -> Outcome<BTreeMap<String, Vec<u8>>> {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names)?;
    let names = names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty());
    let mut found = BTreeMap::new();
    for name in names.filter(|name| !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.")) {
        let mut value = vec![0; 65536];
        let length = rustix::fs::lgetxattr(path, name, &mut value)?;
        value.truncate(length);
        found.insert(String::from_utf8_lossy(name).into_owned(), value);
    }
    Ok(found)
}

/// Panics with every difference.
pub fn assert_same(ours: &Tree, theirs: &Tree) {
    let mut differences = String::new();
    for path in ours.keys().chain(theirs.keys().filter(|path| !ours.contains_key(*path))) {
        let (our, their) = (ours.get(path), theirs.get(path));
        if our != their {
            differences += &format!("{}\n  ours:   {our:?}\n  theirs: {their:?}\n", path.display());
        }
    }
    assert!(differences.is_empty(), "{differences}");
}
