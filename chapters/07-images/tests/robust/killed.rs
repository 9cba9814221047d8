//! kill -9 at moments all over a pull.

use std::fs;
use std::time::Instant;

use harness::Outcome;
use nix::sys::signal::Signal;

use crate::image::{Layer, files, put};
use crate::place::{Place, noise, tree};

/// How often, unless `COOPER_LOAD` multiplies it.
const TIMES: u32 = 50;

pub fn fifty_times() -> Outcome {
    let place = Place::new()?;
    let layers: Vec<_> = (0..4).map(|layer| Layer::gzip(many_files(layer))).collect();
    put(&place.site, "big", &layers);
    let begun = Instant::now();
    place.pull("big").run()?.ok()?;
    let whole = begun.elapsed();
    let load = std::env::var("COOPER_LOAD").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut random = 0x2545_f491_u32;
    for _ in 0..TIMES * load {
        place.step(&["rmi", &place.site.name("big")]).run()?; // it may be there or not
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let moment = whole * (random % 1100) / 1000;
        let pull = place.pull("big").spawn()?;
        std::thread::sleep(moment);
        pull.signal(Signal::SIGKILL)?;
        pull.wait()?;
        sound(&place)?;
    }
    place.pull("big").run()?.ok()?;
    assert_eq!(fs::read_dir(place.sandbox.data().join("tmp"))?.count(), 0, "what was left is gone");
    place.step(&["rmi", &place.site.name("big")]).run()?.ok()?;
    assert_eq!(tree(&place.sandbox.data())?, place.before);
    Ok(())
}

fn many_files(layer: u32) -> Vec<u8> {
    let text = noise(2000);
    let names: Vec<_> = (0..100).map(|number| format!("layer{layer}/{number}")).collect();
    files(&names.iter().map(|name| (name.as_str(), text.as_str())).collect::<Vec<_>>())
}

/// Whatever is visible is whole, and the good image is served.
fn sound(place: &Place) -> Outcome {
    let data = place.sandbox.data();
    for blob in fs::read_dir(data.join("images/blobs/sha256"))? {
        let blob = blob?;
        let digest = images::digest::of(&fs::read(blob.path())?);
        assert_eq!(digest.digest(), blob.file_name().to_str().unwrap(), "a torn blob");
    }
    for layer in fs::read_dir(data.join("layers"))? {
        let layer = layer?.path();
        assert!(layer.join("layer.json").is_file() && layer.join("diff").is_dir(), "{} is torn", layer.display());
    }
    serde_json::from_slice::<serde_json::Value>(&fs::read(data.join("images/index.json"))?)?;
    place.step(&["inspect", &place.site.name("good")]).run()?.ok()?;
    let big = place.step(&["inspect", &place.site.name("big")]).run()?;
    if big.code == 0 {
        // Killed after it was done: then it is there as a whole.
        let again = place.pull("big").run()?.ok()?;
        assert_eq!(again.stdout.matches("Already exists").count(), 4, "{}", again.stdout);
    }
    Ok(())
}
