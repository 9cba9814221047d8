//! Two commands, one state file.
//!
//! A container's state is a file of JSON. Every command reads it, changes something, and writes it again: `lost_update
//! set FILE KEY VALUE`. With `-` as the value it asks for it, as a command does that waits for something.
//!
//! 1. Break. `lost_update attack FILE ONE TWO` is to set `one` to ONE and `two` to TWO by two commands of the old kind
//!    (`open FILE KEY VALUE`, which uses `set_open` below), both of which end well, so that afterwards one of the two
//!    is *not* in the file. Not by chance: each time. `command` helps. A command with `-` prints `KEY? ` when it asks.
//! 2. Close. Write `set` so that no update is ever lost, however many commands run at once, and so that who reads the
//!    file never finds half of it: readers take no lock, they open the file whenever they like. A lock, a temporary
//!    file, a rename. Think about which file it is that you lock: what does a rename do to it?
//!
//! By hand: `echo '{}' > state; for i in 1 2 3 4; do lost_update set state k$i v & done; wait; cat state`.
//!
//! Read: the book, chapter 10, "What is kept"; flock(2), rename(2).

#![allow(unused, reason = "until the gap is filled")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use process::{Error, OrCall, Result};

/// What the file has: keys and values.
type State = BTreeMap<String, String>;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["attack", file, one, two] => attack(Path::new(file), one, two),
        ["open", file, key, value] => set_open(Path::new(file), key, || ask(key, value)),
        ["set", file, key, value] => set(Path::new(file), key, || ask(key, value)),
        _ => Err(Error::invalid("lost_update attack FILE ONE TWO | open FILE KEY VALUE | set FILE KEY VALUE")),
    }
}

/// The value, or what stands on standard input if it is `-`.
fn ask(key: &str, value: &str) -> String {
    if value != "-" {
        return value.into();
    }
    println!("{key}? ");
    std::io::stdin().lines().next().and_then(|line| line.ok()).unwrap_or_default()
}

fn read(file: &Path) -> Result<State> {
    let bytes = fs::read(file).or_call("read", file.display())?;
    serde_json::from_slice(&bytes).map_err(|error| Error::invalid(format!("{}: {error}", file.display())))
}

/// The old way; leave it as it is.
fn set_open(file: &Path, key: &str, value: impl FnOnce() -> String) -> Result<()> {
    let mut state = read(file)?;
    state.insert(key.into(), value());
    let text = serde_json::to_vec_pretty(&state).unwrap_or_default();
    fs::write(file, text).or_call("write", file.display())
}

/// Starts `open FILE KEY VALUE`, with pipes as its standard input and output.
fn command(file: &Path, key: &str, value: &str) -> Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.args(["open".as_ref(), file.as_os_str(), key.as_ref(), value.as_ref()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().or_call("exec", "/proc/self/exe")
}

/// Part one: two commands, both end well, and one update is lost.
fn attack(file: &Path, one: &str, two: &str) -> Result<()> {
    command(file, "one", one)?.wait().or_call("waitpid", "the first")?;
    command(file, "two", two)?.wait().or_call("waitpid", "the second")?;
    Ok(())
}

/// Part two: no update is lost, and no reader finds half a file.
fn set(file: &Path, key: &str, value: impl FnOnce() -> String) -> Result<()> {
    set_open(file, key, value)
}
