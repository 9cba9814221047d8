//! `diff` and `commit` of upper directories made by hand, as the kernel leaves them.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use tempfile::TempDir;

use crate::{commit, diff, marks, sys};

/// Layers and an upper directory above them.
struct Tree {
    dir: TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { dir: tempfile::tempdir().unwrap() };
        ["low", "top", "upper"].iter().for_each(|name| std::fs::create_dir(tree.at(name)).unwrap());
        tree
    }

    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(path)
    }

    fn file(&self, path: impl AsRef<Path>, text: &str) -> PathBuf {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn whiteout(&self, path: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        mknod(&path, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0)).unwrap();
    }

    /// False if this user may not set the mark.
    fn opaque(&self, path: &str) -> bool {
        let path = self.at(path);
        std::fs::create_dir_all(&path).unwrap();
        sys::set(&path, OsStr::new("trusted.overlay.opaque"), b"y").is_ok() && marks::is_opaque(&path).unwrap()
    }

    fn lowers(&self) -> [PathBuf; 2] {
        [self.at("top"), self.at("low")]
    }

    fn diff(&self) -> Vec<String> {
        diff(&self.at("upper"), &self.lowers()).unwrap().iter().map(ToString::to_string).collect()
    }

    /// The entries of the layer: name, kind, link, what is in it.
    fn commit(&self) -> Vec<(Vec<u8>, tar::EntryType, Vec<u8>, String)> {
        let layer = self.layer();
        let mut archive = tar::Archive::new(layer.as_slice());
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let link = entry.link_name_bytes().map(|link| link.to_vec()).unwrap_or_default();
            (entry.path_bytes().to_vec(), entry.header().entry_type(), link, text)
        };
        archive.entries().unwrap().map(read).collect()
    }

    fn layer(&self) -> Vec<u8> {
        let mut layer = Vec::new();
        let done = commit(&self.at("upper"), &self.lowers(), &mut layer).unwrap();
        assert_eq!(done.size, layer.len() as u64);
        assert!(done.diff_id.starts_with("sha256:") && done.diff_id.len() == 7 + 64);
        layer
    }

    fn names(&self) -> Vec<String> {
        self.commit().iter().map(|entry| String::from_utf8_lossy(&entry.0).into_owned()).collect()
    }
}

/// Gives `new` the times of `old`, as copying up does.
fn same_time(old: &Path, new: &Path) {
    let time = old.metadata().unwrap().modified().unwrap();
    std::fs::File::open(new).unwrap().set_modified(time).unwrap();
}

#[test]
fn added_changed_deleted() {
    let tree = Tree::new();
    tree.file("low/etc/old", "1");
    tree.file("low/etc/gone", "1");
    tree.file("low/etc/same", "1");
    tree.file("upper/etc/new", "2");
    tree.file("upper/etc/old", "22");
    tree.file("upper/opt/a/b", "");
    same_time(&tree.at("low/etc/same"), &tree.file("upper/etc/same", "1"));
    tree.whiteout("upper/etc/gone");
    assert_eq!(tree.diff(), ["C /etc", "D /etc/gone", "A /etc/new", "C /etc/old", "A /opt", "A /opt/a", "A /opt/a/b"]);
    assert_eq!(
        tree.names(),
        ["etc/", "etc/.wh.gone", "etc/new", "etc/old", "etc/same", "opt/", "opt/a/", "opt/a/b"],
        "a layer holds what was copied up, changed or not"
    );
}

#[test]
fn a_mode_a_time_and_a_kind_are_changes() {
    let tree = Tree::new();
    for name in ["mode", "time", "kind"] {
        let old = tree.file(format!("low/{name}"), "x");
        same_time(&old, &tree.file(format!("upper/{name}"), "x"));
    }
    std::fs::set_permissions(tree.at("upper/mode"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(9);
    std::fs::File::open(tree.at("upper/time")).unwrap().set_modified(later).unwrap();
    std::fs::remove_file(tree.at("upper/kind")).unwrap();
    tree.file("upper/kind/now/a/directory", "");
    let wanted = ["C /kind", "A /kind/now", "A /kind/now/a", "A /kind/now/a/directory", "C /mode", "C /time"];
    assert_eq!(tree.diff(), wanted);
}

#[test]
fn a_directory_that_was_only_passed_through_is_none() {
    let tree = Tree::new();
    tree.file("low/a/b/c", "1");
    same_time(&tree.at("low/a/b/c"), &tree.file("upper/a/b/c", "1"));
    assert!(tree.diff().is_empty());
}

#[test]
fn lowers_are_merged_topmost_first() {
    let tree = Tree::new();
    tree.file("low/hidden", "1");
    tree.file("low/shown", "1");
    tree.whiteout("top/hidden");
    tree.file("upper/hidden", "back again");
    tree.whiteout("upper/shown");
    tree.whiteout("upper/never-was");
    assert_eq!(tree.diff(), ["A /hidden", "D /shown"]);
    assert_eq!(tree.names(), ["hidden", ".wh.shown"]);
}

#[test]
fn an_opaque_directory_deletes_what_it_hides() {
    let tree = Tree::new();
    tree.file("low/dir/low", "");
    tree.file("low/dir/sub/x", "");
    tree.file("low/dir/sub/y", "");
    tree.file("top/dir/both", "1");
    tree.file("upper/dir/both", "22");
    tree.file("upper/dir/new", "");
    tree.file("upper/dir/sub/y", "2");
    tree.file("upper/fresh/file", "");
    if !tree.opaque("upper/dir") || !tree.opaque("upper/fresh") {
        return; // only root may set the mark; the integration tests have the kernel set it
    }
    let wanted = [
        "C /dir",
        "C /dir/both",
        "D /dir/low",
        "A /dir/new",
        "C /dir/sub",
        "D /dir/sub/x",
        "C /dir/sub/y",
        "A /fresh",
        "A /fresh/file",
    ];
    assert_eq!(tree.diff(), wanted);
    let wanted = ["dir/", "dir/.wh..wh..opq", "dir/both", "dir/new", "dir/sub/", "dir/sub/y", "fresh/", "fresh/file"];
    assert_eq!(tree.names(), wanted, "the mark of a new directory hides nothing, so it is left out");
    assert!(commit(&tree.at("upper"), &[], std::io::sink()).is_ok());
}

#[test]
fn links_pipes_and_long_names() {
    let tree = Tree::new();
    let long = "n".repeat(60) + "/" + &"m".repeat(120);
    tree.file(format!("upper/{long}"), "far");
    let raw = OsStr::from_bytes(b"not-utf-8-\xff\xfe").to_owned();
    tree.file(Path::new("upper").join(&raw), "raw");
    let raw_long = OsString::from(OsStr::from_bytes(&[&b"\xff"[..], "r".repeat(150).as_bytes()].concat()));
    tree.file(Path::new("upper").join(&raw_long), "");
    tree.file("upper/ümläut", "");
    symlink("t".repeat(300), tree.at("upper/symlink")).unwrap();
    std::fs::hard_link(tree.file("upper/one", "1"), tree.at("upper/two")).unwrap();
    mknod(&tree.at("upper/pipe"), SFlag::S_IFIFO, Mode::S_IRWXU, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.at("upper/socket")).unwrap();
    let entries = tree.commit();
    let find = |name: &[u8]| entries.iter().find(|entry| entry.0 == name).unwrap_or_else(|| panic!("{name:?}"));
    assert_eq!(find(long.as_bytes()).3, "far");
    assert_eq!(find(raw.as_bytes()).3, "raw");
    find(raw_long.as_bytes());
    find("ümläut".as_bytes());
    assert_eq!(find(b"symlink").2.len(), 300);
    assert_eq!((find(b"two").1, find(b"two").2.as_slice()), (tar::EntryType::Link, b"one".as_slice()));
    assert_eq!(find(b"pipe").1, tar::EntryType::Fifo);
    assert!(!entries.iter().any(|entry| entry.0 == b"socket"));
}

#[test]
fn attributes_travel_and_marks_do_not() {
    let tree = Tree::new();
    let file = tree.file("upper/file", "");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4755)).unwrap();
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    std::fs::File::open(&file).unwrap().set_modified(time).unwrap();
    let before = std::time::SystemTime::UNIX_EPOCH - std::time::Duration::new(1, 250_000_000);
    std::fs::File::open(tree.file("upper/old", "")).unwrap().set_modified(before).unwrap();
    if sys::set(&file, OsStr::new("user.note"), b"a\0b").is_err() {
        return; // the file system of /tmp knows no attributes
    }
    sys::set(&file, OsStr::new("user.overlay.origin"), b"x").unwrap();
    let layer = tree.layer();
    let mut archive = tar::Archive::new(layer.as_slice());
    let mut seen = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().uid().unwrap(), u64::from(file.metadata().unwrap().uid()));
        seen.push(entry.header().mode().unwrap());
        for record in entry.pax_extensions().unwrap().unwrap().map(Result::unwrap) {
            seen.push(0);
            let (key, value) = (record.key().unwrap().to_owned(), record.value_bytes().to_vec());
            match key.as_str() {
                "mtime" if seen.len() < 4 => assert_eq!(value, b"1000000000.123456789"),
                "mtime" => assert_eq!(value, b"-1.250000000"),
                "SCHILY.xattr.user.note" => assert_eq!(value, b"a\0b"),
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!(seen, [0o4755, 0, 0, 0o644, 0]);
}

#[test]
fn the_same_tree_gives_the_same_layer() {
    let tree = Tree::new();
    for name in ["b", "a/z", "a/y", "c"] {
        tree.file(format!("upper/{name}"), name);
    }
    assert_eq!(tree.layer(), tree.layer());
    assert_eq!(tree.names(), ["a/", "a/y", "a/z", "b", "c"]);
}

#[test]
fn a_name_that_would_delete_is_refused() {
    let tree = Tree::new();
    tree.file("upper/.wh.x", "");
    let error = commit(&tree.at("upper"), &[], std::io::sink()).unwrap_err();
    assert!(error.what().contains(".wh.x") && error.way_out().is_some());
}

#[test]
fn the_root_s_own_mode_is_a_change_of_the_layer() {
    let tree = Tree::new();
    assert!(tree.names().is_empty());
    std::fs::set_permissions(tree.at("upper"), std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(tree.names(), ["./"]);
}
