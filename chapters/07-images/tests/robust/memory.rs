//! How much of a layer is in memory at once.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use flate2::write::GzEncoder;
use harness::{Outcome, bench};
use images::digest::HashingWriter;
use tar::EntryType::Regular;

use crate::archive::Archive;
use crate::image::{Layer, files, put};
use crate::place::{Place, noise};

const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// A pull's largest resident set, in KiB: code, stacks, and the few pieces that are on their way.
const MOST: i64 = 64 << 10;

/// As much as `zstd -19` uses, as a power of two: 8 MiB.
const WINDOW: u32 = 23;

pub fn window() -> Outcome {
    let place = Place::new()?;
    let tar = files(&[("a", "text")]);
    let mut encoder = zstd::Encoder::new(Vec::new(), 1)?;
    encoder.write_all(&tar)?;
    let mut blob = encoder.finish()?;
    // The header's word for the window (RFC 8878 section 3.1.1.1.2): 2 GiB, as of `zstd --long=31`.
    blob[5] = (31 - 10) << 3;
    let layer = Layer::packed(tar, blob, ZSTD);
    put(&place.site, "wide", std::slice::from_ref(&layer));
    place.refuses("wide", &[&layer.digest[7..19], "zstd window is larger than 128 MiB", "--long=27"])?;
    Ok(())
}

pub fn gigabytes() -> Outcome {
    let place = Place::new()?;
    put(&place.site, "large", &gigabyte()?);
    let mut pull = Command::new(env!("CARGO_BIN_EXE_step07"));
    pull.env("COOPER_DATA", place.sandbox.data()).env("COOPER_RUN", place.sandbox.path().join("run"));
    let spent = bench::spend(pull.args(["pull", "--quiet", &place.site.name("large")]), Duration::from_secs(120))?;
    println!("{} MiB at most, in {:.1?}", spent.memory >> 10, spent.time);
    assert!(spent.memory < MOST, "{} MiB", spent.memory >> 10);
    Ok(())
}

/// One archive with a file of a GiB, packed by gzip and by zstd. Each piece has something that was not there before, and
/// something that was, as far back as zstd can see.
fn gigabyte() -> Outcome<[Layer; 2]> {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut zstd = zstd::Encoder::new(Vec::new(), 3)?;
    zstd.window_log(WINDOW)?;
    let mut archive = HashingWriter::new(Both(&mut gzip, &mut zstd));
    let mut header = Archive::header_of("large", Regular, 0o644, 1 << 30);
    header.set_cksum();
    archive.write_all(header.as_bytes())?;
    let (text, zeros) = (noise(1 << 20), vec![0; (4 << 20) - 8192]);
    for number in 0..256 {
        let from = number % 128 * 8192;
        archive.write_all(&text.as_bytes()[from..from + 8192])?;
        archive.write_all(&zeros)?;
    }
    archive.write_all(&[0; 1024])?;
    let diff_id = archive.finish().0.to_string();
    let layer = |blob, media_type| Layer { diff_id: diff_id.clone(), ..Layer::packed(Vec::new(), blob, media_type) };
    let layers = [layer(gzip.finish()?, "application/vnd.oci.image.layer.v1.tar+gzip"), layer(zstd.finish()?, ZSTD)];
    Ok(layers)
}

/// What is written to it is written to both.
struct Both<A, B>(A, B);

impl<A: Write, B: Write> Write for Both<A, B> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
