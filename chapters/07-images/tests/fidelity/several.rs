//! Images of several layers.

use std::path::Path;

use harness::Outcome;
use tar::EntryType::Regular;

use crate::archive::Archive;
use crate::both::Both;
use crate::one::{NET_RAW, TIME};
use crate::tree::{self, assert_same};

pub fn whiteouts() -> Outcome {
    let dirs = ["first", "last", "between", "gone", "again", "to-file", "kept", "kept/deep"];
    let mut low = dirs
        .iter()
        .fold(Archive::default().shell()?.dir("data/", 0o755), |all, name| all.dir(&format!("data/{name}/"), 0o755));
    for name in dirs.iter().flat_map(|dir| ["low", "other"].map(|file| format!("data/{dir}/{file}"))) {
        low = low.file(&name, "of the lowest layer");
    }
    let low = low.file("data/file", "").file("data/back", "old").file("data/to-dir", "").symlink("data/link", "kept");
    let high = Archive::default()
        .dir("data/", 0o755)
        .dir("data/first/", 0o755)
        .file("data/first/.wh..wh..opq", "")
        .file("data/first/high", "")
        .dir("data/last/", 0o750)
        .file("data/last/high", "")
        .file("data/last/.wh..wh..opq", "")
        .dir("data/between/", 0o755)
        .file("data/between/high", "")
        .file("data/between/.wh..wh..opq", "")
        .file("data/between/low", "anew")
        .file("data/.wh.gone", "")
        .file("data/.wh.again", "")
        .dir("data/again/", 0o755)
        .file("data/again/high", "")
        .file("data/.wh.file", "")
        .file("data/.wh.back", "")
        .file("data/back", "new")
        .file("data/to-file", "was a directory")
        .dir("data/to-dir/", 0o755)
        .file("data/to-dir/inside", "was a file")
        .dir("data/kept/", 0o755)
        .dir("data/kept/deep/", 0o755)
        .file("data/kept/deep/.wh.low", "")
        .file("data/kept/.wh.never-there", "")
        .file("data/.wh.link", "");
    let top = Archive::default()
        .dir("data/", 0o755)
        .file("data/gone", "is back, as a file")
        .dir("data/last/", 0o755)
        .file("data/last/low", "is back, not what it was")
        .file("data/.wh.first", "");
    for layers in [vec![low.clone(), high.clone()], vec![low, high, top]] {
        let both = Both::new(layers)?;
        let (mut ours, mut theirs, mut buildahs) = (both.ours()?, both.theirs()?, both.buildahs()?);
        assert!(theirs.contains_key(Path::new("last/high")) && !theirs.contains_key(Path::new("gone/low")));
        [&mut ours, &mut theirs, &mut buildahs].into_iter().for_each(alone);
        assert_same(&ours, &theirs);
        assert_same(&ours, &buildahs);
    }
    Ok(())
}

/// Forgets which names are of one file: to overlayfs a file that is written to belongs to one layer.
fn alone(tree: &mut tree::Tree) {
    tree.values_mut().for_each(|file| file.same_as.clear());
}

pub fn across() -> Outcome {
    let low = Archive::default()
        .shell()?
        .dir("data/", 0o755)
        .raw(Archive::header_of("data/setuid", Regular, 0o4755, 3), b"low")
        .pax(&[("SCHILY.xattr.security.capability", &NET_RAW), ("mtime", b"1234567890")])
        .file("data/capable", "with a capability");
    let middle = Archive::default().dir("data/", 0o755).dir("data/dir/", 0o755).link_like(
        "data/dir/second",
        "data/setuid",
        0o4755,
        TIME,
    );
    let high = Archive::default()
        .dir("data/", 0o755)
        .link_like("data/third", "data/dir/second", 0o4755, TIME)
        .link_like("data/fourth", "data/third", 0o4755, TIME)
        .link_like("data/linked-capable", "data/capable", 0o644, 1_234_567_890)
        .link_like("data/linked-again", "/data/capable", 0o644, 1_234_567_890);
    let both = Both::new(vec![low, middle, high])?;
    let (mut ours, mut theirs, mut buildahs) = (both.ours()?, both.theirs()?, both.buildahs()?);
    assert_eq!(ours[Path::new("linked-again")].same_as, ours[Path::new("linked-capable")].same_as);
    [&mut ours, &mut theirs, &mut buildahs].into_iter().for_each(alone);
    assert_same(&ours, &theirs);
    assert_same(&ours, &buildahs);
    Ok(())
}

pub fn many() -> Outcome {
    let mut layers = vec![Archive::default().shell()?.dir("data/", 0o755)];
    for number in 1..120 {
        let mut layer = Archive::default().dir("data/", 0o755).file("data/last", &number.to_string());
        layer = layer.file(&format!("data/{number}"), &"x".repeat(number));
        if number % 7 == 0 {
            layer = layer.file(&format!("data/.wh.{}", number - 5), "");
        }
        layers.push(layer);
    }
    let both = Both::new(layers)?;
    let theirs = both.theirs()?;
    assert_eq!(both.layers()?.len(), 120);
    assert_eq!(theirs[Path::new("last")].size, 3);
    assert_same(&both.ours()?, &theirs);
    Ok(())
}
