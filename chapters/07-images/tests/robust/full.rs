//! A store on a file system that is too small.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::{Outcome, Run};

use crate::image::{Layer, files, put};
use crate::place::{Place, noise, tree};

/// A small file system for the engine's data, as long as this lives.
struct Small(std::path::PathBuf);

impl Small {
    fn new(data: &Path, options: &str) -> Outcome<Self> {
        fs::create_dir_all(data)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "small"]).arg(data);
        Run::new(mount).run()?.ok()?;
        Ok(Self(data.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// With each amount of room there is, until it is enough: so every write is once the one that fails.
pub fn bytes() -> Outcome {
    let text = noise(400_000);
    let layers = [Layer::gzip(files(&[("a", &text)])), Layer::gzip(files(&[("b", &"zeros".repeat(200_000))]))];
    fills("size=4m", (0..60).map(|step| (step * 64) << 10), &layers, |data, room| {
        let _ = fs::remove_file(data.join("filler"));
        fs::write(data.join("filler"), vec![1; (4 << 20) - used(data)? - room as usize])?;
        Ok(())
    })
}

pub fn inodes() -> Outcome {
    let names: Vec<_> = (0..100).map(|number| format!("d{number}/f")).collect();
    let layer = Layer::gzip(files_of(&names));
    fills("nr_inodes=400", (1..80).map(|step| step * 5), &[layer], |data, room| {
        let filler = data.join("filler");
        let _ = fs::remove_dir_all(&filler);
        fs::create_dir(&filler)?;
        for number in 0..400 - tree(data)?.len() as u64 - 1 - room.min(300) {
            let _ = fs::write(filler.join(number.to_string()), "");
        }
        Ok(())
    })
}

fn files_of(names: &[String]) -> Vec<u8> {
    files(&names.iter().map(|name| (name.as_str(), "")).collect::<Vec<_>>())
}

fn used(data: &Path) -> Outcome<usize> {
    let stat = nix::sys::statvfs::statvfs(data)?;
    Ok(((stat.blocks() - stat.blocks_free()) * stat.fragment_size()) as usize)
}

fn fills(
    options: &str,
    rooms: impl Iterator<Item = u64>,
    layers: &[Layer],
    fill: impl Fn(&Path, u64) -> Outcome,
) -> Outcome {
    let mut place = Place::unborn()?;
    let data = place.sandbox.data();
    let _small = Small::new(&data, options)?;
    place.begin()?;
    put(&place.site, "large", layers);
    for (failures, room) in rooms.enumerate() {
        fill(&data, room)?;
        let before = tree(&data)?;
        let done = place.pull("large").run()?;
        if done.code == 0 {
            assert!(failures > 2, "only {failures} failures");
            place.step(&["inspect", &place.site.name("large")]).run()?.ok()?;
            return Ok(());
        }
        done.code(125)?.stderr_has("ENOSPC")?;
        let after: Vec<_> = tree(&data)?;
        assert_eq!(after, before, "with {room}");
        let shown = place.step(&["images", "--quiet"]).run()?.ok()?.stdout;
        assert_eq!(shown.lines().count(), 1, "{shown}");
        place.step(&["inspect", &place.site.name("good")]).run()?.ok()?;
    }
    Err("it never fits".into())
}
