//! Pulls that are killed, or two at once.

use std::time::Duration;

use harness::Outcome;
use nix::sys::signal::Signal;

use crate::image::{Layer, blob, files, put};
use crate::place::{Place, noise, tree};

pub fn killed() -> Outcome {
    let place = Place::new()?;
    let layers: Vec<_> = ["a", "b", "c", "d"].map(|name| Layer::gzip(files(&[(name, &noise(200_000))]))).into();
    put(&place.site, "big", &layers);
    for layer in &layers {
        place.site.change(&blob("big", &layer.digest), |route| route.pause = Duration::from_millis(10));
    }
    for moment in [5, 40, 100, 200, 350, 500] {
        let pull = place.pull("big").spawn()?;
        std::thread::sleep(Duration::from_millis(moment));
        pull.signal(Signal::SIGKILL)?;
        pull.wait()?;
        let shown = place.step(&["images", "--quiet"]).run()?.ok()?.stdout;
        assert_eq!(shown.lines().count(), 1, "only the good one: {shown}");
        place.step(&["inspect", &place.site.name("good")]).run()?.ok()?;
    }
    let done = place.pull("big").run()?.ok()?;
    assert_eq!(done.stdout.matches("Pull complete").count(), 4, "{}", done.stdout);
    assert_eq!(std::fs::read_dir(place.sandbox.data().join("tmp"))?.count(), 0, "what was left is gone");
    place.step(&["rmi", &place.site.name("big")]).run()?.ok()?;
    assert_eq!(tree(&place.sandbox.data())?, place.before);
    Ok(())
}

pub fn two_at_once() -> Outcome {
    let place = Place::new()?;
    let layers: Vec<_> = ["a", "b"].map(|name| Layer::gzip(files(&[(name, &noise(100_000))]))).into();
    put(&place.site, "both", &layers);
    for layer in &layers {
        place.site.change(&blob("both", &layer.digest), |route| route.pause = Duration::from_millis(3));
    }
    let (one, other) = (place.pull("both").spawn()?, place.pull("both").spawn()?);
    one.wait()?.ok()?;
    other.wait()?.ok()?;
    assert_eq!(std::fs::read_dir(place.sandbox.data().join("tmp"))?.count(), 0);
    place.step(&["inspect", &place.site.name("both")]).run()?.ok()?;
    Ok(())
}
