//! Deletions in any order: what is seen through a layer is what the specification says.

use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::tests::Tar;
use super::tree;

const DIRS: [&str; 4] = ["", "d/", "d/e/", "g/"];
const FILES: [&str; 2] = ["a", "b"];

/// Every file of the layer below.
fn lower() -> BTreeSet<String> {
    DIRS.iter().flat_map(|dir| FILES.map(|file| format!("{dir}{file}"))).collect()
}

/// OCI image-spec, layer.md: marks hide what is below, whatever the order; what the layer has itself is there.
fn expected(files: &BTreeSet<String>, gone: &BTreeSet<String>, opaque: &BTreeSet<String>) -> BTreeSet<String> {
    let is_hidden = |path: &String| {
        let path = Path::new(path);
        path.ancestors().any(|part| gone.contains(part.to_str().unwrap()))
            || path.ancestors().skip(1).any(|part| opaque.contains(part.to_str().unwrap()))
    };
    lower().into_iter().filter(|path| !is_hidden(path)).chain(files.iter().cloned()).collect()
}

/// As overlayfs looks at the layer's directory above the lower files.
fn seen(root: &Path) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for path in lower() {
        let (mut at, mut is_hidden) = (PathBuf::from(root), is_opaque(root));
        for part in Path::new(&path) {
            at.push(part);
            match std::fs::symlink_metadata(&at) {
                Ok(meta) if meta.file_type().is_char_device() && meta.rdev() == 0 => is_hidden = true,
                Ok(meta) if meta.is_dir() => is_hidden |= is_opaque(&at),
                _ => {}
            }
        }
        let has = std::fs::symlink_metadata(&at).is_ok_and(|meta| meta.is_file());
        if has || !is_hidden {
            seen.insert(path);
        }
    }
    seen
}

fn is_opaque(dir: &Path) -> bool {
    let path = tree::c_path(dir.to_owned()).unwrap();
    crate::sys::getxattr(&path, crate::overlay::opaque()).unwrap().is_some()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_order_of_marks_and_files(entries in proptest::collection::vec((0..4_u8, 0..4_usize, 0..2_usize), 0..12)) {
        let dir = tempfile::tempdir().unwrap();
        let (mut files, mut gone, mut opaque) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut tar = Tar::default();
        for (kind, at, file) in entries {
            let (at, file) = (DIRS[at], FILES[file]);
            tar = match kind {
                0 => {
                    files.insert(format!("{at}{file}"));
                    tar.file(&format!("{at}{file}"), "new")
                }
                1 => {
                    gone.insert(format!("{at}{file}"));
                    tar.file(&format!("{at}.wh.{file}"), "")
                }
                2 => {
                    opaque.insert(at.trim_end_matches('/').to_owned());
                    tar.file(&format!("{at}.wh..wh..opq"), "")
                }
                _ if at.is_empty() => tar.dir("./"),
                _ => {
                    let path = Path::new(at);
                    gone.insert(at.trim_end_matches('/').to_owned());
                    let name = path.file_name().unwrap().to_str().unwrap();
                    tar.file(path.with_file_name(format!(".wh.{name}")).to_str().unwrap(), "")
                }
            };
        }
        tar.unpack(dir.path()).unwrap();
        prop_assert_eq!(seen(dir.path()), expected(&files, &gone, &opaque));
    }
}
