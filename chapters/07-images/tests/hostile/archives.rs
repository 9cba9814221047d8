//! Archives that want out, bombs, and odd but honest ones.

use std::path::PathBuf;

use harness::Outcome;
use tar::EntryType;

use crate::image::{Layer, files, gzip, put, sha256, tar};
use crate::place::{Place, layer_of, tree};

pub fn archives_that_want_out() -> Outcome {
    let place = Place::new()?;
    let outside = place.sandbox.file("outside", "untouched")?;
    let target = outside.to_str().unwrap();
    let directory = outside.parent().unwrap().to_str().unwrap();
    use EntryType::{Link, Regular, Symlink};
    for (entries, says) in [
        (vec![(Regular, "../outside", "gotcha")], "leads out"),
        (vec![(Regular, "a/../../outside", "gotcha")], "leads out"),
        (vec![(Link, "hard", "../../../../outside")], "leads out"),
        (vec![(Link, "hard", target)], "which no layer has"),
        (vec![(Symlink, "out", directory), (Link, "hard", "out/outside")], "which no layer has"),
        (vec![(Regular, ".wh.", "")], "names nothing"),
        (vec![(Regular, ".wh...", "")], "names nothing"),
        (vec![(Symlink, "loop", "loop"), (Regular, "loop/x", "")], "ELOOP"),
    ] {
        put(&place.site, "evil", &[Layer::gzip(tar(&entries))]);
        place.refuses("evil", &[says])?;
        assert_eq!(std::fs::read_to_string(&outside)?, "untouched");
        place.step(&["rmi", "--force", &place.site.name("evil")]).run()?.code(1)?;
    }
    // A link out, and a file through it: it leads to a place inside, if to any.
    let entries = [(Symlink, "out", "/etc"), (EntryType::Directory, "etc", ""), (Regular, "out/passwd", "inside")];
    put(&place.site, "tricky", &[Layer::gzip(tar(&entries))]);
    place.pull("tricky").run()?.ok()?;
    assert_eq!(std::fs::read_to_string(layer_of(&place, "tricky")?.join("etc/passwd"))?, "inside");
    Ok(())
}

pub fn bombs() -> Outcome {
    let place = Place::new()?;
    let zeros = Layer::gzip(files(&[("zeros", &"\0".repeat(5 << 20))]));
    put(&place.site, "bomb", &[zeros]);
    let pull = || place.pull("bomb").env("COOPER_UNPACK_BYTES", "1000000");
    place.is_refused(pull().run()?, &["too many bytes", "COOPER_UNPACK_BYTES"])?;
    let many: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "")).collect();
    put(&place.site, "many", &[Layer::gzip(files(&many))]);
    place.is_refused(place.pull("many").env("COOPER_UNPACK_FILES", "49").run()?, &["too many files"])?;
    place.pull("bomb").run()?.ok()?;
    Ok(())
}

pub fn odd_layers() -> Outcome {
    let place = Place::new()?;
    let base = Layer::gzip(files(&[("etc/kept", "kept"), ("etc/gone", "gone"), ("shared", "text")]));
    let plain = files(&[("etc/.wh.gone", ""), ("plain", "")]);
    let plain = Layer::packed(plain.clone(), plain, "application/vnd.oci.image.layer.v1.tar");
    let entries = tar(&[(EntryType::Link, "second", "shared")]);
    let zstd = zstd::encode_all(&entries[..], 1)?;
    let zstd = Layer::packed(entries, zstd, "application/vnd.oci.image.layer.v1.tar+zstd");
    let empty = Layer::gzip(files(&[]));
    let members = files(&[("members", "m")]);
    let halves = [gzip(&members[..700]), gzip(&members[700..])].concat();
    let members = Layer::packed(members, halves, "application/vnd.docker.image.rootfs.diff.tar.gzip");
    put(&place.site, "odd", &[base, plain, zstd, empty.clone(), members, empty]);
    let done = place.pull("odd").run()?.ok()?;
    assert_eq!(done.stdout.matches("Pull complete").count(), 6, "{}", done.stdout);
    let shown = place.step(&["inspect", &place.site.name("odd")]).run()?.ok()?.stdout;
    let json: serde_json::Value = serde_json::from_str(&shown)?;
    let lowers: Vec<PathBuf> =
        json[0]["GraphDriver"]["Data"]["LowerDir"].as_str().unwrap().split(':').map(PathBuf::from).collect();
    assert_eq!(lowers.len(), 6, "topmost first");
    assert_eq!(std::fs::read_to_string(lowers[3].join("second"))?, "text", "a hard link to a lower layer");
    assert_eq!(std::fs::read_to_string(lowers[1].join("members"))?, "m");
    let whiteout = std::fs::symlink_metadata(lowers[4].join("etc/gone"))?;
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(&whiteout.file_type()));
    // The same blob twice in one manifest is fetched once.
    let asked = place.site.log().iter().filter(|line| line.contains(&sha256(&gzip(&files(&[]))))).count();
    assert_eq!(asked, 1);
    // Without the image its layers go, and the good one's stay.
    place.step(&["rmi", &place.site.name("odd")]).run()?.ok()?;
    assert_eq!(tree(&place.sandbox.data())?, place.before);
    Ok(())
}
