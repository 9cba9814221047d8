//! Archives that are meant to exhaust memory, the disk or somebody's patience.

use std::fs;
use std::io::Write;

use flate2::write::GzEncoder;
use harness::Outcome;
use tar::EntryType;

use crate::archive::Archive;
use crate::image::{Layer, put, sha256};
use crate::place::Place;

pub fn tricks() -> Outcome {
    let place = Place::new()?;
    let outside = place.sandbox.file("outside", "untouched")?;
    let target = outside.to_str().unwrap().as_bytes();
    let new = Archive::default;
    let size = |text: &'static [u8]| new().pax(&[("size", text)]).file("a", "text");
    let version = [("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"99")];
    let many = |kind| {
        let record = [("comment", &[b'x'; 3 << 20][..])];
        let one = new().pax(&record).end();
        let mut header = Archive::header(kind, 0o644, 3 << 20);
        header.set_size(one[124..135].iter().fold(0, |sum, digit| sum * 8 + u64::from(digit - b'0')));
        let body = &one[512..one.len() - 1024];
        new().raw(header.clone(), body).raw(header, body).file("a", "")
    };
    for (archive, says) in [
        (new().pax(&[("path", b"../../outside")]).file("a", "gotcha"), "leads out"),
        (new().pax(&[("path", b"a\0b")]).file("a", ""), "NUL"),
        (new().pax(&[("linkpath", target)]).link("a", "b"), "which no layer has"),
        (new().gnu(EntryType::GNULongName, b"../outside").file("a", "gotcha"), "leads out"),
        (size(b"-1"), "no number"),
        (size(b"18446744073709551615"), "ends in the middle"),
        (size(b"99999999"), "ends in the middle"),
        (new().pax(&[("mtime", b"soon")]).file("a", ""), "no number"),
        (new().pax(&version).file("a", "99999999999999999999\n"), "malformed"),
        (new().pax(&version).file("a", &format!("1\n50\n60\n{}", "\0".repeat(504))), "does not fit"),
        (
            new().pax(&[("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"9000000000000000000")]).file("a", "x"),
            "too large",
        ),
        (new().raw(Archive::header(EntryType::XHeader, 0o644, 3), b"99 "), "malformed"),
        (new().raw(Archive::header(EntryType::XHeader, 0o644, 1 << 40), b""), "too large"),
        (many(EntryType::XHeader), "more than 4194304 bytes"),
        (many(EntryType::XGlobalHeader), "more than 65536 bytes"),
        (new().dir("d", 0o755).link("a", "d"), "leads to no file"),
        (new().link("a", "a"), "leads to"),
        (new().entry(EntryType::new(b'V'), b"volume", b"", 0o644, b""), "unknown type"),
    ] {
        put(&place.site, "evil", &[Layer::gzip(archive.end())]);
        place.refuses("evil", &[says])?;
        assert_eq!(fs::read_to_string(&outside)?, "untouched");
    }
    Ok(())
}

/// Each link leads to the deepest directory so far, and the next names go on from there.
pub fn depth() -> Outcome {
    let place = Place::new()?;
    let mut archive = Archive::default();
    for number in 0..20 {
        let from = if number == 0 { String::new() } else { format!("link{}/", number - 1) };
        let deep = format!("{from}{}", "d/".repeat(100));
        archive = archive.pax(&[("path", deep.as_bytes())]).dir("d", 0o755);
        archive = archive.pax(&[("linkpath", deep.as_bytes())]).symlink(&format!("link{number}"), "d");
    }
    put(&place.site, "deep", &[Layer::gzip(archive.end())]);
    place.refuses("deep", &["too deep"])?;
    Ok(())
}

pub fn ratio() -> Outcome {
    let place = Place::new()?;
    // 1.5 GiB of zeros in 1.5 MB: one GiB is free, beyond it a byte may become 200.
    let size = 3 << 29_u64;
    let mut header = Archive::header(EntryType::Regular, 0o644, size);
    header.set_path("zeros")?;
    header.set_cksum();
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::new(9));
    packed.write_all(header.as_bytes())?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..size >> 20 {
        packed.write_all(&zeros)?;
    }
    let blob = packed.finish()?;
    assert!(blob.len() < 2 << 20);
    let layer = Layer {
        diff_id: sha256(b"never"),
        ..Layer::packed(vec![], blob, "application/vnd.oci.image.layer.v1.tar+gzip")
    };
    put(&place.site, "bomb", &[layer]);
    place.refuses("bomb", &["too many bytes", "COOPER_UNPACK_BYTES or _RATIO"])?;
    Ok(())
}
