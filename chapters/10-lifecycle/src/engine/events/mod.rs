//! What happened: an append-only file of JSON lines, `data/events.json`.
//!
//! Whoever does something writes the line, a supervisor too, so there is no process whose death would end the record.
//! The file is bounded: past a megabyte it is renamed to `events.json.1`, and a new one begins. Readers are told of
//! what comes by inotify(7), and show it in the shape of Docker's `/events` ([`shape`]).

mod command;
mod filter;
mod follow;
mod shape;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use layers::Config;
use process::{OrCall, Result};
use rootfs::dirs;

use super::container::Kept;
use super::options::Options;
use crate::supervisor::exit::Event;

pub use command::EventsArgs;

/// When a new file begins.
const LARGEST: u64 = 1 << 20;

/// The file, for who appends to it.
pub fn file() -> PathBuf {
    dirs().data.join("events.json")
}

/// Records that `action` happened to a container; `more` belongs to the action, such as `exitCode`.
pub fn of(kept: &Kept, action: &str, more: &[(&str, &str)]) {
    let mut attributes = about(kept.dir.config());
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    record(action, kept.id(), kept.name(), attributes);
}

/// The container's program was executed.
pub fn started(config: &Config) {
    record("start", &config.id, &config.name, about(config));
}

/// Records that `action` happened to the container of `config`.
pub fn note(config: &Config, action: &str) {
    record(action, &config.id, &config.name, about(config));
}

/// Its image and its labels, which every event bears.
pub fn about(config: &Config) -> BTreeMap<String, String> {
    let options = config.rootfs().parent().and_then(|directory| Options::load(directory).ok());
    let mut attributes = options.map(|options| options.labels).unwrap_or_default();
    let image = config.annotations.get("image").cloned().unwrap_or_default();
    attributes.insert("image".to_owned(), image);
    attributes
}

/// Records an event. One that cannot be written is lost, with a warning: what it tells of has happened.
pub fn record(action: &str, id: &str, name: &str, attributes: BTreeMap<String, String>) {
    let event = Event { attributes, ..Event::now(action, id, name) };
    let path = file();
    let done = event.append(&path).and_then(|()| rotate(&path, LARGEST));
    if let Err(error) = done {
        eprintln!("warning: the event {action} is not recorded: {}", error.what());
    }
}

/// Where the file before `path` lies.
fn before(path: &Path) -> PathBuf {
    path.with_extension("json.1")
}

/// Begins a new file if this one is large. Of two that do so at once the second finds a small one.
fn rotate(path: &Path, largest: u64) -> Result<()> {
    if path.metadata().is_ok_and(|about| about.len() > largest) {
        fs::rename(path, before(path)).or_call("rename", path.display())?;
    }
    Ok(())
}

/// Is `file` what lies at `path` now?
fn is(file: &File, path: &Path) -> bool {
    let inode = |about: std::io::Result<fs::Metadata>| about.ok().map(|about| (about.dev(), about.ino()));
    inode(file.metadata()).is_some_and(|ours| inode(fs::metadata(path)) == Some(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.json");
        for number in 0..2500 {
            let event = Event::now("start", "ab", "web").with("number", number).with("filler", "x".repeat(100));
            event.append(&path).unwrap();
            rotate(&path, 10_000).unwrap();
        }
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let (old, new) = (read(&before(&path)), read(&path));
        assert!(old.len() < 10_400 && new.len() < 10_400);
        let lines: Vec<_> = old.lines().chain(new.lines()).collect();
        let number = |line: &&str| serde_json::from_str::<Event>(line).unwrap().attributes["number"].parse::<i64>();
        let numbers: Vec<_> = lines.iter().map(|line| number(line).unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1) && numbers.last() == Some(&2499));
    }
}
